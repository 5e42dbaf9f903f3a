"""The documents of one source's shards, memory-mapped, and their tokens copied into rows.

A document of n tokens has n + 1 *slots*: the end token opens it, and the target
of each slot is what follows, at last the end token that closes it. So every token
is a target once, and a document's slots may stand anywhere, in any number of pieces.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmtrain.errors import CorruptArtifactError
from lmtrain.objectives.packed import PADDING, PackedBatch
from lmtrain.text.kernels import kernel


@dataclass(frozen=True)
class Segments:
    """Spans of documents' slots in rows, in the order in which they stand there; each of shape (segments,).

    Attributes:
        row: which of the rows asked for, rising.
        document: number of the document in its source.
        first: its first slot that stands in the row.
        count: how many do, at least one.
    """

    row: np.ndarray
    document: np.ndarray
    first: np.ndarray
    count: np.ndarray

    def before(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of a value over the earlier segments of each segment's row."""
        sums = np.cumsum(values) - values
        return sums - sums[np.searchsorted(self.row, self.row)]


class _Shard:
    """Tokens and document boundaries of one shard; documents skipped don't count.

    Attributes:
        words: the file as token ids, what else it holds among them: nothing is copied.
        places: of each document's first token in `words`, shape (documents,), int64.
        lengths: tokens of each document, shape (documents,), int32.
    """

    def __init__(self, path: Path, skipped: Set[str]) -> None:
        self.path = path
        mapped = pa.memory_map(str(path))
        whole = mapped.read_buffer(mapped.size())
        try:
            table = pa.ipc.open_stream(pa.BufferReader(whole)).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            told = " ".join(str(error).split())
            raise CorruptArtifactError(
                f"{path} isn't a whole Arrow stream ({told}): delete it and run again"
            ) from error
        chunks = cast("list[pa.ListArray]", table["input_ids"].chunks)
        width = np.dtype(table.schema.field("input_ids").type.value_type.to_pandas_dtype())
        self.words = np.frombuffer(memoryview(whole), dtype=width, count=whole.size // width.itemsize)
        bounds = [(_begin(chunk, whole, width.itemsize), chunk.offsets.to_numpy()) for chunk in chunks]
        places = [np.add(offsets[:-1], begin, dtype=np.int64) for begin, offsets in bounds]
        self.places = np.concatenate([np.empty(0, np.int64), *places])
        self.lengths = np.concatenate([np.empty(0, np.int32), *(np.diff(offsets) for _, offsets in bounds)])
        self.kept = _places_kept(table["id"], skipped)
        if self.kept is not None:
            self.places, self.lengths = self.places[self.kept], self.lengths[self.kept]

    def ids(self) -> pa.ChunkedArray:
        """Return the documents' ids; they are read each time."""
        ids = pa.ipc.open_stream(pa.memory_map(str(self.path))).read_all()["id"]
        return ids if self.kept is None else ids.take(self.kept)


def _begin(chunk: pa.ListArray, whole: pa.Buffer, item_bytes: int) -> int:
    """Return where the values of a record batch begin in the file, in tokens."""
    values = chunk.values
    buffer = values.buffers()[1]
    if buffer is None or not buffer.size:
        return 0
    begin = buffer.address - whole.address
    assert 0 <= begin < whole.size, "shards aren't compressed: their values lie in the mapped file"
    return begin // item_bytes + values.offset


def _places_kept(ids: pa.ChunkedArray, skipped: Set[str]) -> np.ndarray | None:
    """Return the places of documents that aren't skipped, shape (documents,); None where none is skipped."""
    if not skipped:
        return None
    gone = pc.is_in(ids, pa.array(sorted(skipped), pa.string())).to_numpy()
    return np.flatnonzero(~gone) if gone.any() else None


class SourceTokens:
    """All documents of one source, numbered over its shards in the manifest's order.

    Attributes:
        slots: of each document, its tokens and one, shape (documents,), int32.
    """

    def __init__(self, paths: list[Path], end: int, skipped: Set[str] = frozenset()) -> None:
        """Open shards.

        Args:
            paths: of the shards.
            end: id of the end token.
            skipped: ids of documents that don't count.

        Raises:
            CorruptArtifactError: a file isn't a whole Arrow stream.
        """
        self.end = end
        self.shards = [_Shard(path, skipped) for path in paths]
        self._first = np.cumsum([0, *(len(shard.lengths) for shard in self.shards)])
        self.slots = np.concatenate([shard.lengths for shard in self.shards]) + 1

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def tokens(self) -> int:
        """Tokens of all documents, end tokens not counted."""
        return int(self.slots.sum()) - len(self.slots)

    def fill(self, segments: Segments, rows: np.ndarray, batch: PackedBatch) -> int:
        """Copy segments into rows of a batch, and mark what stays empty there.

        Args:
            segments: what stands in which row.
            rows: place in the batch of each row that segments speak of, shape (rows,).
            batch: written to.

        Returns:
            The largest token id, the end token's at least.
        """
        width = batch.inputs.shape[1]
        flat = [array.reshape(-1) for array in (batch.inputs, batch.targets, batch.document)]
        number = segments.before(np.ones_like(segments.count))
        to = rows[segments.row] * width + segments.before(segments.count)
        shards = np.searchsorted(self._first, segments.document, side="right") - 1
        largest = self.end
        for index in np.unique(shards).tolist():
            chosen = np.flatnonzero(shards == index)
            own, shard = segments.document[chosen] - self._first[index], self.shards[index]
            spans = (shard.places[own], shard.lengths[own], segments.first[chosen], segments.count[chosen])
            seen = _copy(shard.words, *spans, to[chosen], number[chosen], self.end, *flat)
            largest = max(largest, int(seen))
        used = np.bincount(segments.row, weights=segments.count, minlength=len(rows)).astype(np.int64)
        numbers = np.bincount(segments.row, minlength=len(rows))
        _pad(rows * width, used, numbers, width, *flat)
        return largest

    def ids(self, documents: np.ndarray) -> list[str]:
        """Return the ids of documents."""
        shards = np.searchsorted(self._first, documents, side="right") - 1
        columns = {int(shard): self.shards[shard].ids() for shard in np.unique(shards)}
        pairs = zip(shards, documents, strict=True)
        return [columns[int(shard)][int(one - self._first[shard])].as_py() for shard, one in pairs]

    def numbers(self, ids: Set[str]) -> Iterator[tuple[str, int]]:
        """Yield id and number of the documents that are there."""
        wanted = pa.array(sorted(ids), pa.string())
        for shard, first in zip(self.shards, self._first, strict=False):
            own = shard.ids()
            for place in np.flatnonzero(pc.is_in(own, wanted).to_numpy()):
                yield own[int(place)].as_py(), int(first + place)


@kernel
def _copy(
    words: np.ndarray,
    places: np.ndarray,
    lengths: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    to: np.ndarray,
    number: np.ndarray,
    end: int,
    inputs: np.ndarray,
    targets: np.ndarray,
    document: np.ndarray,
) -> np.int64:
    """Copy segments of one shard's documents to places of flat rows; return the largest token id."""
    largest = np.int64(0)
    for index in range(len(places)):
        begin, begun, slots = to[index], first[index], count[index]
        opens = 1 if begun == 0 else 0
        closes = 1 if begun + slots == lengths[index] + 1 else 0
        source = places[index] + begun - 1
        if opens:
            inputs[begin] = end
        for slot in range(opens, slots):
            inputs[begin + slot] = words[source + slot]
        for slot in range(slots - closes):
            token = np.int64(words[source + 1 + slot])
            targets[begin + slot] = token
            largest = max(largest, token)
        if closes:
            targets[begin + slots - 1] = end
        document[begin : begin + slots] = number[index]
    return largest


@kernel
def _pad(
    begins: np.ndarray,
    used: np.ndarray,
    numbers: np.ndarray,
    width: int,
    inputs: np.ndarray,
    targets: np.ndarray,
    document: np.ndarray,
) -> None:
    """Mark what is empty at the end of rows; it is a document of its own."""
    for row in range(len(begins)):
        low, high = begins[row] + used[row], begins[row] + width
        inputs[low:high] = PADDING
        targets[low:high] = PADDING
        document[low:high] = numbers[row]
