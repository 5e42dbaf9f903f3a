"""The stage `label`: examples of one task, from docstrings and what labels them, or from labelled files.

In: curated documents, or files. Out: an artifact `labelled`, one Parquet file a
split, with the law read = kept + rejected in its stats. First every split of the
work is read into examples, then one task looks at all of them together.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.config import Resources
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import StageError
from lmtrain.ingestion.config import DocstringLabels, LabelConfig, LabelledFiles
from lmtrain.ingestion.examples import (
    TASK_OF_LABEL,
    Example,
    Rejected,
    examples_of_documents,
    examples_of_file,
    packages_in,
)
from lmtrain.ingestion.listing import check_unchanged, list_labelled_files
from lmtrain.ingestion.masking import masker
from lmtrain.ingestion.records import Refusal
from lmtrain.ingestion.selection import Selection
from lmtrain.ingestion.splits import cut_files, split_name
from lmtrain.ingestion.stage import FILE_BYTES, told_reasons
from lmtrain.ingestion.task_forms import FORMS
from lmtrain.ingestion.writer import RowWriter, added_up, rejected_row
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.schemas import LABELLED, LABELLED_BASE, REJECTED, SPLITS
from lmtrain.storage import SourceFile
from lmtrain.watch import Watch

READ = pa.schema(
    [
        *LABELLED_BASE,
        ("content", pa.large_string()),
        ("text", pa.large_string()),
        ("labels", pa.list_(pa.string())),
        ("file", pa.string()),
        ("record", pa.int64()),
    ]
)
"""Examples as read, before they are seen together."""

SHOWN_EACH = 3
SHOWN_CHARACTERS = 300
"""How many rejected texts of a reason the stats show, and how much of each."""


@dataclass(frozen=True)
class Read:
    """What one task reads: a file of documents, or files with what each stands under."""

    name: str
    document: tuple[str, FileRecord] | None = None
    files: tuple[tuple[SourceFile, str], ...] = ()


@dataclass(frozen=True)
class Shared:
    """What every task knows."""

    config: LabelConfig
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gathered:
    """All examples that were read."""

    attempt: Attempt
    files: tuple[FileRecord, ...]


def build(
    inputs: dict[str, list[str]], config: LabelConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Make one labelled set; return the URL of its manifest.

    Args:
        inputs: `documents`, the curated documents, where labels come from docstrings.
        config: where texts and labels come from.
        root: where artifacts lie; absolute.
        resources: at most so many tasks at once.
        watch: told each finished task.

    Raises:
        SourceError: files are missing, or changed since the run was planned.
        StageError: a split is left without examples, or a classification with one label.
    """
    return build_once(config, inputs, root, lambda attempt: _label(attempt, inputs, config, resources, watch))


def _label(
    attempt: Attempt, inputs: dict[str, list[str]], config: LabelConfig, resources: Resources, watch: Watch
) -> Built:
    task = task_of(config)
    reads, shared = _work(inputs, config)
    splits = [Split(read.name, read) for read in reads]
    read = map_shards(read_examples, splits, attempt, resources, watch, step="read", shared=shared)
    examples = tuple(record for result in read for record in result.files if record.role == "examples")
    everything = [Split("all", Gathered(attempt, examples))]
    selected = map_shards(
        select_examples, everything, attempt, resources, watch, step="select", shared=shared
    )
    shown = _few_each([row for result in [*read, *selected] for row in result.stats.pop("examples_rejected")])
    stats = added_up([result.stats for result in [*read, *selected]])
    stats = {"task": task, "kept": 0, "conflicting": 0, **stats, "examples_rejected": shown}
    assert stats["read"] == stats["kept"] + sum(stats["rejected"].values())
    _check_usable(config, task, stats)
    files = [record for result in [*selected, *read] for record in result.files if record.role != "examples"]
    return Built(files, stats)


def task_of(config: LabelConfig) -> str:
    """Return what the labels are for."""
    if config.docstrings:
        return TASK_OF_LABEL[config.docstrings.label]
    assert config.files is not None
    return config.files.task


def _work(inputs: dict[str, list[str]], config: LabelConfig) -> tuple[list[Read], Shared]:
    if config.files:
        return _work_on_files(config, config.files)
    assert config.docstrings is not None
    assert config.docstrings.source, "the graph names the source"
    return _work_on_documents(inputs["documents"], config, config.docstrings, config.docstrings.source)


def _work_on_documents(
    urls: list[str], config: LabelConfig, labels: DocstringLabels, source: str
) -> tuple[list[Read], Shared]:
    reads: list[Read] = []
    packages: set[str] = set()
    for url in urls:
        documents = Artifact(url)
        for record in documents.files("documents"):
            reads.append(Read(split_name(len(reads)), (url, record)))
            if labels.label == "package":
                packages |= packages_in(documents.open(record), source)
    return reads, Shared(config, tuple(sorted(packages)))


def _work_on_files(config: LabelConfig, source: LabelledFiles) -> tuple[list[Read], Shared]:
    listing = list_labelled_files(source)
    check_unchanged(config, source.alias, listing)
    runs = cut_files([file.bytes for file in listing.files], FILE_BYTES)
    pairs = list(zip(listing.files, listing.marks, strict=True))
    return [
        Read(split_name(number), files=tuple(pairs[place] for place in run))
        for number, run in enumerate(runs)
    ], Shared(config)


def read_examples(read: Read, shared: Shared, output: ShardOutput) -> None:
    """Read documents or files into one shard of examples and one of rejected records."""
    report = _Report(output, read.name)
    examples = RowWriter(output.path(f"examples-{read.name}.parquet"), READ)
    count = 0
    for item in _items(read, shared):
        count += 1
        if isinstance(item, Rejected):
            report.reject(alias_of(shared.config), item.file, item.refusal, item.text)
        else:
            examples.write(vars(item), len(item.text) + len(item.content))
    examples.close()
    output.add(f"examples-{read.name}.parquet", "examples", rows=examples.rows)
    report.close({"read": count})


def _items(read: Read, shared: Shared) -> Any:
    config = shared.config
    if read.document and config.docstrings:
        url, record = read.document
        mask = masker(shared.packages)
        yield from examples_of_documents(Artifact(url).open(record), config.docstrings, mask)
        return
    assert config.files is not None
    for file, mark in read.files:
        yield from examples_of_file(file, mark, config.files, config.split)


def select_examples(gathered: Gathered, shared: Shared, output: ShardOutput) -> None:
    """Write the examples that are kept, one file a split, and reject the others."""
    config = shared.config
    task = task_of(config)
    table = pa.concat_tables(
        [READ.empty_table(), *(pq.read_table(gathered.attempt.open(f)) for f in gathered.files)]
    )
    rows = [Example(**row) for row in table.to_pylist()]
    selection = _selected(rows, task, config.docstrings or config.files)
    report = _Report(output, "select")
    for place, verdict in sorted(selection.verdicts.items()):
        row = rows[place]
        refusal = Refusal(row.record, verdict.reason, verdict.detail, len(row.text.encode()))
        report.reject(row.source, row.file, refusal, row.text)
    by_split: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        kept = [rows[place] for place in selection.kept(split)]
        sizes = [len(row.text.encode()) for row in kept]
        writer = RowWriter(output.path(f"{split}.parquet"), LABELLED[task])
        for row, size in zip(kept, sizes, strict=True):
            base = {name: getattr(row, name) for name, _ in LABELLED_BASE}
            writer.write({**base, **json.loads(row.content)}, size)
        writer.close()
        output.add(f"{split}.parquet", "labelled", rows=len(kept), split=split)
        by_split[split] = {"documents": len(kept), "bytes": sum(sizes)}
    places = selection.kept()
    stats: dict[str, Any] = {"kept": len(places), "by_split": by_split, "conflicting": selection.conflicting}
    if FORMS[task].labels:
        stats["labels"] = dict(
            sorted(Counter(label for place in places for label in rows[place].labels).items())
        )
    report.close(stats)


def _selected(rows: list[Example], task: str, source: DocstringLabels | LabelledFiles | None) -> Selection:
    assert source is not None
    labels = [row.labels for row in rows] if FORMS[task].labels else None
    selection = Selection(
        [row.id for row in rows], [row.split for row in rows], [row.text for row in rows], labels
    )
    selection.reject_exact_copies()
    selection.reject_near_copies()
    selection.cut_training(source.max_examples)
    selection.reject_unseen_labels()
    return selection


class _Report:
    """The rejected records of one shard: a file, counts by reason, and a few texts to look at."""

    def __init__(self, output: ShardOutput, name: str) -> None:
        self.output = output
        self.name = f"rejected-{name}.parquet"
        self.writer = RowWriter(output.path(self.name), REJECTED)
        self.reasons: Counter[str] = Counter()
        self.shown: list[dict[str, str]] = []

    def reject(self, source: str, file: str, refusal: Refusal, text: str) -> None:
        self.reasons[refusal.reason] += 1
        self.writer.write(rejected_row(source, file, refusal))
        if self.reasons[refusal.reason] <= SHOWN_EACH:
            shown = text[:SHOWN_CHARACTERS].encode(errors="replace").decode()
            self.shown.append({"reason": refusal.reason, "text": shown})

    def close(self, stats: dict[str, Any]) -> None:
        self.writer.close()
        self.output.add(self.name, "rejected", rows=self.writer.rows)
        rejected = dict(sorted(self.reasons.items()))
        self.output.stats = {**stats, "rejected": rejected, "examples_rejected": self.shown}


def _few_each(shown: list[dict[str, str]]) -> list[dict[str, str]]:
    counts: Counter[str] = Counter()
    few = []
    for row in shown:
        counts[row["reason"]] += 1
        if counts[row["reason"]] <= SHOWN_EACH:
            few.append(row)
    return sorted(few, key=lambda row: row["reason"])


def alias_of(config: LabelConfig) -> str:
    """Return the alias of the set's source: the docstrings', or the labelled files' own."""
    if config.docstrings:
        return config.docstrings.source or config.docstrings.alias
    assert config.files is not None
    return config.files.alias


def _check_usable(config: LabelConfig, task: str, stats: dict[str, Any]) -> None:
    alias = config.label({})
    empty = [split for split, total in stats["by_split"].items() if not total["documents"]]
    if empty:
        raise StageError(
            f"labelled set {alias}: no example is left for {', '.join(empty)} of {told_reasons(stats)}"
        )
    if FORMS[task].labels and len(stats["labels"]) < 2:
        raise StageError(
            f"labelled set {alias}: every example has the label {next(iter(stats['labels']), None)!r}; "
            f"{task} needs two or more"
        )
