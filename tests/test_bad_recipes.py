"""Whatever is wrong with a recipe is told in one line that says what and where, before compute is spent."""

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lmtrain import cli


def good(folder: Path) -> dict[str, Any]:
    """Return a recipe of files that is right, and write what it reads."""
    (folder / "docs").mkdir()
    (folder / "docs" / "a.txt").write_text("Some text.\n")
    (folder / "labels.jsonl").write_text(json.dumps({"text": "good", "label": "yes"}) + "\n")
    return {
        "name": "mine",
        "root": str(folder / "runs"),
        "ingest": {"files": [{"alias": "mine", "urls": [str(folder / "docs")]}]},
        "label": {
            "files": [{"alias": "labels", "task": "classification", "urls": [str(folder / "labels.jsonl")]}]
        },
        "finetune": {"classification": [{"name": "first", "data": "labels"}]},
        "resources": {"workers": 1},
    }


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change that sets one field, named by its path."""

    def change(recipe: dict[str, Any]) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = recipe
        for part in parents:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        place[last] = value

    return change


CPUS = os.cpu_count() or 1
DOCSTRINGS = {"alias": "python", "packages": ["click"]}

WRONG = {
    "unknown field": (put("pretrain.learnin_rate", 1.0), r"pretrain\.learnin_rate: no such field"),
    "unknown section": (put("pretrian", {}), r"pretrian: no such field"),
    "wrong type": (put("pretrain.max_steps", "many"), r"pretrain\.max_steps: .*integer.* \(got 'many'\)"),
    "a number for a list": (put("ingest.files.0.urls", 3), r"ingest\.files\.0\.urls: .*list"),
    "negative size": (put("pretrain.hidden_size", -5), r"pretrain\.hidden_size: .*greater.* 8 \(got -5\)"),
    "zero workers": (put("resources.workers", 0), r"resources\.workers: .*\(got 0\)"),
    "heads that don't divide": (put("pretrain.num_attention_heads", 7), r"hidden_size 128 must be .*heads 7"),
    "a source to mix that isn't there": (
        put("pretrain.mixing", {"sources": [{"source": "yours", "weight": 2}]}),
        r"pretrain\.mixing\.sources: no source 'yours' in ingest \(there are: mine\)",
    ),
    "a temperature that is an inverse": (
        put("pretrain.mixing", {"temperature": 5.0}),
        r"pretrain\.mixing\.temperature: .*less than or equal to 1.*got 5",
    ),
    "unknown architecture": (put("pretrain.architecture", "lama"), r"pretrain\.architecture: .*'llama'"),
    "an objective for other families": (
        put("pretrain.objective", "mlm"),
        r"pretrain: objective mlm doesn't train qwen3 \(it trains bert, .*; qwen3 is trained by clm,",
    ),
    "a packing that doesn't go": (
        put("pretrain", {"architecture": "bloom", "packing": "best_fit"}),
        r"packing best_fit doesn't go with clm and bloom: set it to none",
    ),
    "an objective without its tokens": (
        put("pretrain", {"architecture": "bert", "objective": "mlm"}),
        r"tokenize\.special_tokens: pretrain\.objective mlm needs those of bert or roberta, not gpt2",
    ),
    "an objective without its column": (
        put("pretrain", {"architecture": "bert", "objective": "mlm_nsp"}),
        r"tokenize\.sentence_starts: set it to true, pretrain\.objective mlm_nsp needs it",
    ),
    "a field of other families": (
        put("pretrain", {"architecture": "bloom", "num_key_value_heads": 1}),
        r"num_key_value_heads is for .*llama.*: leave it out for bloom",
    ),
    "a student without a teacher": (
        put("pretrain.objective", "distillation"),
        r"teacher: pretrain\.objective distillation needs teacher\.path",
    ),
    "unknown preset": (put("curate.preset", "klingon"), r"curate\.preset: .*'english'"),
    "a threshold that isn't there": (put("curate.thresholds", {"min_word": 3}), r"no threshold 'min_word'"),
    "missing list": (
        put("curate.lists", {"domains": ["/no/domains.txt"]}),
        r"curate\.lists\.domains: no file at /no/domains\.txt",
    ),
    "no source": (put("ingest.files", []), r"ingest: name at least one source"),
    "duplicate alias": (put("ingest.docstrings", [{**DOCSTRINGS, "alias": "mine"}]), r"every alias must be"),
    "bad alias": (put("ingest.files.0.alias", "../up"), r"ingest\.files\.0\.alias: "),
    "unknown labelled set": (
        put("finetune.classification.0.data", "none"),
        r"no labelled set 'none'.*labels",
    ),
    "a set of another task": (put("label.files.0.task", "summarization"), r"'labels' is for summarization"),
    "labels without docstrings": (
        put("label.docstrings", [{"alias": "package", "label": "package"}]),
        r"label package: source must be a docstrings source \(there are: none\)",
    ),
    "an unknown set to keep out": (
        put("curate.decontaminate", ["tests"]),
        r"curate\.decontaminate: no labelled set 'tests' in label\.files \(there are: labels\)",
    ),
    "no name": (lambda recipe: recipe.pop("name"), r"name: field required"),
    "missing path": (
        put("ingest.files.0.urls", ["/no/such/folder"]),
        r"ingest mine: no file at /no/such/folder",
    ),
    "missing removal list": (
        put("remove", {"text_hashes": ["/no/hashes.txt"]}),
        r"remove\.text_hashes: no file at /no/hashes\.txt",
    ),
    "earlier documents that aren't there": (
        put("curate", {"earlier": ["documents/none-0123456789ab"]}),
        r"curate\.earlier: documents/none-0123456789ab isn't there: no manifest at ",
    ),
    "missing labels": (
        put("label.files.0.urls", ["/no/labels.jsonl"]),
        r"label labels: no file at /no/labels\.jsonl",
    ),
    "missing package": (
        put("ingest.docstrings", [{"alias": "p", "packages": ["nope"]}]),
        r"'nope' is not inst",
    ),
    "missing data package": (
        put("ingest.files.0.urls", ["package://nope/a.txt"]),
        r"'nope' is not installed",
    ),
    "more workers than CPUs": (
        put("resources.workers", CPUS + 1),
        rf"resources\.workers is {CPUS + 1}, but this machine has {CPUS} CPUs: set it to at most {CPUS}",
    ),
    "a bucket that isn't there": (
        put("ingest.files.0.urls", ["s3://lmtrain-nowhere/docs/*.txt"]),
        r"can't use s3://lmtrain-nowhere/docs.*bucket does not exist",
    ),
    "a root in no bucket": (put("root", "s3://lmtrain-nowhere/runs"), r"can't use s3://lmtrain-nowhere/runs"),
    "a root that is a file": (put("root", __file__), r"can't use .*test_bad_recipes\.py"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that runs a recipe's text, expects it to be refused, and returns the line that says why."""

    def compute() -> None:
        raise AssertionError("compute was begun")

    monkeypatch.setattr(cli, "cluster_session", compute)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def told(text: str | bytes) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        ended = CliRunner().invoke(cli.main, ["run", str(path)])
        assert ended.exit_code == 2, ended.output
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        assert line.startswith("lmtrain: ")
        return line

    return told


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_recipe_is_refused_in_one_line(wrong, run, tmp_path, s3_bucket):
    recipe = good(tmp_path)
    change, expected = WRONG[wrong]
    change(recipe)
    assert re.search(expected, run(yaml.safe_dump(recipe)))


def test_the_recipe_that_these_were_made_from_is_right(tmp_path, monkeypatch):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(good(tmp_path)))
    ended = CliRunner().invoke(cli.main, ["plan", str(path)])
    assert ended.exit_code == 0, ended.output
    assert not (tmp_path / "runs").exists(), "a plan writes nothing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [unclosed", "is not YAML: "),
        (b"name: \xff\xfe", "is not YAML: "),
        ("- a list", "a recipe is a mapping that begins with `name:`"),
        ("", "a recipe is a mapping that begins with `name:`"),
        ("just words", "a recipe is a mapping that begins with `name:`"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(text, expected, run):
    assert expected in run(text)


def test_a_recipe_that_is_not_there_is_refused_in_one_line(tmp_path):
    ended = CliRunner().invoke(cli.main, ["plan", str(tmp_path / "none.yaml")])
    assert (ended.exit_code, ended.stderr) == (2, f"lmtrain: no recipe at {tmp_path}/none.yaml\n")


@pytest.mark.parametrize("names", [["a.txt"], ["a.jsonl", "b.csv"]])
def test_a_corpus_of_empty_files_is_refused(names, run, tmp_path):
    recipe = good(tmp_path)
    (tmp_path / "docs" / "a.txt").unlink()
    for name in names:
        (tmp_path / "docs" / name).write_bytes(b"")
    assert "ingest mine: every file is empty" in run(yaml.safe_dump(recipe))


def test_a_folder_without_files_is_refused(run, tmp_path):
    recipe = good(tmp_path)
    (tmp_path / "docs" / "a.txt").unlink()
    assert "no file at" in run(yaml.safe_dump(recipe))


def test_a_file_of_an_unknown_form_is_refused_by_name(run, tmp_path):
    recipe = good(tmp_path)
    (tmp_path / "docs" / "b.docx.gz").write_bytes(gzip.compress(b"x"))
    line = run(yaml.safe_dump(recipe))
    assert "b.docx.gz is of no known form" in line
    assert ".jsonl" in line


def test_an_endpoint_that_does_not_answer_is_told_in_seconds(run, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3fs.S3FileSystem.clear_instance_cache()
    recipe = good(tmp_path)
    recipe["root"] = "s3://bucket/runs"
    assert "can't reach s3://bucket/runs: Could not connect" in run(yaml.safe_dump(recipe))
    s3fs.S3FileSystem.clear_instance_cache()
