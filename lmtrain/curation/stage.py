"""curate: corpora to documents. Filters judge each document alone, then copies are found and removed.

    corpus files ─ judge → judged ─ find copies → leaving ─ write → documents

Every document that is read is kept or dropped with a reason: read = kept + dropped.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lmtrain.building import Attempt, Built, ShardResult, build_once
from lmtrain.config import Resources
from lmtrain.curation.accounting import Volumes, added, chosen
from lmtrain.curation.components import ROW_BITS
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.counting import find_recurring
from lmtrain.curation.decontamination import DECONTAMINATION, Evaluation, evaluation_of, items_of
from lmtrain.curation.deduplication import find_copies
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
from lmtrain.curation.writing import LENGTH_EDGES, Task, write_part
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import RecipeError, StageError
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: CurateConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Curate corpora; return the URL of the documents manifest.

    Args:
        inputs: `corpora`: URLs of corpus manifests. `classifier`: the one of the quality classifier,
            where the thresholds ask for one. `earlier`, if any: URLs of documents manifests, of which
            the corpora's documents must not be copies. `evaluation`, if any: URLs of labelled manifests,
            with whose test examples they must have no run of 13 words in common.
        config: preset, thresholds, deduplication.
        root: where artifacts lie.
        resources: how many tasks run at once.
        watch: told each finished part.

    Raises:
        RecipeError: a segmenter isn't installed, or quality is asked for without a classifier.
        SourceError: a list is missing or has changed.
        StageError: nothing is kept.
    """
    classifier = _classifier_of(inputs, config)

    def work(attempt: Attempt) -> Built:
        warm(config, classifier)
        parts = _parts(inputs["corpora"])
        splits = [Split(part.name, part) for part in parts]
        recurring = find_recurring(parts, config.deduplication, attempt, resources, watch)
        evaluation = _evaluation(inputs.get("evaluation", []))
        shared = Shared(config, read_unchanged(config), classifier, evaluation, recurring)
        judged = map_shards(judge_part, splits, attempt, resources, watch, step="judge", shared=shared)
        records = [record for result in judged for record in result.files if record.role == "judged"]
        earlier = inputs.get("earlier", [])
        volumes = added(result.stats["taken"] for result in judged)
        read = sum(volume["documents"] for volume in volumes.values())
        _refuse_if_empty(read, _dropped(volumes), config)
        found, told = find_copies(parts, records, earlier, config.deduplication, attempt, resources, watch)
        _refuse_if_empty(read, _dropped(volumes) + told.taken, config)
        shown: Any = [None] * len(parts)
        if config.keep_text == "examples":
            shown = chosen([result.stats["smallest"] for result in judged], told.smallest, ROW_BITS)
        tasks = [
            Split(part.name, Task(part, n, record, examples))
            for n, (part, record, examples) in enumerate(zip(parts, records, shown, strict=True))
        ]
        written = map_shards(write_part, tasks, attempt, resources, watch, step="write", shared=found)
        files = [record for result in written for record in result.files]
        files += [record for result in judged for record in result.files if record.role == "contamination"]
        rewritten = _rewritten(judged)
        copies = added(result.stats["taken"] for result in written)
        read, taken = _taken(volumes, copies)
        stats = {
            "funnel": _funnel(read, taken, rewritten, shared),
            "rewritten": rewritten,
            **_stats(read, taken, told.stats, written, files, shared),
        }
        return Built(files, stats)

    return build_once(config, inputs, root, work)


def _classifier_of(inputs: dict[str, list[str]], config: CurateConfig) -> str | None:
    """Return the URL of the classifier, if the thresholds ask for quality."""
    if QUALITY not in config.all_thresholds:
        return None
    if not inputs.get("classifier"):
        raise RecipeError(f"curate.thresholds.{QUALITY} needs a classifier among the inputs")
    return inputs["classifier"][0]


def _parts(corpora: Sequence[str]) -> list[Part]:
    parts = []
    for number, url in enumerate(corpora):
        corpus = Artifact(url)
        for place, record in enumerate(corpus.files("documents")):
            parts += parts_of(corpus.root, record, f"{number:02d}-{place:04d}")
    return parts


def _evaluation(urls: list[str]) -> Evaluation | None:
    return evaluation_of(items_of(urls)) if urls else None


def _refuse_if_empty(read: int, dropped: Counter[str], config: CurateConfig) -> None:
    """Raise in one line where nothing is left, with what would loosen the biggest reasons."""
    if not read:
        raise StageError("the corpora hold no documents: look at what was rejected (lmtrain show)")
    if dropped.total() < read:
        return
    told = [f"{name} took {count}{_loosened_by(name, config)}" for name, count in dropped.most_common(3)]
    raise StageError(f"curation kept none of {read} documents: {'; '.join(told)}")


def _loosened_by(name: str, config: CurateConfig) -> str:
    """Return the field of the recipe that a reason follows from."""
    if name == "language/other_language":
        return f" (curate.preset is {config.preset})"
    if name.startswith(f"{DECONTAMINATION}/"):
        return f" (curate.decontaminate is {', '.join(config.decontaminate)})"
    filter_name, _, reason = name.partition("/")
    thresholds = config.all_thresholds
    threshold = told_threshold(filter_name, reason, thresholds)
    return f" (curate.thresholds.{threshold} is {thresholds[threshold]:g})" if threshold else ""


def _dropped(volumes: Volumes) -> Counter[str]:
    """Return how many documents each `filter/reason` took."""
    return Counter({name: volumes[name]["documents"] for name in sorted(volumes) if name})


def _taken(judged: Volumes, copies: Volumes) -> tuple[Counter[str], Volumes]:
    """Return the volume of all that was read, and what each rule took of it."""
    read = sum(judged.values(), Counter())
    taken = added([judged, copies])
    taken.pop("", None)
    return read, {name: taken[name] for name in sorted(taken)}


def _stats(
    read: Counter[str],
    taken: Volumes,
    found: dict[str, Any],
    written: list[ShardResult],
    files: list[FileRecord],
    shared: Shared,
) -> dict[str, Any]:
    dropped = _dropped(taken)
    kept = sum(result.stats["kept"]["documents"] for result in written)
    assert read["documents"] == kept + dropped.total(), "a document was lost without a reason"
    state = sum(record.bytes for record in files if record.role == "signatures")
    return {
        "read": read["documents"],
        "kept": kept,
        "dropped": dict(dropped),
        "taken": {name: dict(volume) for name, volume in taken.items()},
        **_compared_with(shared.evaluation),
        **{name: _added(written, name) for name in ("by_source", "by_license", "by_language", "by_split")},
        "lengths": {
            "edges": LENGTH_EDGES,
            "counts": np.sum([result.stats["lengths"] for result in written], axis=0).tolist(),
        },
        **found,
        "signature_bytes_per_document": round(state / kept, 1),
    }


def _compared_with(evaluation: Evaluation | None) -> dict[str, int]:
    """Return how many evaluation items documents were compared with, and how many are too short for it."""
    if evaluation is None:
        return {}
    return {"evaluation_items": len(evaluation.names), "evaluation_items_too_short": evaluation.without_runs}


def _rewritten(judged: list[ShardResult]) -> dict[str, dict[str, Any]]:
    """Return what each filter took out of texts that it kept."""
    total: dict[str, Change] = {}
    for result in judged:
        for name, change in result.stats["rewritten"].items():
            total.setdefault(name, Change()).add(Change(**change))
    return {name: asdict(change) for name, change in sorted(total.items())}


def _funnel(
    read: Counter[str], taken: Volumes, rewritten: dict[str, dict[str, Any]], shared: Shared
) -> list[dict[str, Any]]:
    """Return documents, bytes and words that remain after each filter that is on."""
    thresholds = shared.config.all_thresholds
    dropped: Volumes = {}
    for name, volume in taken.items():
        dropped.setdefault(name.partition("/")[0], Counter()).update(volume)
    left = read.copy()
    for change in rewritten.values():
        left.update(bytes=change["bytes"], words=change["words"])
    funnel = [{"filter": "read", **_figures(left), "dropped": 0}]
    personal = shared.config.privacy
    filters = chain(shared.lists, personal)
    on = [name for name in filters if is_on(name, thresholds, shared.lists, personal)]
    if shared.recurring is not None:
        on.insert(0, RECURRING)
    if shared.evaluation is not None:
        on.append(DECONTAMINATION)
    for filter_name in [*on, DEDUPLICATION]:
        gone, change = dropped.get(filter_name, Counter()), rewritten.get(filter_name, {})
        left.subtract(gone)
        left.subtract({name: change.get(name, 0) for name in ("bytes", "words")})
        funnel.append({"filter": filter_name, **_figures(left), "dropped": gone["documents"]})
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
