"""From curated documents or labelled files to examples of a task, each where its label stands.

Yields, for everything that is read, either an `Example` or a `Rejected`; what
only all examples together can tell (copies, conflicts) is `selection`'s.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lmtrain.config import SplitConfig
from lmtrain.ingestion.config import DocstringLabels, LabelledFiles
from lmtrain.ingestion.docstrings import UNKNOWN_LICENSE
from lmtrain.ingestion.documents import name_in, refusal_of
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part, Record, Refusal
from lmtrain.ingestion.summaries import Summarized, summarized
from lmtrain.ingestion.task_forms import FORMS, Content, UnusableError, content_of, names_of, records_in
from lmtrain.labelled import KNOWN_BY
from lmtrain.schemas import SPLITS, TASK_COLUMNS, document_id, split_of
from lmtrain.storage import SourceFile

SPLIT_NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "dev": "validation",
    "valid": "validation",
    "val": "validation",
}
"""What a split column may say."""

TASK_OF_LABEL = {"package": "classification", "summary": "summarization"}
MAX_BYTES = 10_000_000
"""Bytes of the longest text of an example."""


@dataclass(frozen=True)
class Example:
    """One example, and where it stood.

    Attributes:
        content: the columns of its task, as JSON.
        text: what it is known by: copies have the same.
        labels: of a closed set; none where targets aren't labels.
        attribute: by which errors are told apart, if it has one.
    """

    id: str
    split: str
    group: str
    source: str
    license: str
    content: str
    text: str
    labels: list[str]
    file: str
    record: int
    attribute: str | None = None


def made(task: str, content: Content, **about: Any) -> Example:
    """Return an example of a task.

    Args:
        task: whose columns the content has.
        content: of the example.
        **about: what else an example has.
    """
    form = FORMS[task]
    labels = form.labels(content) if form.labels else []
    whole, text = json.dumps(content, ensure_ascii=False), KNOWN_BY[task](content)
    return Example(content=whole, text=text, labels=labels, **about)


@dataclass(frozen=True)
class Rejected:
    """What isn't used, where it stood, and its text."""

    file: str
    refusal: Refusal
    text: str


Masker = Callable[[str], str]


def packages_in(path: Path, source: str) -> set[str]:
    """Return the packages that the documents of a docstrings source come from."""
    rows = pq.read_table(path, columns=["source", "metadata"]).to_pylist()
    return {json.loads(row["metadata"])["package"] for row in rows if row["source"] == source}


def examples_of_documents(path: Path, labels: DocstringLabels, mask: Masker) -> Iterator[Example | Rejected]:
    """Yield the examples in a Parquet file of curated documents.

    Only documents of the labels' source are read; split, group and licence are theirs.

    Args:
        path: a local file with the columns of schemas.DOCUMENTS.
        labels: what the label is.
        mask: takes the names of packages out of a text.
    """
    columns = ["id", "text", "source", "url", "license", "group", "split", "metadata"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(256, columns=columns):
            for row in batch.to_pylist():
                if row["source"] == labels.source:
                    yield _document_example(row, labels, mask)


def _document_example(row: dict[str, Any], labels: DocstringLabels, mask: Masker) -> Example | Rejected:
    number = json.loads(row["metadata"]).get("record", -1)
    size = len(row["text"].encode())
    if labels.label == "package":
        text, target = mask(row["text"]), json.loads(row["metadata"])["package"]
    else:
        found = summarized(row["text"])
        if not isinstance(found, Summarized):
            return Rejected(row["url"], Refusal(number, found, row["id"], size), row["text"])
        text, target = found.document, found.summary
    base = {name: row[name] for name in ("id", "split", "group", "source", "license")}
    task = TASK_OF_LABEL[labels.label]
    content = dict(zip(TASK_COLUMNS[task], _columns(task, text, target), strict=True))
    return made(task, content, **base, file=row["url"], record=number)


def _columns(task: str, text: str, target: str) -> tuple[str | None, ...]:
    """Return the columns of a task that docstrings have labels for."""
    return (text, None, target) if task == "classification" else (text, target)


def examples_of_file(
    file: SourceFile, mark: str, source: LabelledFiles, split: SplitConfig
) -> Iterator[Example | Rejected]:
    """Yield the examples in a labelled file.

    Args:
        file: one file of the listing.
        mark: the label or the split under which the file is given, if any.
        source: how the files are laid out.
        split: how groups are dealt where no split is given.
    """
    names = names_of(source.task, source.columns)
    wanted = [*names.values(), source.split_column, source.group_column, source.attribute_column]
    first = next(iter(names.values()))
    layout = Layout(first, tuple(name for name in wanted if name), "line", MAX_BYTES)
    for record in read_records(Part(file), layout):
        if isinstance(record, Refusal):
            yield Rejected(file.name, record, "")
            continue
        yield from _record_examples(file, mark, record, source, split)


def _record_examples(
    file: SourceFile, mark: str, record: Record, source: LabelledFiles, split: SplitConfig
) -> Iterator[Example | Rejected]:
    """Yield the examples of a record, or why it has none."""
    names = names_of(source.task, source.columns)
    values = {**record.values, names["label"]: mark} if source.urls_by_label else record.values
    shown = str(values.get(next(iter(names.values()))) or "")

    def rejected(reason: str, detail: str = "") -> Rejected:
        return Rejected(file.name, Refusal(record.number, reason, detail, record.bytes), shown)

    try:
        found = records_in(source.task, values)
    except UnusableError as error:
        yield rejected(error.reason, error.detail)
        return
    own_split = _split(mark, record, source)
    for place, one in enumerate(found):  # a bad question doesn't cost the others of its article
        try:
            content = content_of(source.task, one, names)
        except UnusableError as error:
            yield rejected(error.reason, error.detail)
            continue
        refused = refusal_of(record.number, KNOWN_BY[source.task](content), MAX_BYTES)
        if refused:
            yield Rejected(file.name, refused, shown)
            continue
        name = f"{mark}/{file.name}" if mark else file.name
        example_id = document_id(source.alias, name if not place else f"{name}#{place}", record.number)
        group = name_in(record.values, source.group_column) if source.group_column else example_id
        if group is None:
            yield rejected("missing_group", f"nothing usable in {source.group_column!r}")
            continue
        if (dealt := own_split or split_of(group, split)) not in SPLITS:
            yield rejected("unknown_split", dealt)
            continue
        yield made(
            source.task,
            content,
            id=example_id,
            split=dealt,
            group=group,
            source=source.alias,
            license=source.license or UNKNOWN_LICENSE,
            file=file.name,
            record=record.number,
            attribute=name_in(record.values, source.attribute_column) if source.attribute_column else None,
        )


def _split(mark: str, record: Record, source: LabelledFiles) -> str | None:
    """Return the split that the data say, as far as known; None where they needn't say any."""
    if source.urls_by_split:
        return mark
    if not source.split_column:
        return None
    given = name_in(record.values, source.split_column) or "missing"
    return SPLIT_NAMES.get(given.lower(), given)
