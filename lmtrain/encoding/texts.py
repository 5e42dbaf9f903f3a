"""A text, or two of them, as a model reads them: framed as its tokenizer frames them."""

from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase


def encode_text(
    tokenizer: PreTrainedTokenizerBase, text: str, longest: int, *, framed: bool = True
) -> list[int]:
    """Return a text's first tokens; where it writes a special token, it means these letters.

    Args:
        tokenizer: of the model.
        text: any.
        longest: tokens at most, with those that frame it.
        framed: whether it is framed at all.
    """
    ids: Any = tokenizer(
        text, truncation=True, max_length=longest, add_special_tokens=framed, split_special_tokens=True
    )["input_ids"]
    return ids


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, first: str, second: str | None, longest: int
) -> dict[str, np.ndarray]:
    """Return the arrays by token of one text or of two, the longer of which is cut first.

    A tokenizer that frames nothing gets its end token between the two.

    Args:
        tokenizer: of the model.
        first: a text.
        second: another; None for none.
        longest: tokens at most.
    """
    if second is not None and not tokenizer.num_special_tokens_to_add(pair=True):
        room = longest - 1
        one, other = (encode_text(tokenizer, text, room) for text in (first, second))
        while len(one) + len(other) > room:
            (one if len(one) >= len(other) else other).pop()
        end: Any = tokenizer.eos_token_id
        return {"input_ids": np.array([*one, end, *other])}
    found = tokenizer(
        first, second, truncation="longest_first", max_length=longest, split_special_tokens=True
    )
    names = [name for name in ("input_ids", "token_type_ids") if name in found]
    return {name: np.array(found[name]) for name in names}
