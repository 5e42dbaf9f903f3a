"""Between the passes: which documents are copies, and which one stays in their stead.

In: what the first pass wrote of all parts, and the signatures of earlier
artifacts. Out: for each part the rows that leave, each with the document for
which it does. `lmtrain.curation.linking` finds which documents must be looked at
together; here they are decided, one bin after another or side by side.

Within a bin: what is known by its id goes first, then exact copies, then near
ones: documents in order of preference, each compared with the kept ones that
share a band with it. No copy is removed for a document that isn't kept, so
nothing is chained, and since all that could be compared with a document stands
in its bin, the outcome is that of comparing all documents in one order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.building import Attempt, ShardOutput
from lmtrain.config import Resources
from lmtrain.curation import linking
from lmtrain.curation.columns import array_lists, flat_values, take, values
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.earlier import refuse_incomparable
from lmtrain.curation.judging import Part
from lmtrain.curation.linking import ROW_BITS, Batches, Compared
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import RecipeError, StageError
from lmtrain.manifest import Artifact, FileRecord, open_record
from lmtrain.schemas import SPLIT_PREFERENCE
from lmtrain.text import similarity
from lmtrain.watch import Watch

COPIES = pa.schema(
    [
        ("document", pa.int64()),  # its file's number and its row
        ("reason", pa.string()),  # known_id, exact_copy or near_copy
        ("value", pa.float64()),  # Jaccard index with the kept one; null for a known id
        ("threshold", pa.float64()),
        ("kept", pa.string()),  # id of the one that stays
        ("kept_document", pa.int64()),
        ("earlier", pa.bool_()),  # whether the one that stays is of an earlier artifact
        ("across", pa.bool_()),  # whether the two stand in different splits
    ]
)
"""One document that leaves a row, in the order of the documents."""


@dataclass(frozen=True)
class Leaving:
    """What leaves one part. Travels to workers.

    Attributes:
        rows: of the part, in order, shape (copies,), int64.
        copies: `COPIES` of these rows.
        clusters: by row, the size of the cluster of each kept document that has copies, itself counted.
    """

    rows: np.ndarray
    copies: pa.Table
    clusters: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The outcome: what leaves each part, and what there is to tell."""

    leaving: list[Leaving]
    stats: dict[str, Any]


def find_copies(
    parts: Sequence[Part],
    records: Sequence[FileRecord],
    earlier: Sequence[str],
    config: DeduplicationConfig,
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
) -> Found:
    """Find the copies among the documents that the filters kept.

    Args:
        parts: the corpora's parts.
        records: what the first pass wrote of each.
        earlier: URLs of documents manifests; their documents win against those of the parts.
        config: bands, threshold, and which copy is kept.
        attempt: the attempt that intermediate files belong to.
        resources: how many tasks run at once.
        watch: told each finished shard.

    Raises:
        RecipeError: earlier documents have signatures that can't be compared with these.
        StageError: two documents that stay have the same id.
    """
    root = attempt.root
    new = [
        Compared(n, root, record, part) for n, (part, record) in enumerate(zip(parts, records, strict=True))
    ]
    old = [
        Compared(len(new) + n, artifact.root, record, None)
        for n, (artifact, record) in enumerate(earlier_signatures(earlier, config))
    ]
    bins, stats = _bins([*new, *old], len(new), config, attempt, resources, watch)
    splits = [Split(f"{number:06d}", number) for number in bins.numbers()]
    decided = map_shards(
        write_copies, splits, attempt, resources, watch, step="decide", shared=(bins, config)
    )
    found = [pq.read_table(open_record(root, record)) for result in decided for record in result.files]
    copies = pa.concat_tables([COPIES.empty_table(), *found]).sort_by("document")
    stats["comparisons"] = sum(result.stats["comparisons"] for result in decided)
    return Found(leaving_of(copies, len(new)), stats | _told(copies))


def earlier_signatures(
    earlier: Sequence[str], config: DeduplicationConfig
) -> list[tuple[Artifact, FileRecord]]:
    """Return the signature files of earlier artifacts.

    Raises:
        RecipeError: they were made in another way, so that they can't be compared.
    """
    found = []
    for url in earlier:
        artifact = Artifact(url)
        refuse_incomparable(config, artifact.manifest, url)
        for record in artifact.files("signatures"):
            if "sketch_gaps" not in pq.read_schema(artifact.open(record)).names:
                raise RecipeError(f"the signatures of {url} are of an older form: curate it again")
            found.append((artifact, record))
    return found


def _bins(
    compared: list[Compared],
    first_earlier: int,
    config: DeduplicationConfig,
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
) -> tuple[Batches, dict[str, Any]]:
    """Deal linked documents to bins; return them, and how many components there are."""

    def run(function: Any, splits: list[Split], step: str, shared: Any) -> Any:
        return map_shards(function, splits, attempt, resources, watch, step=step, shared=shared)

    root = attempt.root
    files = [Split(one.name, one) for one in compared]
    rows = sum(one.record.rows or 0 for one in compared)
    ranges = max(1, -(-rows * (config.bands + 2) // linking.KEYS_OF_A_RANGE))
    keyed = run(linking.write_keys, files, "keys", ranges)
    keys = Batches.of(root, keyed)
    numbers = [Split(f"{number:06d}", number) for number in keys.numbers()]
    linked = run(linking.write_links, numbers, "link", (keys, first_earlier))
    documents = sum(result.stats["documents"] for result in keyed)
    per_bin = linking.documents_of_a_bin(documents, sum(result.stats["shingles"] for result in keyed))
    (joined,) = run(
        linking.write_components,
        [Split("all", [result.files[0] for result in linked])],
        "components",
        (root, per_bin),
    )
    members = run(linking.write_members, files, "gather", (root, joined.files[0], config))
    return Batches.of(root, members), joined.stats


def write_copies(number: int, shared: tuple[Batches, DeduplicationConfig], output: ShardOutput) -> None:
    """Write `copies-NUMBER.parquet`: which documents of a bin leave."""
    bins, config = shared
    copies, comparisons = copies_among(bins.read(number), config)
    name = f"copies-{number:06d}.parquet"
    pq.write_table(copies, output.path(name), compression="zstd")
    output.add(name, "linking", rows=copies.num_rows)
    output.stats = {"comparisons": comparisons}


def copies_among(members: pa.Table, config: DeduplicationConfig) -> tuple[pa.Table, int]:
    """Decide which documents of a bin leave.

    Args:
        members: `linking.MEMBERS` of whole components.
        config: threshold, and which copy is kept.

    Returns:
        `COPIES`, in order of preference, and how many pairs were compared.

    Raises:
        StageError: two documents that stay have the same id.
    """
    ordered = in_order(members, config)
    earlier = ordered["earlier"].to_numpy()
    ids = values(ordered["id"])
    first_of_id = _first(ids)
    known = ~earlier & earlier[first_of_id]
    going_on = np.flatnonzero(~known)
    rest = take(ordered, going_on)
    kept, alike, comparisons = _kept(rest, config)
    staying = going_on[kept == np.arange(len(kept))]
    _refuse_repeated_ids([ids[place] for place in staying if not earlier[place]])
    stays = first_of_id.copy()
    stays[going_on] = going_on[kept]
    closeness = np.full(len(ids), np.nan)
    closeness[going_on] = alike
    leaving = np.flatnonzero(~earlier & (stays != np.arange(len(ids))))
    return _copies(ordered, leaving, stays[leaving], closeness[leaving], known[leaving], config), comparisons


def in_order(members: pa.Table, config: DeduplicationConfig) -> pa.Table:
    """Return documents in order of preference: earlier ones, then by split, then by the config's policy."""
    ranks = pa.array([SPLIT_PREFERENCE[split] for split in values(members["split"])], pa.int8())
    keyed = members.append_column("rank", ranks)
    lengths = [("characters", "descending"), ("id", "ascending")]
    by_policy: dict[str, list[tuple[str, str]]] = {
        "longest": lengths,
        "first": [],
        "best_score": [("score", "descending"), *lengths],
    }
    keys: Any = [("earlier", "descending"), ("rank", "ascending"), *by_policy[config.keep]]
    order = pc.sort_indices(keyed, sort_keys=[*keys, ("document", "ascending")])
    return members.take(order)


def _kept(ordered: pa.Table, config: DeduplicationConfig) -> tuple[np.ndarray, np.ndarray, int]:
    """Return for each document the place of the kept one and their Jaccard index, and the comparisons."""
    original = _first(values(ordered["text_hash"]))
    unique = np.flatnonzero(original == np.arange(len(original)))
    distinct = take(ordered, unique)
    shingles = array_lists(distinct["shingles"])
    keys = flat_values(distinct["bands"]).reshape(len(unique), -1)
    fixed = int(distinct["earlier"].to_numpy().sum())
    found = similarity.leaders(shingles[fixed:], keys, config.threshold, fixed=shingles[:fixed])
    kept = np.arange(len(original))
    alike = np.ones(len(original))
    kept[unique], alike[unique] = unique[found.kept], found.similarity
    return kept[original], alike[original], found.comparisons


def _first(given: list[Any]) -> np.ndarray:
    """Return for each value the place at which it stands first."""
    places: dict[Any, int] = {}
    return np.array([places.setdefault(value, place) for place, value in enumerate(given)], np.int64)


def _refuse_repeated_ids(ids: list[str]) -> None:
    repeated = next((one for one, count in Counter(ids).items() if count > 1), None)
    if repeated is not None:
        raise StageError(
            f"two sources give the id {repeated!r} to different documents: "
            "leave id_column out of one of them, or make the ids different"
        )


def _copies(
    ordered: pa.Table,
    leaving: np.ndarray,
    stays: np.ndarray,
    closeness: np.ndarray,
    known: np.ndarray,
    config: DeduplicationConfig,
) -> pa.Table:
    """Return `COPIES` of the documents at places `leaving`, which leave for those at `stays`."""
    own, other = take(ordered, leaving), take(ordered, stays)
    exact = pc.equal(own["text_hash"], other["text_hash"]).to_numpy() & ~known
    near = ~exact & ~known
    columns = {
        "document": own["document"],
        "reason": np.select([known, exact], ["known_id", "exact_copy"], "near_copy").tolist(),
        "value": pa.array(np.where(exact, 1.0, closeness), mask=known),
        "threshold": pa.array(np.where(near, config.threshold, 1.0), mask=known),
        "kept": other["id"],
        "kept_document": other["document"],
        "earlier": other["earlier"],
        "across": pc.not_equal(own["split"], other["split"]),
    }
    return pa.table(columns, schema=COPIES)


def leaving_of(copies: pa.Table, parts: int) -> list[Leaving]:
    """Deal `COPIES`, sorted by document, to the parts that they leave, and cluster sizes to their own."""
    documents = copies["document"].to_numpy()
    kept, counts = np.unique(
        copies.filter(pc.invert(copies["earlier"]))["kept_document"].to_numpy(), return_counts=True
    )
    found = []
    for part in range(parts):
        bounds = np.array([part, part + 1]) << ROW_BITS
        begin, end = np.searchsorted(documents, bounds)
        first, last = np.searchsorted(kept, bounds)
        rows = documents[begin:end] - bounds[0]
        sizes = dict(
            zip((kept[first:last] - bounds[0]).tolist(), (counts[first:last] + 1).tolist(), strict=True)
        )
        found.append(Leaving(rows, copies.slice(begin, end - begin).combine_chunks(), sizes))
    return found


def _told(copies: pa.Table) -> dict[str, Any]:
    """Return what there is to tell of all copies."""
    within = copies.filter(pc.invert(copies["earlier"]))
    _, counts = np.unique(within["kept_document"].to_numpy(), return_counts=True)
    sizes = Counter((counts + 1).tolist())
    return {
        "clusters": len(counts),
        "cluster_sizes": {str(size): sizes[size] for size in sorted(sizes)},
        "copies_across_splits": int(np.sum(copies["across"].to_numpy())),
        "copies_of_earlier": copies.num_rows - within.num_rows,
    }
