"""A question and a long context as windows of so many tokens, each overlapping the one before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Window:
    """What a model reads at once of a question and its context.

    Attributes:
        by_token: the arrays that it reads, shape (tokens,) each.
        characters: where each token of the context begins and ends in it, shape (tokens, 2); -1 beside tokens
            that aren't of the context.
    """

    by_token: dict[str, np.ndarray]
    characters: np.ndarray

    def span(self, begin: int, end: int) -> tuple[int, int] | None:
        """Return the first and last token of characters of the context; None if they aren't all here.

        Args:
            begin: of the first character.
            end: behind the last one.
        """
        inside = self.characters[:, 0] >= 0
        holds_begin = inside & (self.characters[:, 0] <= begin) & (self.characters[:, 1] > begin)
        holds_end = inside & (self.characters[:, 0] < end) & (self.characters[:, 1] >= end)
        if not holds_begin.any() or not holds_end.any():
            return None
        return int(holds_begin.argmax()), int(len(inside) - 1 - holds_end[::-1].argmax())


def windows(
    tokenizer: PreTrainedTokenizerBase, question: str, context: str, longest: int, stride: int
) -> list[Window]:
    """Cut a context into windows, each with the question before it.

    Args:
        tokenizer: of the model; a fast one.
        question: cut to half of a window.
        context: of any length.
        longest: tokens of a window.
        stride: tokens that a window shares with the one before.
    """
    asked = _cut(tokenizer, question, longest // 2)
    if not tokenizer.num_special_tokens_to_add(pair=True):
        asked += "\n"
    found: Any = tokenizer(
        asked,
        context,
        truncation="only_second",
        max_length=longest,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        split_special_tokens=True,
    )
    made = []
    for index, encoding in enumerate(found.encodings):
        of_context = np.array([number == 1 for number in encoding.sequence_ids])
        characters = np.where(of_context[:, None], np.array(encoding.offsets), -1)
        names = [name for name in ("input_ids", "token_type_ids") if name in found]
        made.append(Window({name: np.array(found[name][index]) for name in names}, characters))
    return made


def _cut(tokenizer: PreTrainedTokenizerBase, text: str, longest: int) -> str:
    """Return the beginning of a text that has so many tokens at most."""
    found: Any = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    offsets = found["offset_mapping"]
    return text if len(offsets) <= longest else text[: offsets[longest - 1][1]]
