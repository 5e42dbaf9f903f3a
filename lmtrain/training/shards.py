"""The documents of one source's shards, memory-mapped, and their tokens copied into rows.

To learn what follows, a document of n tokens has n + 1 *slots*: the end token opens it,
and the target of each slot is what comes next, at last the end token that closes it. So
every token is a target once, and a document's slots may stand anywhere, in any number of
pieces.

Objectives that look at both sides of a token read *framed* pieces instead: a document is cut
into pieces of so many tokens, each opened and closed by tokens of its own; these stand in
slots, too, and a slot's target is the token that stands there. Full pieces fill a row
exactly, so that the same packings serve both.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmtrain.errors import CorruptArtifactError, RecipeError
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch
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


class _Lists:
    """A column of lists in a shard, mapped into memory; documents skipped don't count.

    Attributes:
        words: the file as items of the column's type, what else it holds among them: nothing is copied.
        places: of each document's first item in `words`, shape (documents,), int64.
        lengths: items of each document, shape (documents,), int32.
    """

    def __init__(self, table: pa.Table, name: str, whole: pa.Buffer, kept: np.ndarray | None) -> None:
        chunks = cast("list[pa.ListArray]", table[name].chunks)
        width = np.dtype(table.schema.field(name).type.value_type.to_pandas_dtype())
        self.words = np.frombuffer(memoryview(whole), dtype=width, count=whole.size // width.itemsize)
        bounds = [(_begin(chunk, whole, width.itemsize), chunk.offsets.to_numpy()) for chunk in chunks]
        places = [np.add(offsets[:-1], begin, dtype=np.int64) for begin, offsets in bounds]
        self.places = np.concatenate([np.empty(0, np.int64), *places])
        self.lengths = np.concatenate([np.empty(0, np.int32), *(np.diff(offsets) for _, offsets in bounds)])
        if kept is not None:
            self.places, self.lengths = self.places[kept], self.lengths[kept]


class _Shard:
    """Tokens and document boundaries of one shard; documents skipped don't count.

    Attributes:
        tokens: of its documents.
        starts: columns of token positions, by name.
    """

    def __init__(self, path: Path, skipped: Set[str], starts: Sequence[str], least: int) -> None:
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
        for name in starts:
            if name not in table.schema.names:
                raise RecipeError(
                    f"the shards have no {name}, which the objective needs: set tokenize.{name}: true"
                )
        self.kept = _places_kept(table, skipped, least)
        self.tokens = _Lists(table, "input_ids", whole, self.kept)
        self.starts = {name: _Lists(table, name, whole, self.kept) for name in starts}

    def ids(self) -> pa.ChunkedArray:
        """Return the documents' ids; they are read each time."""
        ids = pa.ipc.open_stream(pa.memory_map(str(self.path))).read_all()["id"]
        return ids if self.kept is None else ids.take(self.kept)


def _begin(chunk: pa.ListArray, whole: pa.Buffer, item_bytes: int) -> int:
    """Return where the values of a record batch begin in the file, in items."""
    values = chunk.values
    buffer = values.buffers()[1]
    if buffer is None or not buffer.size:
        return 0
    begin = buffer.address - whole.address
    assert 0 <= begin < whole.size, "shards aren't compressed: their values lie in the mapped file"
    return begin // item_bytes + values.offset


def _places_kept(table: pa.Table, skipped: Set[str], least: int) -> np.ndarray | None:
    """Return the places of documents that count, shape (documents,); None where all do.

    Args:
        table: of a shard.
        skipped: ids of those that don't.
        least: tokens below which one doesn't either.
    """
    counts = np.ones(table.num_rows, dtype=bool)
    if skipped:
        counts &= ~pc.is_in(table["id"], pa.array(sorted(skipped), pa.string())).to_numpy()
    if least:
        counts &= pc.list_value_length(table["input_ids"]).to_numpy() >= least
    return None if counts.all() else np.flatnonzero(counts)


class SourceTokens:
    """All documents of one source, numbered over its shards in the manifest's order.

    Attributes:
        slots: of each document, shape (documents,): its tokens and one, or as its frames need.
        tokens: of all documents, without those that frame them.
    """

    def __init__(
        self, paths: list[Path], end: int, skipped: Set[str] = frozenset(), frame: Frame | None = None
    ) -> None:
        """Open shards.

        Args:
            paths: of the shards.
            end: id of the end token.
            skipped: ids of documents that don't count.
            frame: of the pieces of documents; None to learn what follows. Framed, a document without tokens
                doesn't count.

        Raises:
            CorruptArtifactError: a file isn't a whole Arrow stream.
            RecipeError: the shards lack a column that the frame asks for; names it.
        """
        self.end = end
        self.frame = frame
        starts = () if frame is None else frame.starts
        self.shards = [_Shard(path, skipped, starts, least=0 if frame is None else 1) for path in paths]
        lengths = np.concatenate([shard.tokens.lengths for shard in self.shards])
        self._first = np.cumsum([0, *(len(shard.tokens.lengths) for shard in self.shards)])
        self.tokens = int(lengths.sum())
        self.slots = lengths + 1 if frame is None else frame.slots(lengths)

    def __len__(self) -> int:
        return len(self.slots)

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
            tokens = shard.tokens
            spans = (tokens.places[own], tokens.lengths[own], segments.first[chosen], segments.count[chosen])
            places = (to[chosen], number[chosen])
            if self.frame is None:
                seen = _copy(tokens.words, *spans, *places, self.end, *flat)
            else:
                seen = _copy_framed(tokens.words, *spans, *places, *self.frame.as_numbers(), *flat)
                for name, column in shard.starts.items():
                    where = (column.places[own], column.lengths[own], segments.first[chosen])
                    frame = self.frame.as_numbers()
                    _mark(
                        column.words, *where, segments.count[chosen], to[chosen], *frame,
                        batch.starts[name].reshape(-1),
                    )  # fmt: skip
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
def _copy_framed(
    words: np.ndarray,
    places: np.ndarray,
    lengths: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    to: np.ndarray,
    number: np.ndarray,
    tokens: int,
    opening: int,
    closing: int,
    inputs: np.ndarray,
    targets: np.ndarray,
    document: np.ndarray,
) -> np.int64:
    """Copy pieces of one shard's documents to places of flat rows; return the largest token id.

    A segment is a piece: its first slot is a multiple of a full piece's slots. `opening` and `closing`
    are -1 where pieces aren't framed on that side.
    """
    largest = np.int64(0)
    opens, closes = (1 if opening >= 0 else 0), (1 if closing >= 0 else 0)
    frame = opens + closes
    for index in range(len(places)):
        begin, slots = to[index], count[index]
        source = places[index] + first[index] // (tokens + frame) * tokens
        if opens:
            inputs[begin] = opening
        for slot in range(slots - frame):
            token = np.int64(words[source + slot])
            inputs[begin + opens + slot] = token
            largest = max(largest, token)
        if closes:
            inputs[begin + slots - 1] = closing
        targets[begin : begin + slots] = inputs[begin : begin + slots]
        document[begin : begin + slots] = number[index]
    return largest


@kernel
def _mark(
    words: np.ndarray,
    places: np.ndarray,
    lengths: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    to: np.ndarray,
    tokens: int,
    opening: int,
    closing: int,
    marks: np.ndarray,
) -> None:
    """Mark in flat rows where something begins in pieces of one shard's documents.

    `words` hold the rising token positions of each document at which it does.
    """
    opens = 1 if opening >= 0 else 0
    frame = opens + (1 if closing >= 0 else 0)
    for index in range(len(places)):
        low = first[index] // (tokens + frame) * tokens
        high = low + count[index] - frame
        own = words[places[index] : places[index] + lengths[index]]
        for place in range(np.searchsorted(own, low), np.searchsorted(own, high)):
            marks[to[index] + opens + np.int64(own[place]) - low] = True


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
