"""curate: corpora to documents. Filters judge each document alone, then copies are found and removed.

    corpus files ─ judge → judged ─ (keep the best) ─ find copies → leaving ─ write → documents

Every document that is read is kept or dropped with a reason: read = kept + dropped.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from lmtrain.building import Attempt, Built, ShardResult, build_once
from lmtrain.config import Resources
from lmtrain.curation.columns import values
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.counting import find_recurring
from lmtrain.curation.decontamination import DECONTAMINATION, Evaluation, evaluation_of, items_of
from lmtrain.curation.deduplication import Found, earlier_signatures, find_copies
from lmtrain.curation.filters import chain, is_on, told_threshold
from lmtrain.curation.judging import (
    DEDUPLICATION,
    RECURRING,
    Change,
    Part,
    Shared,
    judge_part,
    parts_of,
    warm,
)
from lmtrain.curation.lists import read_unchanged
from lmtrain.curation.presets import QUALITY
from lmtrain.curation.removal import REMOVAL
from lmtrain.curation.share import KEEP_SHARE, Cut, find_cut, keep_share, told
from lmtrain.curation.writing import (
    LENGTH_EDGES,
    Task,
    file_name,
    read_judged,
    with_copies,
    write_part,
)
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import RecipeError, StageError
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.removals.entries import open_removals
from lmtrain.removals.resolving import removals_of
from lmtrain.totals import BY_SOURCE_AND_LICENSE, added
from lmtrain.watch import Watch

EXAMPLES = 20
"""Dropped documents of each reason whose text is kept: those of the smallest ids, which are hashes."""

LARGEST = 5
"""Clusters of copies that are named, the largest."""


def build(
    inputs: dict[str, list[str]], config: CurateConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Curate corpora; return the URL of the documents manifest.

    Args:
        inputs: `corpora`: URLs of corpus manifests. `classifier`: the one of the quality classifier,
            if any. `earlier`, if any: URLs of documents manifests, of which
            the corpora's documents must not be copies. `evaluation`, if any: URLs of labelled manifests,
            with whose test examples they must have no run of 13 words in common. `removals`, if any:
            URLs of removals manifests, whose documents are dropped.
        config: preset, thresholds, deduplication.
        root: where artifacts lie.
        resources: how many tasks run at once.
        watch: told each finished part.

    Raises:
        RecipeError: a segmenter isn't installed, quality is asked for without a classifier, or earlier
            documents can't be compared with these.
        SourceError: a list is missing or has changed.
        StageError: nothing is kept.
    """
    classifier = _classifier_of(inputs, config)

    def work(attempt: Attempt) -> Built:
        earlier_signatures(inputs.get("earlier", []), config.deduplication)  # refused before it costs
        warm(config, classifier)
        parts = _parts(inputs["corpora"])
        splits = [Split(part.name, part) for part in parts]
        removals = open_removals(removals_of(inputs)) if removals_of(inputs) else None
        recurring = find_recurring(parts, config.deduplication, removals, attempt, resources, watch)
        evaluation = _evaluation(inputs.get("evaluation", []))
        shared = Shared(config, read_unchanged(config), classifier, evaluation, recurring, removals)
        judged = map_shards(judge_part, splits, attempt, resources, watch, step="judge", shared=shared)
        records = [record for result in judged for record in result.files if record.role == "judged"]
        cut = find_cut(root, judged, config.keep_share) if config.keep_share < 1 else None
        if cut:
            records = keep_share([part.name for part in parts], records, cut, attempt, resources, watch)
        earlier = inputs.get("earlier", [])
        found = find_copies(parts, records, earlier, config.deduplication, attempt, resources, watch)
        tables = [
            with_copies(read_judged(root, record, ACCOUNTED), leaving)
            for record, leaving in zip(records, found.leaving, strict=True)
        ]
        _refuse_if_empty(tables, config)
        shown = _examples(tables) if config.keep_text == "examples" else None
        tasks = [
            Split(part.name, Task(part, record, found.leaving[n], shown[n] if shown else None))
            for n, (part, record) in enumerate(zip(parts, records, strict=True))
        ]
        written = map_shards(
            write_part, tasks, attempt, resources, watch, step="write", shared=config.privacy
        )
        files = [record for result in written for record in result.files]
        files += [record for result in judged for record in result.files if record.role == "contamination"]
        rewritten = _rewritten(judged)
        stats = {
            "funnel": _funnel(tables, rewritten, shared, cut),
            "rewritten": rewritten,
            **told(cut),
            **_stats(tables, found, written, files, shared),
            BY_SOURCE_AND_LICENSE: {
                "read": added(result.stats["read"] for result in judged),
                **{done: added(result.stats[done] for result in written) for done in ("dropped", "kept")},
            },
            **_clusters(parts, tables, found),
        }
        return Built(files, stats)

    return build_once(config, inputs, root, work)


ACCOUNTED = ["id", "bytes", "words", "filter", "reason", "value", "threshold", "detail"]
"""What is read of every judged part at once."""


def _classifier_of(inputs: dict[str, list[str]], config: CurateConfig) -> str | None:
    """Return the URL of the classifier, None if there is none."""
    url = next(iter(inputs.get("classifier", [])), None)
    asked = {f"thresholds.{QUALITY}": QUALITY in config.all_thresholds, KEEP_SHARE: config.keep_share < 1}
    for name, on in asked.items():
        if on and url is None:
            raise RecipeError(f"curate.{name} needs a classifier among the inputs")
    return url


def _parts(corpora: Sequence[str]) -> list[Part]:
    parts = []
    for number, url in enumerate(corpora):
        corpus = Artifact(url)
        for place, record in enumerate(corpus.files("documents")):
            parts += parts_of(corpus.root, record, f"{number:02d}-{place:04d}")
    return parts


def _evaluation(urls: list[str]) -> Evaluation | None:
    return evaluation_of(items_of(urls)) if urls else None


def _refuse_if_empty(tables: list[pa.Table], config: CurateConfig) -> None:
    """Raise in one line where nothing is left, with what would loosen the biggest reasons."""
    read = sum(table.num_rows for table in tables)
    if not read:
        raise StageError("the corpora hold no documents: look at what was rejected (lmtrain show)")
    dropped = _dropped(tables)
    if sum(dropped.values()) < read:
        return
    told = [f"{name} took {count}{_loosened_by(name, config)}" for name, count in dropped.most_common(3)]
    raise StageError(f"curation kept none of {read} documents: {'; '.join(told)}")


def _loosened_by(name: str, config: CurateConfig) -> str:
    """Return the field of the recipe that a reason follows from."""
    if name == "language/other_language":
        return f" (curate.preset is {config.preset})"
    if name.startswith(f"{REMOVAL}/"):
        return " (listed under remove)"
    if name.startswith(f"{DECONTAMINATION}/"):
        return f" (curate.decontaminate is {', '.join(config.decontaminate)})"
    filter_name, _, reason = name.partition("/")
    thresholds = config.all_thresholds
    threshold = told_threshold(filter_name, reason, thresholds)
    return f" (curate.thresholds.{threshold} is {thresholds[threshold]:g})" if threshold else ""


def _dropped(tables: list[pa.Table]) -> Counter[str]:
    """Count dropped documents by `filter/reason`."""
    return Counter(
        f"{name}/{reason}"
        for table in tables
        for name, reason in zip(values(table["filter"]), values(table["reason"]), strict=True)
        if name is not None
    )


def _examples(tables: list[pa.Table]) -> list[frozenset[int]]:
    """Choose for each part the rows whose text is kept: the `EXAMPLES` smallest ids of each reason."""
    by_reason: dict[tuple[str, str], list[tuple[str, int, int]]] = {}
    for part, table in enumerate(tables):
        columns = (values(table[name]) for name in ("filter", "reason", "id"))
        for row, (name, reason, identity) in enumerate(zip(*columns, strict=True)):
            if name not in (None, REMOVAL):
                by_reason.setdefault((name, reason), []).append((identity, part, row))
    chosen: list[set[int]] = [set() for _ in tables]
    for entries in by_reason.values():
        for _, part, row in sorted(entries)[:EXAMPLES]:
            chosen[part].add(row)
    return [frozenset(rows) for rows in chosen]


def _stats(
    tables: list[pa.Table],
    found: Found,
    written: list[ShardResult],
    files: list[FileRecord],
    shared: Shared,
) -> dict[str, Any]:
    read = sum(table.num_rows for table in tables)
    dropped = _dropped(tables)
    kept = sum(record.rows or 0 for record in files if record.role == "documents")
    assert read == kept + sum(dropped.values()), "a document was lost without a reason"
    state = sum(record.bytes for record in files if record.role == "signatures")
    return {
        "read": read,
        "kept": kept,
        "dropped": dict(sorted(dropped.items())),
        "taken": _taken(tables),
        **_compared_with(shared.evaluation),
        **{name: _added(written, name) for name in ("by_source", "by_license", "by_language", "by_split")},
        "lengths": {
            "edges": LENGTH_EDGES,
            "counts": np.sum([result.stats["lengths"] for result in written], axis=0).tolist(),
        },
        **found.stats,
        "signature_bytes_per_document": round(state / kept, 1),
    }


def _compared_with(evaluation: Evaluation | None) -> dict[str, int]:
    """Return how many evaluation items documents were compared with, and how many are too short for it."""
    if evaluation is None:
        return {}
    return {"evaluation_items": len(evaluation.names), "evaluation_items_too_short": evaluation.without_runs}


def _clusters(parts: list[Part], tables: list[pa.Table], found: Found) -> dict[str, Any]:
    """Return how many clusters of copies have which size, and the largest with the file of the kept one."""
    sized = [
        (size, part, row) for part, given in enumerate(found.leaving) for row, size in given.clusters.items()
    ]
    sizes = Counter(size for size, _, _ in sized)
    largest = heapq.nsmallest(LARGEST, sized, key=lambda one: (-one[0], one[1], one[2]))
    return {
        "cluster_sizes": {str(size): sizes[size] for size in sorted(sizes)},
        "largest_clusters": [
            {
                "id": tables[part]["id"][row].as_py(),
                "documents": size,
                "file": file_name("documents", parts[part]),
            }
            for size, part, row in largest
        ],
    }


def _volumes(tables: list[pa.Table], key: Callable[[str | None, str | None], Any]) -> dict[Any, Counter[str]]:
    """Add up documents, bytes and words by a key of filter and reason."""
    found: dict[Any, Counter[str]] = {}
    for table in tables:
        columns = (values(table[name]) for name in ("filter", "reason", "bytes", "words"))
        for name, reason, size, words in zip(*columns, strict=True):
            found.setdefault(key(name, reason), Counter()).update(documents=1, bytes=size, words=words)
    return found


def _taken(tables: list[pa.Table]) -> dict[str, dict[str, int]]:
    """Return documents, bytes and words that each rule dropped."""
    found = _volumes(tables, lambda name, reason: f"{name}/{reason}" if name else "")
    return {key: dict(found[key]) for key in sorted(found) if key}


def _rewritten(judged: list[ShardResult]) -> dict[str, dict[str, Any]]:
    """Return what each filter took out of texts that it kept."""
    total: dict[str, Change] = {}
    for result in judged:
        for name, change in result.stats["rewritten"].items():
            total.setdefault(name, Change()).add(Change(**change))
    return {name: asdict(change) for name, change in sorted(total.items())}


def _funnel(
    tables: list[pa.Table], rewritten: dict[str, dict[str, Any]], shared: Shared, cut: Cut | None
) -> list[dict[str, Any]]:
    """Return documents, bytes and words that remain after each filter that is on."""
    thresholds = shared.config.all_thresholds
    dropped = _volumes(tables, lambda name, _: name)
    left = sum(dropped.values(), Counter())
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
        gone, change = dropped.get(filter_name, Counter()), rewritten.get(filter_name, {})
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
