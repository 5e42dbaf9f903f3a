"""Documents of token shards as rows. Packing happens here and nowhere else.

Whatever the packing, a row holds slots of documents of one source
(`lmtrain.training.shards`), every slot of every document stands in one row, and
what is empty at the end of a row is padded: every token is a target once, and so
is the end token that closes each document. Documents that are to be skipped leave
no trace: the rows are those of shards without them.

    concatenate   all slots of a source joined and cut every T: only the last row is padded
    best_fit      documents stay whole where they fit into a row (`lmtrain.training.best_fit`)
    none          a document a row, or a piece of a long one: rows of different lengths

Objectives that look at both sides of a token ask for framed pieces
(`lmtrain.objectives.packed.Frame`), which are packed by best_fit or none.
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lmtrain.errors import CorruptArtifactError
from lmtrain.modeling.fitting import Packing
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch, PackedRow
from lmtrain.training.best_fit import plan_of
from lmtrain.training.order import BucketedOrder
from lmtrain.training.shards import Segments, SourceTokens

__all__ = ["PADDING", "Frame", "PackedBatch", "PackedRow", "PackedRows", "Packing"]

PAD_MULTIPLE = 64
"""Rows of different lengths are padded to a multiple of this: a compiled model meets few shapes."""


class _Layout(Protocol):
    """Which slots of which documents of a source stand in which row."""

    rows: int
    lengths: np.ndarray | None
    """Slots of each row, shape (rows,), where they differ and stay so."""

    def segments(self, rows: np.ndarray) -> Segments:
        """Return what stands in rows."""
        ...

    def rows_of(self, document: int) -> Sequence[int]:
        """Return the rows in which a document stands."""
        ...

    def cut(self) -> int:
        """Return how many documents stand in more than one row."""
        ...


class _Concatenated:
    """All slots of a source joined, and cut every T."""

    lengths = None

    def __init__(self, slots: np.ndarray, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self.starts = np.concatenate([[0], np.cumsum(slots)])
        self.rows = -(-int(self.starts[-1]) // row_tokens)

    def segments(self, rows: np.ndarray) -> Segments:
        low = rows * self.row_tokens
        high = np.minimum(low + self.row_tokens, self.starts[-1])
        first, last = (np.searchsorted(self.starts, place, side="right") - 1 for place in (low, high - 1))
        row, document = _ranges(first, last + 1)
        begin = np.maximum(self.starts[document], low[row])
        count = np.minimum(self.starts[document + 1], high[row]) - begin
        return Segments(row, document, begin - self.starts[document], count)

    def rows_of(self, document: int) -> Sequence[int]:
        low, high = int(self.starts[document]), int(self.starts[document + 1])
        return range(low // self.row_tokens, (high - 1) // self.row_tokens + 1)

    def cut(self) -> int:
        first, last = self.starts[:-1] // self.row_tokens, (self.starts[1:] - 1) // self.row_tokens
        return int((first != last).sum())


class _BestFit:
    """Documents whole where they fit, in as few rows as a good packing finds."""

    lengths = None

    def __init__(self, slots: np.ndarray, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self.slots = slots
        self.plan = plan_of(slots, row_tokens)
        self.rows = self.plan.rows
        self._places: np.ndarray | None = None

    def segments(self, rows: np.ndarray) -> Segments:
        row, piece = _ranges(self.plan.starts[rows], self.plan.starts[rows + 1])
        document, part = (column.astype(np.int64) for column in self.plan.pieces[piece, :2].T)
        first = part * self.row_tokens
        return Segments(row, document, first, np.minimum(self.slots[document] - first, self.row_tokens))

    def rows_of(self, document: int) -> Sequence[int]:
        if self._places is None:
            self._places = np.argsort(self.plan.pieces[:, 0], kind="stable")
        low, high = (
            np.searchsorted(self.plan.pieces[:, 0], document, side=side, sorter=self._places)
            for side in ("left", "right")
        )
        places = self._places[low:high]
        return sorted((np.searchsorted(self.plan.starts, places, side="right") - 1).tolist())

    def cut(self) -> int:
        return int((self.slots > self.row_tokens).sum())


class _Single:
    """A document a row; long ones go on in the rows after theirs."""

    def __init__(self, slots: np.ndarray, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self.slots = slots
        self.starts = np.concatenate([[0], np.cumsum(-(-slots // row_tokens))])
        self.rows = int(self.starts[-1])
        self.lengths = self.segments(np.arange(self.rows)).count

    def segments(self, rows: np.ndarray) -> Segments:
        document = np.searchsorted(self.starts, rows, side="right") - 1
        first = (rows - self.starts[document]) * self.row_tokens
        count = np.minimum(self.slots[document] - first, self.row_tokens)
        return Segments(np.arange(len(rows)), document, first, count)

    def rows_of(self, document: int) -> Sequence[int]:
        return range(int(self.starts[document]), int(self.starts[document + 1]))

    def cut(self) -> int:
        return int((self.slots > self.row_tokens).sum())


_LAYOUTS: dict[Packing, type[Any]] = {"concatenate": _Concatenated, "best_fit": _BestFit, "none": _Single}


def _ranges(first: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for ranges joined, the number of the range and each of its members, shape (members,) each."""
    sizes = stop - first
    number = np.repeat(np.arange(len(sizes)), sizes)
    return number, np.arange(len(number)) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)


class PackedRows:
    """Rows of the shards of one split, source after source.

    Attributes:
        sources: their names, sorted, of those that have shards.
        first_row: number of each source's first row, and of all rows at the end, shape (sources + 1,).
        first_document: number of each source's first document, and of all at the end.
        lengths: slots of each row, shape (rows,), where rows aren't packed; else None.
    """

    def __init__(
        self,
        paths_by_source: dict[str, list[Path]],
        row_tokens: int,
        end: int,
        skipped: Set[str] = frozenset(),
        packing: Packing = "concatenate",
        vocabulary: int | None = None,
        frame: Frame | None = None,
    ) -> None:
        """Open shards.

        Args:
            paths_by_source: shards of each source, in the manifest's order.
            row_tokens: T, the most slots of a row.
            end: id of the end token.
            skipped: ids of documents that are left out.
            packing: how rows are made of documents.
            vocabulary: ids that a model has; rows with others are refused. None: not looked at.
            frame: of the pieces of documents, of which a full one fills a row; None to learn what follows.
                Pieces aren't cut, so they can't be concatenated.

        Raises:
            CorruptArtifactError: a file isn't a whole Arrow stream.
            RecipeError: the shards lack a column that the frame asks for; names it.
        """
        assert frame is None or (packing != "concatenate" and row_tokens == frame.full)
        self.row_tokens = row_tokens
        self.frame = frame
        self.packing: Packing = packing
        self.vocabulary = vocabulary
        self.sources = [source for source, paths in sorted(paths_by_source.items()) if paths]
        self.tokens = [SourceTokens(paths_by_source[source], end, skipped, frame) for source in self.sources]
        self.first_document = np.cumsum([0, *map(len, self.tokens)])
        self.layouts: list[_Layout] = [_LAYOUTS[packing](one.slots, row_tokens) for one in self.tokens]
        self.first_row = np.cumsum([0, *(layout.rows for layout in self.layouts)])
        own = [layout.lengths for layout in self.layouts if layout.lengths is not None]
        self.lengths: np.ndarray | None = np.concatenate(own) if own else None

    def __len__(self) -> int:
        return int(self.first_row[-1])

    def take(self, indices: np.ndarray) -> PackedBatch:
        """Return rows by number, padded to one width: T, or as the longest needs it where they differ.

        Raises:
            CorruptArtifactError: a row holds an id that the vocabulary lacks.
        """
        shape = (len(indices), self._width(indices))
        inputs, targets, document = (np.empty(shape, dtype=np.int64) for _ in range(3))
        batch = PackedBatch(inputs, targets, document)
        if self.frame is not None:
            starts = {name: np.zeros(shape, dtype=bool) for name in self.frame.starts}
            batch = replace(batch, starts=starts, first_document=np.empty(len(indices), dtype=np.int64))
        for source, places, segments in self._segments(indices):
            largest = self.tokens[source].fill(segments, places, batch)
            if batch.first_document is not None:
                opening = segments.document[np.searchsorted(segments.row, np.arange(len(places)))]
                batch.first_document[places] = self.first_document[source] + opening
            if self.vocabulary is not None and largest >= self.vocabulary:
                raise CorruptArtifactError(
                    f"the shards of source {self.sources[source]} hold token {largest}, but the vocabulary "
                    f"has {self.vocabulary} entries: tokenize with the tokenizer of the model"
                )
        return batch

    def _width(self, indices: np.ndarray) -> int:
        if self.lengths is None:
            return self.row_tokens
        longest = int(self.lengths[indices].max(initial=1))
        return min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, self.row_tokens)

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the ids of the documents in each of these rows, in their order."""
        found: list[list[str]] = [[] for _ in indices]
        for source, places, segments in self._segments(indices):
            ids = self.tokens[source].ids(segments.document)
            for place, identity in zip(places[segments.row], ids, strict=True):
                found[place].append(identity)
        return found

    def _segments(self, indices: np.ndarray) -> list[tuple[int, np.ndarray, Segments]]:
        """Return by source the places among the indices of its rows, and what stands in them."""
        indices = np.asarray(indices, dtype=np.int64)
        sources = np.searchsorted(self.first_row, indices, side="right") - 1
        found = []
        for source in np.unique(sources):
            places = np.flatnonzero(sources == source)
            own = indices[places] - self.first_row[source]
            found.append((int(source), places, self.layouts[source].segments(own)))
        return found

    def rows_of(self, ids: Set[str]) -> dict[str, Sequence[int]]:
        """Return the rows in which documents have tokens, by id; those that aren't there are left out."""
        found: dict[str, Sequence[int]] = {}
        for tokens, layout, first in zip(self.tokens, self.layouts, self.first_row.tolist(), strict=False):
            for identity, document in tokens.numbers(ids):
                has_tokens = self.frame is not None or tokens.slots[document] > 1
                rows = layout.rows_of(document) if has_tokens else ()
                found[identity] = [first + row for row in rows]
        return found

    def figures(self) -> dict[str, Any]:
        """Return rows, the share of slots that are padding, and the share of documents that are cut.

        Where rows aren't packed, padding is what the longest row needs within each run of rows of like
        length that stand together (`lmtrain.training.order.BucketedOrder`).
        """
        slots = sum(int(one.slots.sum()) for one in self.tokens)
        documents = sum(map(len, self.tokens))
        whole = len(self) * self.row_tokens
        if self.lengths is not None:
            whole = BucketedOrder(self.lengths, seed=0).padded(PAD_MULTIPLE, self.row_tokens)
        cut = sum(layout.cut() for layout in self.layouts)
        return {
            "kind": self.packing,
            "rows": len(self),
            "padding": round(1 - slots / max(1, whole), 6),
            "documents_cut": round(cut / max(1, documents), 6),
        }
