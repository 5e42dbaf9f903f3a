"""Between the passes: which documents are copies, and which one stays in their stead.

    judged ─ find what has something in common (keys) → buckets, links of equal ids and texts
    ─ compare within buckets (linking) → links of near ones ─ join (components) → bins
    ─ decide each bin alone (deciding) → copies of each group of files

In: what the first pass wrote of all parts, and the signatures of earlier
artifacts. Out: for each part the rows that leave, each with the document for
which it does.

A component is made of verified links alone, so it is as large as a cluster of near
copies, and no boilerplate makes one of all documents. It says only who must be
looked at together: who leaves is decided in order of preference, and always for a
document that stays.

Every step is a task for each group of files, range of hashes, or bin, and each of these
has a size that doesn't grow with the corpora. The driver holds what tasks tell and no list
of documents.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import Attempt, ShardResult
from lmtrain.config import Resources
from lmtrain.curation import components, deciding, keys, linking
from lmtrain.curation.batches import Batches
from lmtrain.curation.columns import values
from lmtrain.curation.components import BIN_BITS, ROW_BITS, Run, places_of_groups, splits_of
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.earlier import refuse_incomparable
from lmtrain.curation.judging import Part
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import RecipeError
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.watch import Watch


@dataclass(frozen=True)
class Leaving:
    """What leaves one part.

    Attributes:
        rows: of the part, in order, shape (copies,), int64.
        copies: `deciding.COPIES` of these rows.
        clusters: by row, the size of the cluster of each kept document that has copies, itself counted.
    """

    rows: np.ndarray
    copies: pa.Table
    clusters: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """Where it stands what leaves each part. Travels to workers.

    Attributes:
        copies: `deciding.COPIES`, a batch for each group of files.
        clusters: sizes of clusters, likewise.
        firsts: number of the first file of each group.
    """

    copies: Batches
    clusters: Batches
    firsts: np.ndarray

    def leaving(self, part: int) -> Leaving:
        """Return what leaves a part, given by its number."""
        if not self.copies.files:
            return Leaving(np.empty(0, np.int64), deciding.COPIES.empty_table())
        group = int(places_of_groups(np.array([part << ROW_BITS]), self.firsts)[0])
        copies = _of_part(self.copies.read(group).sort_by("document"), part)
        sizes = _of_part(self.clusters.read(group), part)
        gone, kept = (table["document"].to_numpy() - (part << ROW_BITS) for table in (copies, sizes))
        clusters = dict(zip(kept.tolist(), values(sizes["size"]), strict=True))
        return Leaving(gone, copies.combine_chunks(), clusters)


def _of_part(table: pa.Table, part: int) -> pa.Table:
    return table.filter(pa.array(table["document"].to_numpy() >> ROW_BITS == part))


@dataclass(frozen=True)
class Told:
    """What there is to tell of all copies.

    Attributes:
        stats: of the artifact.
        taken: documents by `filter/reason`.
        smallest: `accounting.smallest` of each bin.
    """

    stats: dict[str, Any]
    taken: Counter[str]
    smallest: list[str]


def find_copies(
    parts: Sequence[Part],
    records: Sequence[FileRecord],
    earlier: Sequence[str],
    config: DeduplicationConfig,
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
) -> tuple[Found, Told]:
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
        keys.Compared(n, root, record, part)
        for n, (part, record) in enumerate(zip(parts, records, strict=True))
    ]
    old = [
        keys.Compared(len(new) + n, artifact.root, record, None)
        for n, (artifact, record) in enumerate(earlier_signatures(earlier, config))
    ]

    def run(function: Any, splits: list[Split], step: str, shared: Any) -> list[ShardResult]:
        return map_shards(function, splits, attempt, resources, watch, step=step, shared=shared)

    return _find(keys.groups_of([*new, *old]), len(new), config, partial(Batches.of, root), run)


def _find(
    groups: list[keys.Group],
    first_earlier: int,
    config: DeduplicationConfig,
    batches: Any,
    run: Run,
) -> tuple[Found, Told]:
    """Run the steps. `batches` is `Batches.of` some results."""
    by_group = [Split(group.name, group) for group in groups]
    rows = sum(one.record.rows or 0 for group in groups for one in group.files)
    ranges = max(1, -(-rows * (config.bands + 2) // keys.KEYS_OF_A_RANGE))
    vertex_ranges = max(1, -(-rows // components.LINKS_OF_A_RANGE))
    firsts = np.array([group.files[0].number for group in groups], np.int64)
    layout = keys.Layout(firsts, first_earlier, vertex_ranges)

    keyed = run(keys.write_keys, by_group, "keys", ranges)
    totals = [result.stats for result in keyed]
    shared = run(keys.write_shared, splits_of(ranges), "share", (batches(keyed), layout))
    buckets = batches(shared, "buckets-")
    entries = sum(result.stats["entries"] for result in shared)
    bucket_ranges = keys.tasks_of(entries, totals)
    gathered = run(linking.write_gathered, by_group, "gather", (buckets, bucket_ranges))
    to_verify = batches(gathered)
    verified = run(
        linking.write_verified,
        splits_of(bucket_ranges) if to_verify.files else [],
        "verify",
        (to_verify, layout, config.threshold),
    )

    links = batches([*shared, *verified], ("same-", "near-"))
    stars = components.stars_of(links, vertex_ranges, run)
    bin_documents = keys.documents_of_a_task(totals)
    joined = run(
        components.write_bins, splits_of(vertex_ranges), "bins", (stars, vertex_ranges, firsts, bin_documents)
    )
    members = run(linking.write_members, by_group, "members", (batches(joined), buckets, config))
    numbers = [
        (place << BIN_BITS) + number
        for place, result in enumerate(joined)
        for number in range(result.stats["bins"])
    ]
    decided = run(
        deciding.write_copies,
        [Split(f"{number:016x}", number) for number in numbers],
        "decide",
        (batches(members), firsts, config),
    )
    found = Found(batches(decided, "copies-"), batches(decided, "clusters-"), firsts)
    return found, _told(verified, joined, decided)


def _told(verified: list[ShardResult], joined: list[ShardResult], decided: list[ShardResult]) -> Told:
    """Add up what the tasks tell."""
    sizes: Counter[int] = Counter()
    taken: Counter[str] = Counter()
    for result in decided:
        sizes.update({int(size): number for size, number in result.stats["cluster_sizes"].items()})
        taken.update(result.stats["taken"])
    stats = {
        "components": _sum(joined, "components"),
        "largest_component": max((result.stats["largest_component"] for result in joined), default=0),
        "comparisons": _sum([*verified, *decided], "comparisons"),
        "clusters": sizes.total(),
        "cluster_sizes": {str(size): sizes[size] for size in sorted(sizes)},
        **{name: _sum(decided, name) for name in ("copies_across_splits", "copies_of_earlier")},
    }
    return Told(stats, taken, [result.stats["smallest"] for result in decided])


def _sum(results: Iterable[ShardResult], name: str) -> int:
    return sum(result.stats[name] for result in results)


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
