"""curate: corpora to documents. Filters judge each document alone, then copies are found and removed.

    corpus files ─ judge → judged ─ (keep the best) ─ find copies → leaving ─ write → documents

Every document that is read is kept or dropped with a reason: read = kept + dropped.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.curation.accounting import chosen, volumes_of
from lmtrain.curation.components import ROW_BITS
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.counting import find_recurring
from lmtrain.curation.decontamination import DECONTAMINATION, Evaluation, evaluation_of, items_of
from lmtrain.curation.deduplication import earlier_signatures, find_copies
from lmtrain.curation.filters import told_threshold
from lmtrain.curation.judging import Part, Shared, judge_part, parts_of, warm
from lmtrain.curation.lists import read_unchanged
from lmtrain.curation.presets import QUALITY
from lmtrain.curation.removal import REMOVAL
from lmtrain.curation.share import KEEP_SHARE, find_cut, keep_share
from lmtrain.curation.summary import dropped, summary
from lmtrain.curation.writing import Task, write_part
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import RecipeError, StageError
from lmtrain.manifest import Artifact
from lmtrain.removals.entries import open_removals
from lmtrain.removals.resolving import removals_of
from lmtrain.watch import Watch


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
        accounts = judged
        if cut:
            accounts = keep_share([part.name for part in parts], records, cut, attempt, resources, watch)
            records = [result.files[0] for result in accounts]
        earlier = inputs.get("earlier", [])
        volumes = volumes_of(result.stats["taken"] for result in accounts)
        read = sum(volume["documents"] for volume in volumes.values())
        _refuse_if_empty(read, dropped(volumes), config)
        found, copies = find_copies(parts, records, earlier, config.deduplication, attempt, resources, watch)
        _refuse_if_empty(read, dropped(volumes) + copies.taken, config)
        shown: Any = [None] * len(parts)
        if config.keep_text == "examples":
            shown = chosen([result.stats["smallest"] for result in accounts], copies.smallest, ROW_BITS)
        tasks = [
            Split(part.name, Task(part, n, record, examples))
            for n, (part, record, examples) in enumerate(zip(parts, records, shown, strict=True))
        ]
        what = (found, config.privacy)
        written = map_shards(write_part, tasks, attempt, resources, watch, step="write", shared=what)
        files = [record for result in written for record in result.files]
        files += [record for result in judged for record in result.files if record.role == "contamination"]
        return Built(files, summary(judged, volumes, cut, copies, written, files, shared))

    return build_once(config, inputs, root, work)


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


def _refuse_if_empty(read: int, gone: Counter[str], config: CurateConfig) -> None:
    """Raise in one line where nothing is left, with what would loosen the biggest reasons."""
    if not read:
        raise StageError("the corpora hold no documents: look at what was rejected (lmtrain show)")
    if gone.total() < read:
        return
    told = [f"{name} took {count}{_loosened_by(name, config)}" for name, count in gone.most_common(3)]
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
