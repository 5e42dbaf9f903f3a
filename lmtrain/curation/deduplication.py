"""Between the passes: which documents are copies, and which one stays in their stead.

In: the `JUDGED` tables of all parts. Out: for each part the rows that are
copies, each with the document that is kept. Only hashes are read, and the
shingles of those documents that share a band with another.

Exact copies go first, then near ones: documents in order of preference (test
before validation before train, so that copies across splits leave the training
set; then longer ones, then the smaller id), each compared with the kept ones
that share a band with it. No copy is removed for a document that isn't kept.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lmtrain.curation.columns import array_lists, take
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.errors import StageError
from lmtrain.text import similarity

PREFERENCE = {"test": 0, "validation": 1, "train": 2}
"""Of copies in different splits the one whose split comes first is kept."""

COLUMNS = ["id", "split", "characters", "filter", "text_hash", "bands"]
"""What is read of every part."""


@dataclass(frozen=True)
class Copy:
    """A document that leaves for another.

    Attributes:
        row: its row in its part.
        kept: id of the one that stays.
        similarity: Jaccard index of the two.
        exact: whether their normalized texts are equal.
        across: whether they stand in different splits.
    """

    row: int
    kept: str
    similarity: float
    exact: bool
    across: bool


@dataclass(frozen=True)
class _Candidate:
    part: int
    row: int
    id: str
    split: str
    text_hash: bytes


def find_copies(
    parts: Sequence[pa.Table],
    read_shingles: Callable[[int, np.ndarray], list[np.ndarray]],
    config: DeduplicationConfig,
) -> list[list[Copy]]:
    """Find the copies among the documents that the filters kept.

    Args:
        parts: `COLUMNS` of each part's judged documents.
        read_shingles: (part, rows) to the shingles of these rows.
        config: bands and threshold.

    Returns:
        For each part its copies, by row.

    Raises:
        StageError: two documents that stay have the same id.
    """
    candidates, keys = _in_order(parts)
    first: dict[bytes, int] = {}
    original = np.array([first.setdefault(each.text_hash, n) for n, each in enumerate(candidates)], np.int64)
    unique = np.flatnonzero(original == np.arange(len(candidates)))
    shared = unique[_shares_a_band(keys[unique])]
    shingles = _shingles_of([candidates[place] for place in shared], read_shingles)
    leaders = similarity.leaders(shingles, keys[shared], config.threshold)
    kept = np.arange(len(candidates))
    kept[shared] = shared[leaders]
    closeness = np.ones(len(candidates))
    closeness[shared] = [
        similarity.jaccard(own, shingles[leader]) for own, leader in zip(shingles, leaders, strict=True)
    ]
    _refuse_repeated_ids([one.id for place, one in enumerate(candidates) if kept[original[place]] == place])
    found: list[list[Copy]] = [[] for _ in parts]
    for place, candidate in enumerate(candidates):
        stays = int(kept[original[place]])
        if stays != place:
            other = candidates[stays]
            exact = candidate.text_hash == other.text_hash
            alike = 1.0 if exact else float(closeness[original[place]])
            across = candidate.split != other.split
            found[candidate.part].append(Copy(candidate.row, other.id, alike, exact, across))
    return [sorted(copies, key=lambda copy: copy.row) for copies in found]


def _refuse_repeated_ids(ids: list[str]) -> None:
    repeated = next((one for one, count in Counter(ids).items() if count > 1), None)
    if repeated is not None:
        raise StageError(
            f"two sources give the id {repeated!r} to different documents: "
            "leave id_column out of one of them, or make the ids different"
        )


def _in_order(parts: Sequence[pa.Table]) -> tuple[list[_Candidate], np.ndarray]:
    """Return the kept documents in order of preference, and their bands, shape (documents, bands)."""
    ordered = []
    bands = []
    for number, table in enumerate(parts):
        rows = np.flatnonzero(table["filter"].is_null().to_numpy(zero_copy_only=False))
        taken = take(table, rows)
        if not len(rows):
            continue
        flat = np.stack(array_lists(taken["bands"]))
        bands.append(flat)
        for row, each in zip(rows, taken.select(COLUMNS[:-1]).to_pylist(), strict=True):
            key = (PREFERENCE[each["split"]], -each["characters"], each["id"], number, int(row))
            candidate = _Candidate(number, int(row), each["id"], each["split"], each["text_hash"])
            ordered.append((key, len(ordered), candidate))
    ordered.sort(key=lambda entry: entry[0])
    if not ordered:
        return [], np.empty((0, 1), np.uint64)
    keys = np.concatenate(bands)[[place for _, place, _ in ordered]]
    return [candidate for _, _, candidate in ordered], keys


def _shares_a_band(keys: np.ndarray) -> np.ndarray:
    """Tell for each document whether another has the same key in some band, shape (documents,), bool."""
    shares = np.zeros(len(keys), dtype=bool)
    for band in range(keys.shape[1]):
        _, inverse, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
        shares |= (counts[inverse] > 1) & (keys[:, band] != similarity.NOTHING)
    return shares


def _shingles_of(
    candidates: Sequence[_Candidate], read_shingles: Callable[[int, np.ndarray], list[np.ndarray]]
) -> list[np.ndarray]:
    """Read the shingles of candidates part by part, and return them in the candidates' order."""
    places: dict[int, list[int]] = {}
    for place, candidate in enumerate(candidates):
        places.setdefault(candidate.part, []).append(place)
    found: list[np.ndarray] = [np.empty(0, np.uint32)] * len(candidates)
    for part, members in sorted(places.items()):
        rows = np.array([candidates[place].row for place in members])
        for place, shingles in zip(members, read_shingles(part, rows), strict=True):
            found[place] = shingles
    return found
