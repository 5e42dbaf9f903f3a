"""Documents of token shards as rows of equal length. Packing happens here and nowhere else.

A source's shards are one stream: the end token, then each document followed by
the end token. Row r holds the stream's tokens [r·T, r·T + T]: T inputs and, one
further on, T targets. The end token closes one document and opens the next, so
every token of every document is a target once, and no token is dropped; what
is missing at the end of the last row is padded. Documents that are to be skipped
leave no trace: the stream is that of shards without them.
"""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PADDING = -1
"""Marks what is no token, in rows of the packed stream."""


@dataclass(frozen=True)
class PackedRow:
    """One row.

    Attributes:
        tokens: shape (T + 1,), `PADDING` beyond the stream's end.
        document: number of the document of each input within the row, shape (T,).
    """

    tokens: np.ndarray
    document: np.ndarray


class _Shard:
    """The token values and document boundaries of one shard, memory-mapped; documents skipped don't count."""

    def __init__(self, path: Path, skipped: Set[str]) -> None:
        table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        self.path = path
        self.kept = _places_kept(table["id"], skipped)
        column = table["input_ids"]
        chunks = cast("list[pa.ListArray]", column.chunks)
        self.values = [chunk.flatten().to_numpy() for chunk in chunks]  # no copies
        lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in chunks]
        self.starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
        self.chunk_starts = np.concatenate([[0], np.cumsum([len(values) for values in self.values])])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, shape (documents,)."""
        lengths = np.diff(self.starts)
        return lengths if self.kept is None else lengths[self.kept]

    def ids(self) -> pa.ChunkedArray:
        """Return the documents' ids; they are read each time."""
        ids = pa.ipc.open_stream(pa.memory_map(str(self.path))).read_all()["id"]
        return ids if self.kept is None else ids.take(self.kept)

    def tokens(self, document: int) -> np.ndarray:
        """Return the tokens of one document; it lies in one record batch."""
        if self.kept is not None:
            document = int(self.kept[document])
        low, high = self.starts[document], self.starts[document + 1]
        if low == high:
            return self.values[0][:0]
        chunk = int(np.searchsorted(self.chunk_starts, low, side="right")) - 1
        base = self.chunk_starts[chunk]
        return self.values[chunk][low - base : high - base]


def _places_kept(ids: pa.ChunkedArray, skipped: Set[str]) -> np.ndarray | None:
    """Return the places of documents that aren't skipped, shape (documents,); None where none is skipped."""
    if not skipped:
        return None
    gone = pc.is_in(ids, pa.array(sorted(skipped), pa.string())).to_numpy()
    return np.flatnonzero(~gone) if gone.any() else None


class _Stream:
    """All shards of one source joined, with the end tokens in between."""

    def __init__(self, paths: list[Path], row_tokens: int, end: int, skipped: Set[str]) -> None:
        self.shards = [_Shard(path, skipped) for path in paths]
        self.row_tokens = row_tokens
        self.end = end
        by_shard = [shard.lengths for shard in self.shards]
        self.first_document = np.concatenate([[0], np.cumsum([len(lengths) for lengths in by_shard])])
        lengths = np.concatenate(by_shard)
        self.starts = np.concatenate([[0], np.cumsum(lengths + 1)])  # of each opening end token
        self.targets = int(self.starts[-1])
        self.rows = -(-self.targets // row_tokens)

    def row(self, index: int) -> PackedRow:
        low = index * self.row_tokens
        high = min(low + self.row_tokens + 1, self.targets + 1)
        tokens = np.full(self.row_tokens + 1, PADDING, dtype=np.int64)
        document = np.zeros(self.row_tokens + 1, dtype=np.int64)
        first = int(np.searchsorted(self.starts, low, side="right")) - 1
        last = int(np.searchsorted(self.starts, high - 1, side="right")) - 1
        for number in range(first, last + 1):
            start = int(self.starts[number])
            document[max(start, low) - low :] = number - first
            if low <= start < high:
                tokens[start - low] = self.end
            if number < len(self.starts) - 1:
                values = self._document(number)
                begin, stop = max(start + 1, low), min(start + 1 + len(values), high)
                tokens[begin - low : stop - low] = values[begin - start - 1 : stop - start - 1]
        document[high - low :] = last - first + 1
        return PackedRow(tokens, document[:-1])

    def documents(self, index: int) -> list[str]:
        """Return the ids of the documents of which a row has tokens, in their order."""
        low = index * self.row_tokens
        high = min(low + self.row_tokens + 1, self.targets)
        first = int(np.searchsorted(self.starts, low, side="right")) - 1
        last = int(np.searchsorted(self.starts, high - 1, side="right")) - 1
        found = []
        for number in range(first, last + 1):
            shard = int(np.searchsorted(self.first_document, number, side="right")) - 1
            found.append(self.shards[shard].ids()[number - int(self.first_document[shard])].as_py())
        return found

    def rows_of(self, ids: Set[str]) -> dict[str, range]:
        """Return the rows in which tokens of documents stand as inputs or targets, by id."""
        wanted, found = pa.array(sorted(ids), pa.string()), {}
        for shard, first in zip(self.shards, self.first_document, strict=False):
            own = shard.ids()
            for place in np.flatnonzero(pc.is_in(own, wanted).to_numpy()):
                low, high = (int(self.starts[first + place + side]) for side in (0, 1))  # both end tokens
                tokens = high - low > 1
                found[own[int(place)].as_py()] = (
                    range(low // self.row_tokens, (high - 1) // self.row_tokens + 1) if tokens else range(0)
                )
        return found

    def _document(self, number: int) -> np.ndarray:
        shard = int(np.searchsorted(self.first_document, number, side="right")) - 1
        return self.shards[shard].tokens(number - int(self.first_document[shard]))


class PackedRows:
    """Packed rows of the shards of one split, source after source.

    Args:
        paths_by_source: shards of each source, in the manifest's order.
        row_tokens: T.
        end: id of the end token.
        skipped: ids of documents that are left out.
    """

    lengths: np.ndarray | None = None

    def __init__(
        self,
        paths_by_source: dict[str, list[Path]],
        row_tokens: int,
        end: int,
        skipped: Set[str] = frozenset(),
    ) -> None:
        self.streams = [
            _Stream(paths, row_tokens, end, skipped) for _, paths in sorted(paths_by_source.items()) if paths
        ]
        self.first_row = np.concatenate([[0], np.cumsum([stream.rows for stream in self.streams])])

    def __len__(self) -> int:
        return int(self.first_row[-1])

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        """Return rows by number."""
        return [stream.row(row) for stream, row in map(self._place, indices)]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the ids of the documents in each of these rows."""
        return [stream.documents(row) for stream, row in map(self._place, indices)]

    def _place(self, index: int) -> tuple[_Stream, int]:
        stream = int(np.searchsorted(self.first_row, index, side="right")) - 1
        return self.streams[stream], int(index) - int(self.first_row[stream])

    def rows_of(self, ids: Set[str]) -> dict[str, range]:
        """Return by number the rows in which documents stand, by id; those that aren't there are left out."""
        return {
            identity: range(rows.start + int(first), rows.stop + int(first))
            for stream, first in zip(self.streams, self.first_row, strict=False)
            for identity, rows in stream.rows_of(ids).items()
        }
