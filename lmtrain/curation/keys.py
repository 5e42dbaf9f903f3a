"""Which documents have something in common: an id, a normalized text, or a band of their MinHash.

    documents ─ keys (each group of files) → by key ─ share (each range of keys) → links, and buckets by group

In: what the first pass wrote, and the signatures of earlier artifacts. Out: links
of documents with the same id or text, and which buckets each of the others is in. A
bucket is known by a hash of who is in it, so that near copies, which share most of
their bands, are looked at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lmtrain.building import ShardOutput
from lmtrain.curation.batches import Batches, write_batches
from lmtrain.curation.columns import flat_values, take, values
from lmtrain.curation.components import ROW_BITS, mixed, places_of_groups, spanning_forest, write_pairs
from lmtrain.curation.judging import Part
from lmtrain.manifest import FileRecord, open_record
from lmtrain.text import similarity

KEYS_OF_A_RANGE = 1_000_000
"""Keys that one task sorts: about 130 MB of memory."""

BYTES_OF_A_TASK = 32_000_000
"""Of the documents that one task compares, about; it takes five times as much memory. Neither a bucket nor
a component is cut: a larger one is a task of its own."""

GROUP_DOCUMENTS = 20_000
"""Files are taken together as long as they have no more documents,"""

GROUP_BYTES = 64_000_000
"""and no more bytes."""

KEY_BITS = 48
"""Of band keys: 10^10 documents then have less than one false link in a thousand each."""

_BAND, _TEXT, _ID = 0, 1, 2
"""What a key is of: its two upper bits."""

REPRESENTED = np.uint64(0)
"""A bucket that nobody is compared in: an equal text stands in for the document."""

_FIXED_BYTES = 250
"""Of a document in a bin, beside its shingles: bands, hash, id."""


@dataclass(frozen=True)
class Compared:
    """A file of documents that are compared. Travels to workers.

    Attributes:
        number: of the file; those of earlier artifacts come last.
        root: where it lies.
        record: what the first pass wrote of a part, or signatures of an earlier artifact.
        part: the part that was judged; None for an earlier artifact.
    """

    number: int
    root: str
    record: FileRecord
    part: Part | None

    @property
    def name(self) -> str:
        """Name of its shards."""
        return f"{self.number:06d}"


@dataclass(frozen=True)
class Group:
    """Some files, and their place among the groups. Travels to workers."""

    place: int
    files: list[Compared]

    @property
    def name(self) -> str:
        """Name of its shards."""
        return self.files[0].name

    def rows(self, documents: np.ndarray) -> Iterator[tuple[Compared, np.ndarray]]:
        """Yield the files that documents are of, with their rows.

        Args:
            documents: numbers in order, shape (documents,), int64.
        """
        for one in self.files:
            begin, end = np.searchsorted(documents, np.array([0, 1]) + one.number << ROW_BITS)
            if begin < end:
                yield one, documents[begin:end] & ((1 << ROW_BITS) - 1)


def groups_of(compared: Sequence[Compared]) -> list[Group]:
    """Take files together, in their order, so that a task has enough to do.

    Args:
        compared: all files; their records say how many rows they have.
    """
    groups: list[list[Compared]] = []
    documents = size = 0
    for one in compared:
        rows = one.record.rows or 0
        if not groups or documents + rows > GROUP_DOCUMENTS or size + one.record.bytes > GROUP_BYTES:
            groups.append([])
            documents = size = 0
        groups[-1].append(one)
        documents, size = documents + rows, size + one.record.bytes
    return [Group(place, files) for place, files in enumerate(groups)]


def write_keys(group: Group, ranges: int, output: ShardOutput) -> None:
    """Write `keys-FIRST.arrow`: the keys of each document, a batch for each range; tell how much there is.

    Args:
        group: of files.
        ranges: number of ranges of keys.
        output: where it goes; told the documents and their shingles.
    """
    tables = [pa.table(_keys_of(one)) for one in group.files]
    table = pa.concat_tables(tables)
    places = (table["key"].to_numpy() % np.uint64(ranges)).astype(np.int64)
    write_batches(table, places, f"keys-{group.name}.arrow", output)
    documents = sum(len(np.unique(each["document"].to_numpy())) for each in tables)
    output.stats = {"documents": documents, "shingles": sum(map(_shingles_of, group.files))}


def _keys_of(compared: Compared) -> dict[str, pa.Array]:
    table, rows = _candidates(compared, ["id", "text_hash", "bands"])
    bands = band_keys(table["bands"], compared)
    own = np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in values(table["id"])], np.uint64)
    text = np.array([int.from_bytes(one[:8], "little") for one in values(table["text_hash"])], np.uint64)
    own, text = (given >> np.uint64(2) | np.uint64(kind << 62) for given, kind in ((own, _ID), (text, _TEXT)))
    keys = np.concatenate([bands.reshape(-1), own, text])
    numbers = rows + (compared.number << ROW_BITS)
    documents = np.concatenate([np.repeat(numbers, bands.shape[1]), numbers, numbers])
    present = keys != similarity.NOTHING >> np.uint64(64 - KEY_BITS)
    return {"key": pa.array(keys[present]), "document": pa.array(documents[present])}


def tasks_of(documents: int, totals: Iterable[dict[str, int]]) -> int:
    """Return by how many tasks documents are compared.

    Args:
        documents: number of them; one that is in several tasks counts for each.
        totals: what `write_keys` told.
    """
    return max(1, -(-documents // documents_of_a_task(totals)))


def documents_of_a_task(totals: Iterable[dict[str, int]]) -> int:
    """Return how many documents of the mean size fill the memory of a task.

    Args:
        totals: what `write_keys` told.
    """
    given = list(totals)
    documents, shingles = (sum(one[name] for one in given) for name in ("documents", "shingles"))
    return max(1, int(BYTES_OF_A_TASK / (_FIXED_BYTES + 4 * shingles / max(documents, 1))))


@dataclass(frozen=True)
class Layout:
    """How documents are dealt to tasks. Travels to workers.

    Attributes:
        firsts: number of the first file of each group, in order, int64.
        first_earlier: number of the first file of earlier artifacts.
        ranges: of vertices, by which links are joined.
    """

    firsts: np.ndarray
    first_earlier: int
    ranges: int

    def is_earlier(self, documents: np.ndarray) -> np.ndarray:
        """Return which documents are of earlier artifacts, bool."""
        return documents >= self.first_earlier << ROW_BITS


def write_shared(number: int, given: tuple[Batches, Layout], output: ShardOutput) -> None:
    """Write what follows from the keys of one range that several documents have.

    `same-NUMBER.arrow` has the links of equal ids and texts, `buckets-NUMBER.arrow` for each group of
    files the buckets of its documents. Told: how many entries the latter has.

    Args:
        number: of the range.
        given: the keys, and the layout.
        output: where they go.
    """
    batches, layout = given
    table = batches.read(number)
    keys, documents = table["key"].to_numpy(), table["document"].to_numpy()
    pairs, found, buckets = shared_keys(keys, documents, layout.is_earlier(documents))
    write_pairs(pairs, layout.ranges, f"same-{number:06d}.arrow", output)
    table = pa.table({"document": pa.array(found), "bucket": pa.array(buckets)})
    write_batches(table, places_of_groups(found, layout.firsts), f"buckets-{number:06d}.arrow", output)
    output.stats = {"entries": len(found)}


def shared_keys(
    keys: np.ndarray, documents: np.ndarray, earlier: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what follows from keys that several documents have, one that isn't earlier among them.

    Args:
        keys: in any order, their two upper bits saying what they are of, shape (entries,), uint64.
        documents: number of the document that each key is of, shape (entries,), int64.
        earlier: which entries are of documents of earlier artifacts, whose numbers are the largest.

    Returns:
        Links of equal ids and texts, a spanning forest of shape (links, 2), int64; and entries of
        documents, int64, and buckets, uint64. Buckets with the same documents are one. A document
        that an equal text stands in for has the bucket 0.
    """
    order = np.lexsort((documents, keys))
    keys, documents, new = keys[order], documents[order], ~earlier[order]
    begins = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    lengths = np.diff(np.r_[begins, len(keys)])
    shared = np.repeat((lengths > 1) & new[begins], lengths)  # the smallest number is a new one's
    first, kind = np.repeat(documents[begins], lengths), keys >> np.uint64(62)
    same = shared & (kind != _BAND) & (first != documents)
    pairs = spanning_forest(np.stack([first[same], documents[same]], axis=1))
    represented = np.unique(documents[same & (kind == _TEXT) & new])
    band = shared & (kind == _BAND)
    scattered = mixed(documents[band])
    within = np.flatnonzero(np.r_[True, np.diff(keys[band]) != 0][: len(scattered)])
    sums = np.add.reduceat(scattered, within) if len(scattered) else scattered
    buckets = np.repeat(np.maximum(sums, np.uint64(1)), np.diff(np.r_[within, len(scattered)]))
    found, buckets = distinct_entries(
        np.r_[documents[band], represented], np.r_[buckets, np.full(len(represented), REPRESENTED)]
    )
    return pairs, found, buckets


def distinct_entries(documents: np.ndarray, buckets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return entries, in order of documents, each of them once."""
    order = np.lexsort((buckets, documents))
    documents, buckets = documents[order], buckets[order]
    repeated = (documents[1:] == documents[:-1]) & (buckets[1:] == buckets[:-1])
    chosen = np.r_[True, ~repeated][: len(documents)]
    return documents[chosen], buckets[chosen]


def _candidates(compared: Compared, columns: list[str]) -> tuple[pa.Table, np.ndarray]:
    """Return the documents of a file that the filters kept, and their rows."""
    path = open_record(compared.root, compared.record)
    if compared.part is None:
        table = pq.read_table(path, columns=columns)
        return table, np.arange(table.num_rows)
    table = pq.read_table(path, columns=[*columns, "filter"])
    rows = np.flatnonzero(table["filter"].is_null().to_numpy(zero_copy_only=False))
    return take(table.select(columns), rows), rows


def band_keys(bands: pa.ChunkedArray, compared: Compared) -> np.ndarray:
    """Return keys of `KEY_BITS` bits, shape (documents, bands), uint64; signatures hold them cut already."""
    if not len(bands):
        return np.empty((0, 1), np.uint64)
    keys = flat_values(bands).reshape(len(bands), -1)
    return keys if compared.part is None else keys >> np.uint64(64 - KEY_BITS)


def _shingles_of(compared: Compared) -> int:
    """Return the number of hashes in a file, without reading them."""
    metadata = pq.read_metadata(open_record(compared.root, compared.record))
    return sum(
        column.num_values
        for group in map(metadata.row_group, range(metadata.num_row_groups))
        for column in map(group.column, range(group.num_columns))
        if column.path_in_schema.startswith(("shingles.", "sketch_gaps."))
    )
