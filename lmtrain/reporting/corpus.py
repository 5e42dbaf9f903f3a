"""What became of the text: the funnel, what was dropped with examples, what was cut out, lengths, totals.

In: the line's artifacts. Out: plain values that the page and the figures draw.
"""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace
from typing import Any

from lmtrain.manifest import Artifact
from lmtrain.reporting import humanize
from lmtrain.reporting.clusters import Clusters, clusters_of
from lmtrain.reporting.contamination import Contamination, contamination_of
from lmtrain.reporting.line import Line
from lmtrain.reporting.rewriting import Rewrite, rewrites
from lmtrain.reporting.volumes import Volume, volumes
from lmtrain.schemas import SPLITS

EXAMPLES_PER_REASON = 3
EXAMPLE_CHARACTERS = 700
EXAMPLES_IN_ALL = 90
"""At most so many dropped texts on the page: with `EXAMPLE_CHARACTERS` this bounds the page's size."""


@dataclass(frozen=True)
class Stage:
    """One step of the funnel: what remains after it.

    Attributes:
        name: the filter in words.
        share: documents that remain, as a share of those read.
        bytes_share: bytes that remain, as a share of those of readable records; None if not known.
    """

    name: str
    documents: int
    bytes: int | None
    words: int | None
    dropped: int
    share: float
    bytes_share: float | None = None


@dataclass(frozen=True)
class Example:
    """A dropped text, or a refused record, as the page shows it."""

    text: str
    source: str = ""
    value: float | None = None
    threshold: float | None = None
    detail: str = ""

    @property
    def lang(self) -> str | None:
        """The language tag of the text, where it isn't the page's."""
        return humanize.language_tag(self.text)


@dataclass
class Reason:
    """Why documents were dropped, how many, and a few of them; bytes and words where they are known."""

    stage: str
    name: str
    documents: int
    share: float
    bytes: int | None = None
    words: int | None = None
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class Total:
    """One bar of a total: a key with its documents and bytes."""

    key: str
    documents: int
    bytes: int
    share: float


@dataclass(frozen=True)
class Lengths:
    """A histogram of document lengths, edges in bytes."""

    edges: list[float]
    counts: list[int]


@dataclass
class Corpus:
    """All that the page tells about text."""

    read: int = 0
    read_bytes: int | None = None
    kept: int = 0
    kept_bytes: int | None = None
    stages: list[Stage] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    lengths: Lengths | None = None
    volumes: list[Volume] = field(default_factory=list)
    totals: dict[str, list[Total]] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)
    clusters: int | None = None
    cluster_sizes: Clusters | None = None
    contamination: Contamination | None = None
    copies_across_splits: int = 0


def corpus_of(line: Line) -> Corpus:
    """Gather what ingestion and curation tell of the text."""
    corpus = Corpus()
    corpora = [artifact.stats for artifact in line["corpora"]]
    documents = line.first("documents")
    stats = documents.stats if documents else {}
    refused = sum(sum(given.get("rejected", {}).values()) for given in corpora)
    corpus.read = sum(given.get("read", 0) for given in corpora) or stats.get("read", 0)
    corpus.kept = stats.get("kept", sum(given.get("kept", 0) for given in corpora))
    corpus.clusters = stats.get("clusters")
    corpus.cluster_sizes = clusters_of(documents, line.withheld)
    corpus.contamination = contamination_of(line)
    corpus.rewrites = rewrites(stats)
    corpus.volumes = volumes(line)
    corpus.copies_across_splits = stats.get("copies_across_splits", 0)
    corpus.stages = _stages(corpora, stats.get("funnel", []), corpus.read, refused)
    if corpus.stages:
        corpus.kept_bytes = corpus.stages[-1].bytes
        corpus.read_bytes = next((stage.bytes for stage in corpus.stages if stage.bytes is not None), None)
    reasons = [*_refused(line["corpora"], corpus.read), *_dropped(documents, corpus.read, line.withheld)]
    corpus.reasons = sorted(reasons, key=lambda reason: -reason.documents)
    lengths = stats.get("lengths")
    if lengths and sum(lengths["counts"]):
        corpus.lengths = Lengths(lengths["edges"], lengths["counts"])
    for key in ("language", "split"):
        of_key = stats.get(f"by_{key}") or _summed(corpora, f"by_{key}")
        if of_key:
            corpus.totals[key] = _totals(of_key)
    return corpus


def _stages(
    corpora: list[dict[str, Any]], funnel: list[dict[str, Any]], read: int, refused: int
) -> list[Stage]:
    stages = []
    if corpora:
        stages.append(Stage("read from the sources", read, None, None, 0, 1.0))
        kept = sum(given.get("kept", 0) for given in corpora)
        kept_bytes = sum(given.get("bytes", 0) for given in corpora)
        stages.append(Stage("readable records", kept, kept_bytes, None, refused, kept / max(read, 1)))
    for step in funnel:
        if step["filter"] == "read" and corpora:
            continue  # the corpora have told it already
        stages.append(
            Stage(
                humanize.words(step["filter"]),
                step["documents"],
                step.get("bytes"),
                step.get("words"),
                step.get("dropped", 0),
                step["documents"] / max(read, 1),
            )
        )
    whole = next((stage.bytes for stage in stages if stage.bytes), None)
    if whole is None:
        return stages
    return [
        replace(stage, bytes_share=stage.bytes / whole) if stage.bytes is not None else stage
        for stage in stages
    ]


def _refused(corpora: list[Artifact], read: int) -> list[Reason]:
    counts: dict[str, int] = defaultdict(int)
    examples: dict[str, list[Example]] = defaultdict(list)
    for corpus in corpora:
        for reason, number in corpus.stats.get("rejected", {}).items():
            counts[reason] += number
        columns = ["source", "file", "record", "reason", "detail"]
        for row in _few_rows(corpus, "rejected", columns, lambda row: row["reason"]):
            if len(examples[row["reason"]]) < EXAMPLES_PER_REASON:
                place = f"{row['file']}, record {row['record']}" if row["record"] >= 0 else row["file"]
                examples[row["reason"]].append(
                    Example(humanize.excerpt(place, 200), source=row["source"], detail=row["detail"] or "")
                )
    return [
        Reason("ingest", humanize.words(name), number, number / max(read, 1), examples=examples[name])
        for name, number in counts.items()
        if number
    ]


def _dropped(documents: Artifact | None, read: int, withheld: Set[str]) -> list[Reason]:
    if documents is None:
        return []
    examples: dict[str, list[Example]] = defaultdict(list)
    columns = ["id", "source", "filter", "reason", "value", "threshold", "detail", "text"]
    for row in _few_rows(documents, "dropped", columns, _key_of_dropped):
        key = _key_of_dropped(row)
        if row["text"] and row["id"] not in withheld and len(examples[key]) < EXAMPLES_PER_REASON:
            examples[key].append(
                Example(
                    humanize.excerpt(row["text"], EXAMPLE_CHARACTERS),
                    source=row["source"],
                    value=row["value"],
                    threshold=row["threshold"],
                    detail=row["detail"] or "",
                )
            )
    counted = sorted(documents.stats.get("dropped", {}).items(), key=lambda item: -item[1])
    room = EXAMPLES_IN_ALL
    reasons = []
    for key, number in counted:
        if number:
            filtered, _, reason = key.partition("/")
            shown = examples[key][:room]
            room -= len(shown)
            name = humanize.words(reason or filtered)
            volume = documents.stats.get("taken", {}).get(key, {})
            reasons.append(
                Reason(
                    humanize.words(filtered),
                    name,
                    number,
                    number / max(read, 1),
                    volume.get("bytes"),
                    volume.get("words"),
                    shown,
                )
            )
    return reasons


def _key_of_dropped(row: dict[str, Any]) -> str:
    return f"{row['filter']}/{row['reason']}"


def _few_rows(artifact: Artifact, role: str, columns: list[str], key_of: Any) -> Iterable[dict[str, Any]]:
    """Yield a few rows of each key, without turning a whole table into Python objects."""
    for table in artifact.tables(role, columns=columns):
        if "text" in columns:
            table = table.filter(table["text"].is_valid())
        taken: dict[str, int] = defaultdict(int)
        for batch in table.to_batches(max_chunksize=512):
            for row in batch.to_pylist():
                key = key_of(row)
                if taken[key] < EXAMPLES_PER_REASON:
                    taken[key] += 1
                    yield row


def _summed(corpora: list[dict[str, Any]], name: str) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = defaultdict(lambda: {"documents": 0, "bytes": 0})
    for given in corpora:
        for key, counts in given.get(name, {}).items():
            for unit in ("documents", "bytes"):
                total[key][unit] += counts.get(unit, 0)
    return dict(total)


TOTALS_SHOWN = 12


def split_place(split: str) -> int:
    """Return a split's place among others: train, validation, test, and what isn't one."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def _totals(counts: dict[str, dict[str, int]]) -> list[Total]:
    whole = sum(given["bytes"] for given in counts.values()) or 1
    ranked = sorted(counts.items(), key=lambda item: (split_place(item[0]), -item[1]["bytes"], item[0]))
    shown, rest = ranked[:TOTALS_SHOWN], ranked[TOTALS_SHOWN:]
    totals = [
        Total(key or "not given", given["documents"], given["bytes"], given["bytes"] / whole)
        for key, given in shown
    ]
    if rest:
        documents = sum(given["documents"] for _, given in rest)
        in_bytes = sum(given["bytes"] for _, given in rest)
        totals.append(Total(f"{len(rest)} others", documents, in_bytes, in_bytes / whole))
    return totals
