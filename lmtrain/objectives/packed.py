"""Rows of token ids as objectives take them: documents beside each other, each slot with its target."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

PADDING = -1
"""Marks what is no token."""


@dataclass(frozen=True)
class Frame:
    """How documents are cut into pieces for objectives that look at both sides of a token.

    Attributes:
        tokens: of a document in a full piece.
        opening: id of the token before each piece; None for none.
        closing: id of the token behind it.
        starts: columns of the shards that tell where something begins (`lmtrain.schemas.STARTS`), as needed.
    """

    tokens: int
    opening: int | None = None
    closing: int | None = None
    starts: tuple[str, ...] = ()

    @property
    def full(self) -> int:
        """Slots of a full piece."""
        return self.tokens + (self.opening is not None) + (self.closing is not None)

    def slots(self, lengths: np.ndarray) -> np.ndarray:
        """Return the slots of documents of so many tokens, at least one each; shape of the argument."""
        pieces = -(-lengths.astype(np.int64) // self.tokens)
        return lengths + pieces * (self.full - self.tokens)

    def as_numbers(self) -> tuple[int, int, int]:
        """Return tokens, opening and closing, -1 for none: as kernels take them."""
        opening, closing = (-1 if token is None else token for token in (self.opening, self.closing))
        return self.tokens, opening, closing


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
        starts: by column, whether something begins at a slot, shape (rows, T) each.
        first_document: which document of all opens each row, shape (rows,), where pieces are framed.
    """

    inputs: np.ndarray
    targets: np.ndarray
    document: np.ndarray
    starts: dict[str, np.ndarray] = field(default_factory=dict)
    first_document: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @overload
    def __getitem__(self, index: int) -> PackedRow: ...

    @overload
    def __getitem__(self, index: slice) -> "PackedBatch": ...

    def __getitem__(self, index: int | slice) -> "PackedRow | PackedBatch":
        inputs, targets, document = self.inputs[index], self.targets[index], self.document[index]
        if isinstance(index, slice):
            starts = {name: marks[index] for name, marks in self.starts.items()}
            first = None if self.first_document is None else self.first_document[index]
            return PackedBatch(inputs, targets, document, starts, first)
        tokens = np.append(inputs, PADDING)
        tokens[1:] = np.where(tokens[1:] < 0, targets, tokens[1:])
        return PackedRow(tokens, document, targets)


def positions(document: np.ndarray) -> np.ndarray:
    """Return the place of each token since its document began in the row, shape (rows, T).

    Args:
        document: number of the document of each token within its row, shape (rows, T).
    """
    places = np.broadcast_to(np.arange(document.shape[1]), document.shape)
    begins = np.ones_like(document, dtype=bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)


def stacked(rows: Sequence[PackedRow]) -> PackedBatch:
    """Return rows as one batch; rows of one width, unless they are a batch already."""
    if isinstance(rows, PackedBatch):
        return rows
    return PackedBatch(
        np.stack([row.inputs for row in rows]),
        np.stack([row.targets for row in rows]),
        np.stack([row.document for row in rows]),
    )
