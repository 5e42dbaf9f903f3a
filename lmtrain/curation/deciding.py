"""Which documents of a bin leave, and for which that stays.

In: whole components of documents that hang together, with all that decides about
them. Out: `COPIES`, and the sizes of the clusters of those that stay.

What is known by its id goes first, then exact copies, then near ones: documents in
order of preference, each compared with the kept ones that share a band with it. No
copy is removed for a document that isn't kept, so nothing is chained. All that a
document could leave for stands in its component, so the outcome is that of
comparing all documents in one order.
"""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmtrain.building import ShardOutput
from lmtrain.curation.accounting import smallest
from lmtrain.curation.batches import Batches, write_batches
from lmtrain.curation.columns import array_lists, flat_values, take, values
from lmtrain.curation.components import mixed, places_of_groups
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.judging import DEDUPLICATION
from lmtrain.errors import StageError
from lmtrain.schemas import SPLIT_PREFERENCE
from lmtrain.text import nearness

COPIES = pa.schema(
    [
        ("id", pa.string()),
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


def write_copies(
    number: int, given: tuple[Batches, np.ndarray, DeduplicationConfig], output: ShardOutput
) -> None:
    """Write `copies-` and `clusters-NUMBER.arrow`: who of a bin leaves, and the clusters of those that stay.

    Both have a batch for each group of files. Told: the number of comparisons and what `told_of` says.

    Args:
        number: of the bin.
        given: the members of the bins, the first file of each group, and the config.
        output: where they go.
    """
    bins, firsts, config = given
    copies, comparisons = copies_among(bins.read(number), config)
    copies = copies.sort_by("document")
    sizes = cluster_sizes(copies)
    for name, table in (("copies", copies), ("clusters", sizes)):
        places = places_of_groups(table["document"].to_numpy(), firsts)
        write_batches(table, places, f"{name}-{number:016x}.arrow", output)
    output.stats = {"comparisons": comparisons, **told_of(copies, sizes)}


def cluster_sizes(copies: pa.Table) -> pa.Table:
    """Return the documents that stay and have copies, in order, and the sizes of their clusters.

    A document counts in its own. Earlier documents aren't told.
    """
    within = copies.filter(pc.invert(copies["earlier"]))
    kept, counts = np.unique(within["kept_document"].to_numpy(), return_counts=True)
    return pa.table({"document": pa.array(kept), "size": pa.array(counts + 1)})


def told_of(copies: pa.Table, sizes: pa.Table) -> dict[str, Any]:
    """Return what adds up over bins, and the smallest ids of each reason."""
    counts = Counter(values(sizes["size"]))
    names = [f"{DEDUPLICATION}/{reason}" for reason in values(copies["reason"])]
    return {
        "taken": dict(Counter(names)),
        "cluster_sizes": {str(size): counts[size] for size in sorted(counts)},
        "copies_across_splits": int(np.sum(copies["across"].to_numpy())),
        "copies_of_earlier": int(np.sum(copies["earlier"].to_numpy())),
        "smallest": smallest(values(copies["id"]), names, values(copies["document"])),
    }


def copies_among(members: pa.Table, config: DeduplicationConfig) -> tuple[pa.Table, int]:
    """Decide which documents of a bin leave.

    Args:
        members: what `linking.write_members` wrote of whole components.
        config: threshold, and which copy is kept.

    Returns:
        `COPIES`, in order of preference, and how many pairs were compared.

    Raises:
        StageError: two documents that stay have the same id.
    """
    ordered = _with_shingles(in_order(members, config))
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
    fixed = int(distinct["earlier"].to_numpy().sum())
    found = nearness.leaders(
        array_lists(take(ordered, unique[fixed:])["shingles"]),
        _keys_of(distinct),
        config.threshold,
        fixed=array_lists(distinct["shingles"].slice(0, fixed)),
    )
    kept = np.arange(len(original))
    alike = np.ones(len(original))
    kept[unique], alike[unique] = unique[found.kept], found.similarity
    return kept[original], alike[original], found.comparisons


def _keys_of(members: pa.Table) -> np.ndarray:
    """Return band keys that no two components have in common, so that each is decided alone."""
    keys = flat_values(members["bands"]).reshape(members.num_rows, -1)
    return keys ^ mixed(members["component"].to_numpy())[:, None]


def _with_shingles(members: pa.Table) -> pa.Table:
    """Give documents without shingles those of the one with the same text that stands in for them.

    Should there be none (two texts with the same 62 bits of their hash), a document has no shingles
    and stays.
    """
    lacking = np.flatnonzero(members["shingles"].is_null().to_numpy())
    if not len(lacking):
        return members
    own = np.arange(members.num_rows)
    hashes = values(members["text_hash"])
    standing = np.flatnonzero(~members["earlier"].to_numpy() & members["shingles"].is_valid().to_numpy())
    stand_in = {hashes[place]: place for place in standing}
    own[lacking] = [stand_in.get(hashes[place], place) for place in lacking]
    place = members.schema.get_field_index("shingles")
    return members.set_column(place, "shingles", take(members, own)["shingles"])


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
        "id": own["id"],
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
