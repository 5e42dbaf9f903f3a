"""Which documents must be looked at together, found without one process holding them all.

    documents ─ keys (each file) → by key ─ link (each range of keys) → links
    ─ components (once) → bins ─ gather (each file) → by bin

Documents that have a key in common are linked: a band of their MinHash, their
normalized text, or their id. Linked documents form components, whole components
fill bins, and each bin can be decided alone. What goes from one step to the next
is an Arrow file with one record batch for each key range or bin, so that a task
reads its own batch of it.

Everything follows from the documents and their number, never from the number of
workers.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lmtrain.building import ShardOutput, ShardResult
from lmtrain.curation import components
from lmtrain.curation.columns import flat_values, from_gaps, take, values
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.judging import Part
from lmtrain.manifest import FileRecord, open_record
from lmtrain.text import similarity

KEYS_OF_A_RANGE = 4_000_000
"""Keys that one task links: about 300 MB of memory."""

BIN_BYTES = 200_000_000
"""Hashes of the documents of one bin, about. A component isn't cut: a larger one is a bin of its own."""

KEY_BITS = 48
"""Of band keys: 10^10 documents then have less than one false link in a thousand each."""

ROW_BITS = 32
"""A document's number is its file's number and, in so many bits, its row."""

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
class Batches:
    """Files with a record batch for each range of keys or each bin. Travels to workers."""

    root: str
    files: list[tuple[FileRecord, list[int]]]
    """With the numbers of the batches that each file has, in order."""

    def read(self, number: int) -> pa.Table:
        """Return all rows of one range or bin, in the order of the files."""
        found = []
        for record, numbers in self.files:
            if number in numbers:
                with pa.memory_map(str(open_record(self.root, record))) as source:
                    found.append(pa.ipc.open_file(source).get_batch(numbers.index(number)))
        return pa.Table.from_batches(found)

    @classmethod
    def of(cls, root: str, results: Iterable[ShardResult]) -> "Batches":
        """Return what the shards of a step wrote."""
        return cls(root, [(result.files[0], result.stats["batches"]) for result in results if result.files])

    def numbers(self) -> list[int]:
        """Return the ranges or bins that have rows."""
        return sorted({number for _, numbers in self.files for number in numbers})


def write_keys(compared: Compared, ranges: int, output: ShardOutput) -> None:
    """Write `keys-NAME.arrow`: the keys of each document, a batch for each range; tell how much there is."""
    table, rows = _candidates(compared, ["id", "text_hash", "bands"])
    bands = _band_keys(table["bands"], compared)
    own = np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in values(table["id"])], np.uint64)
    text = np.array([int.from_bytes(one[:8], "little") for one in values(table["text_hash"])], np.uint64)
    keys = np.concatenate([bands.reshape(-1), own, text])
    numbers = rows + (compared.number << ROW_BITS)
    documents = np.concatenate([np.repeat(numbers, bands.shape[1]), numbers, numbers])
    present = keys != similarity.NOTHING >> np.uint64(64 - KEY_BITS)
    keys, documents = keys[present], documents[present]
    columns = {"key": pa.array(keys), "document": pa.array(documents)}
    place = (keys % np.uint64(ranges)).astype(np.int64)
    write_batches(pa.table(columns), place, f"keys-{compared.name}.arrow", output)
    output.stats |= {"documents": len(rows), "shingles": _shingles_of(compared)}


def documents_of_a_bin(documents: int, shingles: int) -> int:
    """Return how many documents of the mean size fill a bin."""
    mean = _FIXED_BYTES + 4 * shingles / max(documents, 1)
    return max(1, int(BIN_BYTES / mean))


def write_links(number: int, shared: tuple[Batches, int], output: ShardOutput) -> None:
    """Write `links-NUMBER.arrow`: a spanning forest of the documents that share a key of one range.

    Args:
        number: of the range.
        shared: the keys, and the number of the first file of earlier artifacts: a key that
            earlier documents alone have links nobody.
        output: where it goes.
    """
    batches, first_earlier = shared
    table = batches.read(number)
    keys, documents = table["key"].to_numpy(), table["document"].to_numpy()
    pairs = components.linked(keys, documents, documents < first_earlier << ROW_BITS)
    table = pa.table({"first": pa.array(pairs[:, 0]), "second": pa.array(pairs[:, 1])})
    _write(table.to_batches(), table.schema, f"links-{number:06d}.arrow", output)


def write_components(records: list[FileRecord], shared: tuple[str, int], output: ShardOutput) -> None:
    """Write `components.arrow`: documents that are linked, by number, and the bin of each.

    One range after another is added to a forest of at most one link for each
    document: that, and no link of any range, is what must fit into memory (24
    bytes for each document that shares a key with another).

    Args:
        records: what `write_links` wrote.
        shared: where they lie, and how many documents fill a bin.
        output: where it goes; told the number of components and the size of the largest.
    """
    root, bin_documents = shared
    forest = np.empty((0, 2), np.int64)
    for record in records:
        table = _read(root, record)
        pairs = np.stack([table["first"].to_numpy(), table["second"].to_numpy()], axis=1)
        forest = components.spanning_forest(np.concatenate([forest, pairs]))
    documents, labels = components.components(forest)
    table = pa.table({"document": pa.array(documents), "bin": pa.array(bins_of(labels, bin_documents))})
    _write(table.to_batches(), table.schema, "components.arrow", output)
    sizes = np.unique(labels, return_counts=True)[1]
    output.stats = {"components": len(sizes), "largest_component": int(sizes.max(initial=0))}


def bins_of(labels: np.ndarray, bin_documents: int) -> np.ndarray:
    """Return the bin of each document: components, in order, fill one after another, none of them cut.

    Args:
        labels: component of each document, shape (documents,), int64.
        bin_documents: documents after which a new bin is begun.
    """
    _, component, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return ((np.cumsum(sizes) - sizes) // bin_documents)[component]


def write_members(
    compared: Compared, shared: tuple[str, FileRecord, DeduplicationConfig], output: ShardOutput
) -> None:
    """Write `members-NAME.arrow`: what decides about each linked document of a file, a batch for each bin.

    No file is written where none is linked.

    Args:
        compared: the file.
        shared: where the components lie, their file, and the config.
        output: where it goes.
    """
    root, record, config = shared
    table = _read(root, record)
    documents, bins = table["document"].to_numpy(), table["bin"].to_numpy()
    begin, end = np.searchsorted(documents, np.array([0, 1]) + compared.number << ROW_BITS)
    mine, bins = documents[begin:end], bins[begin:end]
    if len(mine):
        members = _members(compared, mine & ((1 << ROW_BITS) - 1), config.score_column)
        members = members.append_column("document", pa.array(mine))
        write_batches(members, bins, f"members-{compared.name}.arrow", output)


def _candidates(compared: Compared, columns: list[str]) -> tuple[pa.Table, np.ndarray]:
    """Return the documents of a file that the filters kept, and their rows."""
    path = open_record(compared.root, compared.record)
    if compared.part is None:
        table = pq.read_table(path, columns=columns)
        return table, np.arange(table.num_rows)
    table = pq.read_table(path, columns=[*columns, "filter"])
    rows = np.flatnonzero(table["filter"].is_null().to_numpy(zero_copy_only=False))
    return take(table.select(columns), rows), rows


def _band_keys(bands: pa.ChunkedArray, compared: Compared) -> np.ndarray:
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


def _members(compared: Compared, rows: np.ndarray, score_column: str | None) -> pa.Table:
    """Return what decides about rows of a file: `MEMBERS` but for the number."""
    path = open_record(compared.root, compared.record)
    hashes = "sketch_gaps" if compared.part is None else "shingles"
    names = ["id", "split", "characters", "text_hash"]
    table = take(pq.read_table(path, columns=[*names, "bands", hashes]), rows)
    keys = _band_keys(table["bands"], compared)
    shingles: Any = table[hashes].combine_chunks()
    columns: Any = {
        **{name: table[name] for name in names},
        "bands": pa.FixedSizeListArray.from_arrays(pa.array(keys.reshape(-1)), keys.shape[1]),
        "shingles": from_gaps(shingles) if compared.part is None else shingles,
        "score": _scores(compared, rows, score_column),
        "earlier": pa.repeat(pa.scalar(compared.part is None), len(rows)),
    }
    return pa.table(columns)


def _scores(compared: Compared, rows: np.ndarray, name: str | None) -> pa.Array | pa.ChunkedArray:
    """Return what `best_score` goes by: a column of the judged rows, else a number in the metadata."""
    part = compared.part
    if part is None or name is None:
        return pa.nulls(len(rows), pa.float64())
    path = open_record(compared.root, compared.record)
    if name in pq.read_schema(path).names:
        found = take(pq.read_table(path, columns=[name]), rows)[name]
        if found.null_count < len(found):  # `quality` is empty without a classifier
            return found.cast(pa.float64())
    return pa.array(numbers_in(values(take(part.read(["metadata"]), rows)["metadata"]), name), pa.float64())


def numbers_in(objects: Iterable[str | None], name: str) -> list[float | None]:
    """Return a field of JSON objects where it is a number, else None."""
    found = (json.loads(given).get(name) if given else None for given in objects)
    return [
        float(one)
        if isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
        else None
        for one in found
    ]


def write_batches(table: pa.Table, places: np.ndarray, name: str, output: ShardOutput) -> None:
    """Write a table with one batch for each range or bin that it has rows of; tell which.

    Args:
        table: the rows.
        places: range or bin of each row, shape (rows,), int64.
        name: of the file.
        output: where it goes.
    """
    ordered = table
    if np.any(places[1:] < places[:-1]):
        order = np.argsort(places, kind="stable")
        places, ordered = places[order], take(table, order)
    numbers, begins = np.unique(places, return_index=True)
    batches = [
        ordered.slice(begin, end - begin).combine_chunks().to_batches()[0]
        for begin, end in pairwise([*begins.tolist(), table.num_rows])
    ]
    _write(batches, table.schema, name, output)
    output.stats["batches"] = numbers.tolist()


def _write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, name: str, output: ShardOutput) -> None:
    with pa.OSFile(str(output.path(name)), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    output.add(name, "linking")


def _read(root: str, record: FileRecord) -> pa.Table:
    with pa.memory_map(str(open_record(root, record))) as source:
        return pa.ipc.open_file(source).read_all()
