"""What the manifest tells of a curation: the funnel, what each rule took and rewrote, totals, clusters.

In: what the tasks of the two passes told of their parts. Out: the artifact's stats.
"""

import heapq
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from lmtrain.building import ShardResult
from lmtrain.curation.accounting import Volumes, volumes_of
from lmtrain.curation.decontamination import DECONTAMINATION, Evaluation
from lmtrain.curation.deduplication import Told
from lmtrain.curation.filters import chain, is_on
from lmtrain.curation.judging import DEDUPLICATION, RECURRING, Change, Shared
from lmtrain.curation.removal import REMOVAL
from lmtrain.curation.share import KEEP_SHARE, Cut, told
from lmtrain.curation.writing import LARGEST, LENGTH_EDGES
from lmtrain.manifest import FileRecord
from lmtrain.totals import BY_SOURCE_AND_LICENSE, added


def summary(
    judged: list[ShardResult],
    volumes: Volumes,
    cut: Cut | None,
    copies: Told,
    written: list[ShardResult],
    files: list[FileRecord],
    shared: Shared,
) -> dict[str, Any]:
    """Return the stats of the documents artifact.

    Args:
        judged: what the first pass told of each part.
        volumes: what all but the search for copies took and kept.
        cut: the worst document that a share to keep kept.
        copies: what the search for copies told.
        written: what the second pass told of each part.
        files: of the artifact.
        shared: with what was judged.
    """
    rewritten = _rewritten(judged)
    read, taken = _taken(volumes, volumes_of(result.stats["taken"] for result in written))
    gone = dropped(taken)
    kept = sum(record.rows or 0 for record in files if record.role == "documents")
    assert read["documents"] == kept + gone.total(), "a document was lost without a reason"
    state = sum(record.bytes for record in files if record.role == "signatures")
    return {
        "funnel": _funnel(read, taken, rewritten, shared, cut),
        "rewritten": rewritten,
        **told(cut),
        "read": read["documents"],
        "kept": kept,
        "dropped": dict(gone),
        "taken": {name: dict(volume) for name, volume in taken.items()},
        **_compared_with(shared.evaluation),
        **{name: _added(written, name) for name in ("by_source", "by_license", "by_language", "by_split")},
        "lengths": {
            "edges": LENGTH_EDGES,
            "counts": np.sum([result.stats["lengths"] for result in written], axis=0).tolist(),
        },
        **copies.stats,
        "largest_clusters": _largest_clusters(written),
        "signature_bytes_per_document": round(state / kept, 1),
        BY_SOURCE_AND_LICENSE: {
            "read": added(result.stats["read"] for result in judged),
            **{done: added(result.stats[done] for result in written) for done in ("dropped", "kept")},
        },
    }


def dropped(volumes: Volumes) -> Counter[str]:
    """Return how many documents each `filter/reason` took."""
    return Counter({name: volumes[name]["documents"] for name in sorted(volumes) if name})


def _taken(judged: Volumes, copies: Volumes) -> tuple[Counter[str], Volumes]:
    """Return the volume of all that was read, and what each rule took of it."""
    read = sum(judged.values(), Counter())
    taken = volumes_of([judged, copies])
    taken.pop("", None)
    return read, {name: taken[name] for name in sorted(taken)}


def _compared_with(evaluation: Evaluation | None) -> dict[str, int]:
    """Return how many evaluation items documents were compared with, and how many are too short for it."""
    if evaluation is None:
        return {}
    return {"evaluation_items": len(evaluation.names), "evaluation_items_too_short": evaluation.without_runs}


def _largest_clusters(written: list[ShardResult]) -> list[dict[str, Any]]:
    """Return the largest clusters of all parts: id and file of the kept document, and how many there are."""
    of_parts = [one for result in written for one in result.stats["largest_clusters"]]
    return heapq.nsmallest(LARGEST, of_parts, key=lambda one: (-one["documents"], one["id"]))


def _rewritten(judged: list[ShardResult]) -> dict[str, dict[str, Any]]:
    """Return what each filter took out of texts that it kept."""
    total: dict[str, Change] = {}
    for result in judged:
        for name, change in result.stats["rewritten"].items():
            total.setdefault(name, Change()).add(Change(**change))
    return {name: asdict(change) for name, change in sorted(total.items())}


def _funnel(
    read: Counter[str],
    taken: Volumes,
    rewritten: dict[str, dict[str, Any]],
    shared: Shared,
    cut: Cut | None,
) -> list[dict[str, Any]]:
    """Return documents, bytes and words that remain after each filter that is on."""
    thresholds = shared.config.all_thresholds
    by_filter: Volumes = {}
    for name, volume in taken.items():
        by_filter.setdefault(name.partition("/")[0], Counter()).update(volume)
    left = read.copy()
    for change in rewritten.values():
        left.update(bytes=change["bytes"], words=change["words"])
    funnel = [{"filter": "read", **_figures(left), "dropped": 0}]
    personal = shared.config.privacy
    filters = chain(shared.lists, personal)
    on = [name for name in filters if is_on(name, thresholds, shared.lists, personal)]
    if shared.recurring is not None:
        on.insert(0, RECURRING)
    if shared.removals is not None:
        on.insert(0, REMOVAL)
    if shared.evaluation is not None:
        on.append(DECONTAMINATION)
    if cut is not None:
        on.append(KEEP_SHARE)
    for filter_name in [*on, DEDUPLICATION]:
        gone, change = by_filter.get(filter_name, Counter()), rewritten.get(filter_name, {})
        left.subtract(gone)
        left.subtract({name: change.get(name, 0) for name in ("bytes", "words")})
        step = {"filter": filter_name, **_figures(left), "dropped": gone["documents"]}
        funnel.append(step | ({"threshold": cut.threshold} if cut and filter_name == KEEP_SHARE else {}))
    return funnel


def _figures(volume: Counter[str]) -> dict[str, int]:
    return {name: volume[name] for name in ("documents", "bytes", "words")}


def _added(written: list[ShardResult], name: str) -> dict[str, dict[str, int]]:
    """Add up documents, bytes and words by key over parts."""
    total: dict[str, Counter[str]] = {}
    for result in written:
        for key, counts in result.stats[name].items():
            total.setdefault(key, Counter()).update(counts)
    return {key: dict(total[key]) for key in sorted(total)}
