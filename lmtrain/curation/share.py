"""Between judging and comparing: of the documents that every filter kept, those with the best scores stay.

    judge ─ histogram and scores of each part → cut ─ drop (each part) → judged

In: what the first pass wrote, with the classifier's scores. Out: judged files in
which the others are dropped, and the threshold that came out. This is DCLM's
way (Li et al. 2024 keep the best tenth): a share is asked for, not a score.

The share is exact: of n documents the best ⌈share·n⌉ stay, the share taken as
it is written in decimals. Equal scores are ordered by a hash of the id. The
histogram bounds what is held at once: scores and hashes of the documents in one
of its buckets, which are all of them only where all score alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from lmtrain.building import Attempt, ShardOutput, ShardResult
from lmtrain.config import Resources
from lmtrain.curation.accounting import account
from lmtrain.curation.columns import replace_rows, values
from lmtrain.distributed.map import Split, map_shards
from lmtrain.manifest import FileRecord, open_record
from lmtrain.watch import Watch

KEEP_SHARE = "keep_share"
"""The filter under which documents below the share are dropped, as `low_quality`, or as `tied_quality` where
they score as the worst that stays does."""

BUCKETS = 4096
"""Of the histogram of scores: a power of two, so that the bucket of a score is exact."""


@dataclass(frozen=True)
class Cut:
    """The worst document that stays. Travels to workers.

    Attributes:
        threshold: its score.
        key: the hash of its id.
        judged: documents that every filter kept.
        kept: how many of them stay.
    """

    threshold: float
    key: str
    judged: int
    kept: int

    def keeps(self, score: float, identity: str) -> bool:
        """Tell whether a document stays."""
        return score > self.threshold or (score == self.threshold and key_of(identity) <= self.key)


def key_of(identity: str) -> str:
    """Return the hash by which documents of the same score are ordered: of 128 bits, in hex."""
    return xxhash.xxh3_128_hexdigest(identity.encode())


def number_kept(share: float, documents: int) -> int:
    """Return ⌈share·documents⌉, with the share as it is written: 0.1 of 30 is 3, though 0.1 * 30 is more."""
    return ceil(Fraction(str(share)) * documents)


def buckets_of(scores: np.ndarray) -> np.ndarray:
    """Return the bucket of each score from 0 to 1, shape (scores,), int64: none is above a better one's."""
    return np.minimum((scores * BUCKETS).astype(np.int64), BUCKETS - 1)


def write_scores(name: str, ids: list[str], scores: list[float], output: ShardOutput) -> None:
    """Write `scores-NAME.parquet`: the scores of the documents of a part that are kept so far.

    The stats get `quality`, their histogram: how many documents each bucket that isn't empty holds.
    """
    found = np.array(scores, dtype=np.float64)
    buckets, counts = np.unique(buckets_of(found), return_counts=True)
    output.stats["quality"] = dict(zip(map(str, buckets.tolist()), counts.tolist(), strict=True))
    keys = pa.array([bytes.fromhex(key_of(identity)) for identity in ids], pa.binary(16))
    path = f"scores-{name}.parquet"
    pq.write_table(pa.table({"quality": pa.array(found), "key": keys}), output.path(path), compression="zstd")
    output.add(path, "scores", rows=len(ids))


def find_cut(root: str, judged: Sequence[ShardResult], share: float) -> Cut | None:
    """Return the worst document that stays, by the scores that `write_scores` wrote of each part.

    None where the filters kept nothing.
    """
    counts = np.zeros(BUCKETS, dtype=np.int64)
    for result in judged:
        for bucket, count in result.stats["quality"].items():
            counts[int(bucket)] += count
    total = int(counts.sum())
    if not total:
        return None
    wanted = number_kept(share, total)
    bucket, wanted_of_it = bucket_holding(counts, wanted)
    scores, keys = _scores_in(root, [each for each in judged if str(bucket) in each.stats["quality"]], bucket)
    threshold, key = worst_of(scores, keys, wanted_of_it)
    return Cut(threshold, key.hex(), total, wanted)


def bucket_holding(counts: np.ndarray, wanted: int) -> tuple[int, int]:
    """Return the bucket of the worst of the best `wanted` documents, and how many of its own are among them.

    Args:
        counts: documents in each bucket, shape (buckets,), int64.
        wanted: at least 1, at most all of them.
    """
    from_here = np.cumsum(counts[::-1])[::-1]
    bucket = int(np.flatnonzero(from_here >= wanted)[-1])
    return bucket, wanted - int(from_here[bucket] - counts[bucket])


def worst_of(scores: np.ndarray, keys: Sequence[bytes], wanted: int) -> tuple[float, bytes]:
    """Return score and key of the worst of the best `wanted`: better scores first, then lower keys."""
    threshold = np.sort(scores)[::-1][wanted - 1]
    tied = sorted(key for score, key in zip(scores, keys, strict=True) if score == threshold)
    return float(threshold), tied[wanted - 1 - np.count_nonzero(scores > threshold)]


def _scores_in(root: str, judged: Sequence[ShardResult], bucket: int) -> tuple[np.ndarray, list[bytes]]:
    """Return the scores and keys of the documents in a bucket."""
    scores: list[np.ndarray] = []
    keys: list[bytes] = []
    for result in judged:
        for record in result.files:
            if record.role == "scores":
                table = pq.read_table(open_record(root, record))
                inside = buckets_of(table["quality"].to_numpy()) == bucket
                scores.append(table["quality"].to_numpy()[inside])
                keys += values(table["key"].filter(pa.array(inside)))
    return np.concatenate(scores), keys


def keep_share(
    names: Sequence[str],
    records: Sequence[FileRecord],
    cut: Cut,
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
) -> list[ShardResult]:
    """Drop what is below the cut; return the parts as they are then judged, in their order.

    Each has the judged file, and as its stats what `lmtrain.curation.accounting.account` says of it.

    Args:
        names: of the parts.
        records: what the first pass wrote of each.
        cut: the worst document that stays.
        attempt: the attempt that intermediate files belong to.
        resources: how many tasks run at once.
        watch: told each finished part.
    """
    splits = [Split(name, (name, record)) for name, record in zip(names, records, strict=True)]
    shared = (attempt.root, cut)
    return map_shards(write_best, splits, attempt, resources, watch, step="keep the best", shared=shared)


def write_best(part: tuple[str, FileRecord], shared: tuple[str, Cut], output: ShardOutput) -> None:
    """Write `best-NAME.parquet`: the judged rows of a part, those below the cut dropped.

    Args:
        part: its name, and the file that the first pass wrote of it.
        shared: the root, and the worst document that stays.
        output: where it goes.
    """
    (name, record), (root, cut) = part, shared
    judged = pq.read_table(open_record(root, record))
    kept = np.flatnonzero(judged["filter"].is_null().to_numpy(zero_copy_only=False))
    scores = judged["quality"].to_numpy(zero_copy_only=False)
    ids = values(judged["id"])
    away = [row for row in kept.tolist() if not cut.keeps(scores[row], ids[row])]
    tied = scores[away] == cut.threshold
    replacements: dict[str, Any] = {
        "filter": pa.repeat(pa.scalar(KEEP_SHARE), len(away)),
        "reason": pa.array(np.where(tied, "tied_quality", "low_quality").tolist(), pa.string()),
        "value": pa.array(scores[away], pa.float64()),
        "threshold": pa.repeat(pa.scalar(cut.threshold), len(away)),
    }
    # What is dropped isn't compared with anything.
    replacements |= dict.fromkeys(("text_hash", "bands", "shingles"))
    path = f"best-{name}.parquet"
    table = replace_rows(judged, np.array(away, dtype=np.int64), replacements)
    pq.write_table(table, output.path(path), compression="zstd")
    output.add(path, "judged", rows=table.num_rows)
    output.stats = account(table)


def told(cut: Cut | None) -> dict[str, Any]:
    """Return what the stats tell of a cut."""
    if cut is None:
        return {}
    return {KEEP_SHARE: {name: getattr(cut, name) for name in ("judged", "kept", "threshold", "key")}}


def cut_of(stats: dict[str, Any]) -> Cut | None:
    """Return the cut that the stats of curated documents tell of."""
    given = stats.get(KEEP_SHARE)
    return Cut(**given) if given else None
