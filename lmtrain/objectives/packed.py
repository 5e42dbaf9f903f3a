"""Rows of token ids as objectives take them: documents beside each other, each slot with its target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

PADDING = -1
"""Marks what is no token."""


@dataclass(frozen=True)
class PackedRow:
    """One row of T slots: inputs, and the target of each.

    Attributes:
        tokens: the inputs, and after them the last target, shape (T + 1,); `PADDING` beyond.
        document: number of the document of each input within the row, shape (T,); padding has one of its own.
        given_targets: shape (T,), where they aren't simply the tokens one further on: the rest of a document
            that was cut begins with a token that isn't the target of what stands before it.
    """

    tokens: np.ndarray
    document: np.ndarray
    given_targets: np.ndarray | None = None

    @property
    def inputs(self) -> np.ndarray:
        """The tokens that have a target, shape (T,); `PADDING` beyond."""
        return np.where(self.targets < 0, PADDING, self.tokens[:-1])

    @property
    def targets(self) -> np.ndarray:
        """What follows each of them in its document, shape (T,); `PADDING` beside padding."""
        return self.tokens[1:] if self.given_targets is None else self.given_targets


@dataclass(frozen=True)
class PackedBatch(Sequence[PackedRow]):
    """Rows of one width, stacked: a sequence of `PackedRow` that needn't be taken apart.

    Attributes:
        inputs: shape (rows, T), int64, `PADDING` where there is none.
        targets: shape (rows, T), int64.
        document: shape (rows, T), int64.
    """

    inputs: np.ndarray
    targets: np.ndarray
    document: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> PackedRow: ...

    @overload
    def __getitem__(self, index: slice) -> "PackedBatch": ...

    def __getitem__(self, index: int | slice) -> "PackedRow | PackedBatch":
        inputs, targets, document = self.inputs[index], self.targets[index], self.document[index]
        if isinstance(index, slice):
            return PackedBatch(inputs, targets, document)
        tokens = np.append(inputs, PADDING)
        tokens[1:] = np.where(tokens[1:] < 0, targets, tokens[1:])
        return PackedRow(tokens, document, targets)


def stacked(rows: Sequence[PackedRow]) -> PackedBatch:
    """Return rows as one batch; rows of one width, unless they are a batch already."""
    if isinstance(rows, PackedBatch):
        return rows
    return PackedBatch(
        np.stack([row.inputs for row in rows]),
        np.stack([row.targets for row in rows]),
        np.stack([row.document for row in rows]),
    )
