"""Labelled examples as rows of token ids, for any task."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from lmtrain.errors import StageError
from lmtrain.objectives.base import IGNORED, Batch

PAD_MULTIPLE = 8
"""Rows of a batch are padded to a multiple of this."""


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        input_ids: shape (tokens,).
        labels: one class, shape (1,), or one label a token, shape (tokens,).
    """

    input_ids: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Rejection:
    """Why an example can't be used."""

    reason: str


class ExampleRows:
    """Encoded examples by number; those that can't be used are counted by reason."""

    def __init__(self, examples: Iterable[dict[str, Any]], encode: Callable[[dict], Row | Rejection]) -> None:
        self.rows: list[Row] = []
        self.ids: list[str] = []
        self.rejected: Counter[str] = Counter()
        for example in examples:
            encoded = encode(example)
            if isinstance(encoded, Rejection):
                self.rejected[encoded.reason] += 1
            else:
                self.rows.append(encoded)
                self.ids.append(example["id"])
        self.lengths = np.array([len(row.input_ids) for row in self.rows], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> Sequence[Row]:
        """Return rows by number."""
        return [self.rows[index] for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the id of the example in each of these rows."""
        return [[self.ids[index]] for index in indices]


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str, longest: int) -> list[int]:
    """Return a text's first tokens; where it writes a special token, it means these letters."""
    ids: Any = tokenizer(text, truncation=True, max_length=longest, split_special_tokens=True)["input_ids"]
    return ids


def pad_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the padding token.

    Raises:
        StageError: the tokenizer has none.
    """
    pad = tokenizer.pad_token_id
    if not isinstance(pad, int):
        raise StageError("the model's tokenizer has no padding token")
    return pad


def pad_rows(rows: Sequence[Row], pad: int) -> Batch:
    """Stack rows of different lengths, padded on the right.

    Returns:
        `input_ids` and `attention_mask` of shape (rows, longest), and `labels`
        of that shape too, or (rows,) where a row has one label.
    """
    longest = max(len(row.input_ids) for row in rows)
    width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
    input_ids = np.full((len(rows), width), pad, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    by_token = np.full((len(rows), width), IGNORED, dtype=np.int64)
    for index, row in enumerate(rows):
        input_ids[index, : len(row.input_ids)] = row.input_ids
        mask[index, : len(row.input_ids)] = 1
        by_token[index, : len(row.labels)] = row.labels
    labels = by_token[:, 0] if all(len(row.labels) == 1 for row in rows) else by_token
    arrays = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
