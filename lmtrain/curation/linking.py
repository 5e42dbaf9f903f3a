"""Which documents are alike: candidates by keys in common, each pair of them verified.

    documents ─ keys (each group of files) → by key ─ share (each range of keys) → links, and buckets by group
    ─ gather (each group) → documents by bucket ─ verify (each range of buckets) → links

Documents with the same id or the same normalized text are linked as they are.
Those with a band of their MinHash in common form a bucket, and nothing follows
from that alone: the task of a range of buckets gets their shingles, and links
those whose Jaccard index reaches the threshold.

What keeps it cheap: a document that shares no band goes no further than its keys. Of
equal texts only the first is compared. A bucket is known by a hash of who is in
it, so that near copies, which share most of their bands, are shipped and compared
once. And within a bucket a document is compared with a bounded number of others
(`nearness.near_links`), though a hundred thousand stand in it.

Everything follows from the documents and their number, never from the number of
workers, nor from that of groups and ranges.
"""

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.building import ShardOutput
from lmtrain.curation.batches import Batches, write_batches
from lmtrain.curation.columns import array_lists, flat_values, from_gaps, take, values
from lmtrain.curation.components import ROW_BITS, spanning_forest, write_pairs
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.keys import REPRESENTED, Compared, Group, Layout, band_keys, distinct_entries
from lmtrain.manifest import open_record
from lmtrain.text import nearness


def write_gathered(group: Group, given: tuple[Batches, int], output: ShardOutput) -> None:
    """Write `gathered-FIRST.arrow`: documents that share buckets, a batch for each range of buckets.

    Args:
        group: of files.
        given: the buckets, and the number of ranges of them.
        output: where it goes.
    """
    batches, ranges = given
    table = batches.read(group.place)
    documents, buckets = distinct_entries(table["document"].to_numpy(), table["bucket"].to_numpy())
    represented = documents[buckets == REPRESENTED]
    compared = ~np.isin(documents, represented)
    documents, buckets = documents[compared], buckets[compared]
    unique, owner = np.unique(documents, return_inverse=True)
    tables = [_shingled(one, rows) for one, rows in group.rows(unique)]
    if not tables:
        return
    places = (buckets % np.uint64(ranges)).astype(np.int64)
    order = np.lexsort((owner, places))
    owner, places, buckets = owner[order], places[order], buckets[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(owner) != 0) | (np.diff(places) != 0)])
    offsets: Any = pa.array(np.r_[begins, len(owner)], pa.int32())
    lists: Any = pa.ListArray.from_arrays(offsets, pa.array(buckets))
    found = take(pa.concat_tables(tables), owner[begins]).append_column("buckets", lists)
    write_batches(found, places[begins], f"gathered-{group.name}.arrow", output)


def _shingled(compared: Compared, rows: np.ndarray) -> pa.Table:
    """Return by what rows of a file are compared: their number, shingles or sketch, and length."""
    table = take(pq.read_table(open_record(compared.root, compared.record), columns=_columns(compared)), rows)
    columns: Any = {
        "document": pa.array(rows + (compared.number << ROW_BITS)),
        "characters": table["characters"],
        "shingles": _hashes_in(table, compared),
    }
    return pa.table(columns)


def _columns(compared: Compared) -> list[str]:
    return ["characters", "sketch_gaps" if compared.part is None else "shingles"]


def _hashes_in(table: pa.Table, compared: Compared) -> pa.Array | pa.ChunkedArray:
    """Return shingles, or the sketches of earlier documents."""
    if compared.part is not None:
        return table["shingles"]
    whole: Any = table["sketch_gaps"].combine_chunks()
    return from_gaps(whole)


def write_verified(number: int, given: tuple[Batches, Layout, float], output: ShardOutput) -> None:
    """Write `near-NUMBER.arrow`: links between documents of a range of buckets that are near each other.

    Args:
        number: of the range.
        given: what `write_gathered` wrote, the layout, and the threshold.
        output: where it goes; told the number of comparisons.
    """
    batches, layout, threshold = given
    table = batches.read(number).sort_by("document")
    documents = table["document"].to_numpy()
    lists: Any = table["buckets"].combine_chunks()
    owners = np.repeat(np.arange(len(documents)), lists.value_lengths().to_numpy())
    buckets = flat_values(lists)
    order = np.lexsort((owners, buckets))
    begins = np.flatnonzero(np.r_[True, np.diff(buckets[order]) != 0][: len(order)])
    links, comparisons = nearness.near_links(
        array_lists(table["shingles"]),
        table["characters"].to_numpy(),
        (np.r_[begins, len(order)], owners[order]),
        threshold,
        fixed=layout.is_earlier(documents),
    )
    pairs = spanning_forest(documents[links])
    write_pairs(pairs, layout.ranges, f"near-{number:06d}.arrow", output)
    output.stats = {"comparisons": comparisons}


def write_members(
    group: Group, given: tuple[Batches, Batches, DeduplicationConfig], output: ShardOutput
) -> None:
    """Write `members-FIRST.arrow`: what decides about each linked document of a group, a batch for each bin.

    No file is written where none is linked. A document that an equal text stands in for has no
    shingles of its own.

    Args:
        group: of files.
        given: the bins, the buckets, and the config.
        output: where it goes.
    """
    bins, buckets, config = given
    table = bins.read(group.place).sort_by("document")
    documents = table["document"].to_numpy()
    entries = buckets.read(group.place)
    represented = entries["document"].to_numpy()[entries["bucket"].to_numpy() == REPRESENTED]
    tables = []
    for one, rows in group.rows(documents):
        own = rows + (one.number << ROW_BITS)
        tables.append(_members(one, rows, np.isin(own, represented), config.score_column))
    if tables:
        members = pa.concat_tables(tables).append_column("document", pa.array(documents))
        members = members.append_column("component", table["component"])
        write_batches(members, table["bin"].to_numpy(), f"members-{group.name}.arrow", output)


def _members(
    compared: Compared, rows: np.ndarray, represented: np.ndarray, score_column: str | None
) -> pa.Table:
    """Return what decides about rows of a file; shingles are null where an equal text stands in for one."""
    path = open_record(compared.root, compared.record)
    names = ["id", "split", "text_hash"]
    table = take(pq.read_table(path, columns=[*names, "bands", *_columns(compared)]), rows)
    keys = band_keys(table["bands"], compared)
    names.append("characters")
    columns: Any = {
        **{name: table[name] for name in names},
        "bands": pa.FixedSizeListArray.from_arrays(pa.array(keys.reshape(-1)), keys.shape[1]),
        "shingles": pc.if_else(pa.array(~represented), _hashes_in(table, compared), None),
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
