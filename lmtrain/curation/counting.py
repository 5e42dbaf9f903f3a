"""Which lines and paragraphs recur, counted side by side and totalled by ranges of their hashes.

    corpus files ─ count (each part) → pieces by hash ─ total (each range) → recurring

In: a corpus's parts. Out: what `lmtrain.curation.recurring` removes.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import Attempt, ShardOutput
from lmtrain.config import Resources
from lmtrain.curation.batches import Batches, write_batches
from lmtrain.curation.columns import values
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.judging import Part
from lmtrain.curation.recurring import UNITS, Recurring, holder_of, piece_hashes, units_on
from lmtrain.curation.removal import listed
from lmtrain.distributed.map import Split, map_shards
from lmtrain.manifest import FileRecord, open_record
from lmtrain.removals.entries import Removals
from lmtrain.watch import Watch

BYTES_OF_A_RANGE = 200_000_000
"""Of corpus files, compressed, whose pieces one task totals."""


def find_recurring(
    parts: list[Part],
    config: DeduplicationConfig,
    removals: Removals | None,
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
) -> Recurring | None:
    """Return what recurs in the corpora, listed documents left aside; None where nothing is looked at."""
    if not units_on(config):
        return None
    root = attempt.root
    files = {part.record.path: part.record.bytes for part in parts}
    ranges = 1 + sum(files.values()) // BYTES_OF_A_RANGE
    splits = [Split(part.name, part) for part in parts]
    counted = map_shards(
        write_counts, splits, attempt, resources, watch, step="count", shared=(config, ranges, removals)
    )
    batches = Batches.of(root, counted)
    numbers = [Split(f"{number:06d}", number) for number in batches.numbers()]
    totals = map_shards(
        write_totals, numbers, attempt, resources, watch, step="total", shared=(batches, config)
    )
    return recurring_of(root, [result.files[0] for result in totals], config)


def write_counts(
    part: Part, shared: tuple[DeduplicationConfig, int, Removals | None], output: ShardOutput
) -> None:
    """Write `pieces-NAME.arrow`: in how many documents of a part each piece stands, a batch for each range.

    Args:
        part: of a corpus.
        shared: what is looked at, the number of ranges, and what is listed for removal.
        output: where it goes.
    """
    config, ranges, removals = shared
    table = part.read(["id", "split", "text", "url"])
    counts: dict[tuple[int, int], list[int]] = {}
    columns = (values(table[name]) for name in ("id", "split", "text", "url"))
    for identity, split, text, url in zip(*columns, strict=True):
        if removals is not None and listed(removals, identity, url, text):
            continue
        own = holder_of(identity, split)
        for number, unit in enumerate(UNITS):
            if unit not in units_on(config):
                continue
            pieces = UNITS[unit].split(text)[::2]
            for hashed in filter(None, {*piece_hashes(pieces, unit, getattr(config, unit))}):
                entry = counts.setdefault((hashed, number), [0, own])
                entry[0] += 1
                entry[1] = min(entry[1], own)
    keys = sorted(counts)
    columns = {
        "hash": pa.array([hashed for hashed, _ in keys], pa.uint64()),
        "unit": pa.array([unit for _, unit in keys], pa.int8()),
        "documents": pa.array([counts[key][0] for key in keys], pa.int64()),
        "holder": pa.array([counts[key][1] for key in keys], pa.uint64()),
    }
    found = pa.table(columns)
    places = (found["hash"].to_numpy() % np.uint64(ranges)).astype(np.int64)
    write_batches(found, places, f"pieces-{part.name}.arrow", output)


def write_totals(number: int, shared: tuple[Batches, DeduplicationConfig], output: ShardOutput) -> None:
    """Write `recurring-NUMBER.parquet`: the pieces of one range that stand in enough documents."""
    batches, config = shared
    table = batches.read(number).sort_by("hash")
    hashes, begins = np.unique(table["hash"].to_numpy(), return_index=True)
    documents = np.add.reduceat(table["documents"].to_numpy(), begins)
    holders = np.minimum.reduceat(table["holder"].to_numpy(), begins)
    least = np.array([getattr(config, unit).min_documents for unit in UNITS])
    enough = documents >= least[table["unit"].to_numpy()[begins]]
    name = f"recurring-{number:06d}.parquet"
    columns = {"hash": hashes, "documents": documents, "holder": holders}
    found = pa.table({key: pa.array(column[enough]) for key, column in columns.items()})
    pq.write_table(found, output.path(name), compression="zstd")
    output.add(name, "recurring", rows=found.num_rows)


def recurring_of(root: str, records: Iterable[FileRecord], config: DeduplicationConfig) -> Recurring:
    """Return what recurs, of all ranges: it must fit into memory, 16 bytes a piece."""
    tables = [pq.read_table(open_record(root, record)) for record in records]
    hashes = np.concatenate([np.empty(0, np.uint64), *(table["hash"].to_numpy() for table in tables)])
    holders = np.concatenate([np.empty(0, np.uint64), *(table["holder"].to_numpy() for table in tables)])
    order = np.argsort(hashes)
    return Recurring(hashes[order], holders[order], config)
