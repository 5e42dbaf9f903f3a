"""Documents of token shards as rows of equal length. Packing happens here and nowhere else.

A source's shards are one stream: the end token, then each document followed by
the end token. Row r holds the stream's tokens [r·T, r·T + T]: T inputs and, one
further on, T targets. The end token closes one document and opens the next, so
every token of every document is a target once, and no token is dropped; what
is missing at the end of the last row is padded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa

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
    """The token values and document boundaries of one shard, memory-mapped."""

    def __init__(self, path: Path) -> None:
        column = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()["input_ids"]
        chunks = cast("list[pa.ListArray]", column.chunks)
        self.values = [chunk.flatten().to_numpy() for chunk in chunks]  # no copies
        lengths = [np.diff(chunk.offsets.to_numpy()) for chunk in chunks]
        self.starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
        self.chunk_starts = np.concatenate([[0], np.cumsum([len(values) for values in self.values])])

    @property
    def documents(self) -> int:
        return len(self.starts) - 1

    def tokens(self, document: int) -> np.ndarray:
        """Return the tokens of one document; it lies in one record batch."""
        low, high = self.starts[document], self.starts[document + 1]
        if low == high:
            return self.values[0][:0]
        chunk = int(np.searchsorted(self.chunk_starts, low, side="right")) - 1
        base = self.chunk_starts[chunk]
        return self.values[chunk][low - base : high - base]


class _Stream:
    """All shards of one source joined, with the end tokens in between."""

    def __init__(self, paths: list[Path], row_tokens: int, end: int) -> None:
        self.shards = [_Shard(path) for path in paths]
        self.row_tokens = row_tokens
        self.end = end
        counts = [shard.documents for shard in self.shards]
        self.first_document = np.concatenate([[0], np.cumsum(counts)])
        lengths = np.concatenate([np.diff(shard.starts) for shard in self.shards])
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

    def _document(self, number: int) -> np.ndarray:
        shard = int(np.searchsorted(self.first_document, number, side="right")) - 1
        return self.shards[shard].tokens(number - int(self.first_document[shard]))


class PackedRows:
    """Packed rows of the shards of one split, source after source."""

    lengths: np.ndarray | None = None

    def __init__(self, paths_by_source: dict[str, list[Path]], row_tokens: int, end: int) -> None:
        self.streams = [
            _Stream(paths, row_tokens, end) for _, paths in sorted(paths_by_source.items()) if paths
        ]
        self.first_row = np.concatenate([[0], np.cumsum([stream.rows for stream in self.streams])])

    def __len__(self) -> int:
        return int(self.first_row[-1])

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        """Return rows by number."""
        rows = []
        for index in indices:
            stream = int(np.searchsorted(self.first_row, index, side="right")) - 1
            rows.append(self.streams[stream].row(int(index) - int(self.first_row[stream])))
        return rows
