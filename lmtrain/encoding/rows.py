"""One example as arrays, and many of them as a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from lmtrain.errors import StageError
from lmtrain.objectives.base import IGNORED, Batch

PAD_MULTIPLE = 8
"""Rows of a batch are padded to a multiple of this."""


@dataclass(frozen=True)
class Row:
    """One example, or a piece of one.

    Attributes:
        by_token: arrays with an entry for each token, by the names that models give them, shape
            (tokens,) each. `input_ids` is one of them; others may have a length of their own.
        whole: what the row has as a whole, of one shape in all rows.
    """

    by_token: dict[str, np.ndarray]
    whole: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Tokens of the longest array."""
        return max(map(len, self.by_token.values()))


@dataclass(frozen=True)
class Rejection:
    """Why an example can't be used."""

    reason: str


MASKED = {"input_ids": "attention_mask", "input_ids_2": "attention_mask_2"}
"""Arrays of tokens, and the name of the mask that says which of them are padding."""


def pad_rows(rows: Sequence[Row], pad: int) -> Batch:
    """Stack rows of different lengths, padded on the right.

    Args:
        rows: with arrays of the same names.
        pad: id of the padding token.

    Returns:
        Arrays by token with the shape (rows, longest): `input_ids` padded with `pad`, names that begin with
        `labels` with `IGNORED`, others with 0; a mask beside tokens; and what rows have as a whole, shape
        (rows, …).
    """
    batch: Batch = {}
    for name in rows[0].by_token:
        arrays = [row.by_token[name] for row in rows]
        width = -(-max(map(len, arrays)) // PAD_MULTIPLE) * PAD_MULTIPLE
        fill = pad if name in MASKED else IGNORED if name.startswith("labels") else 0
        stacked = np.full((len(rows), width), fill, dtype=np.int64)
        used = np.zeros((len(rows), width), dtype=np.int64)
        for index, array in enumerate(arrays):
            stacked[index, : len(array)] = array
            used[index, : len(array)] = 1
        batch[name] = torch.from_numpy(stacked)
        if name in MASKED:
            batch[MASKED[name]] = torch.from_numpy(used)
    for name in rows[0].whole:
        batch[name] = torch.from_numpy(np.stack([row.whole[name] for row in rows]))
    return batch


def pad_of(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the padding token.

    Raises:
        StageError: the tokenizer has none.
    """
    pad = tokenizer.pad_token_id
    if not isinstance(pad, int):
        raise StageError("the model's tokenizer has no padding token")
    return pad
