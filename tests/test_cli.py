"""The command line: each command says where its result lies, and is told of in the README."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from interruptible import heed_ctrl_c

from lmtrain import cli
from lmtrain.building import Attempt, Built, build_once
from lmtrain.ingestion.config import IngestConfig

PROJECT = Path(__file__).parent.parent
TINY = str(Path(__file__).parent / "recipes" / "tiny.yaml")


def lmtrain(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("name", list(cli.main.commands))
def test_every_command_is_in_the_readme_and_explains_itself(name):
    assert f"lmtrain {name}" in (PROJECT / "README.md").read_text(encoding="utf-8")
    told = lmtrain(name, "--help")
    assert told.exit_code == 0
    assert cli.main.commands[name].help


@pytest.mark.parametrize("arguments", [["--help"], ["plan", TINY]])
def test_what_only_tells_loads_neither_torch_nor_ray(arguments, tmp_path):
    code = (
        "import sys; from lmtrain.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "print([name for name in ('torch', 'ray', 'transformers', 'prefect') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, *arguments]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_a_plan_names_each_artifact_and_the_disk_it_may_take(root):
    lines = lmtrain("plan", TINY, "--root", root).stdout.splitlines()
    assert lines[-1] == f"root: {root}"
    assert "0 HIT" in lines[-2]
    assert sum(line.startswith("NEW") for line in lines) == 10


@pytest.mark.usefixtures("ray_cluster")
def test_a_verb_builds_what_it_needs_and_the_second_time_nothing(root):
    first = lmtrain("ingest", TINY, "--root", root)
    assert first.exit_code == 0, first.output
    (line,) = first.stdout.splitlines()
    manifest = line.removeprefix("corpus: ")
    assert Path(manifest).is_file()
    assert "made   corpus/python-" in first.stderr
    again = lmtrain("ingest", TINY, "--root", root)
    assert again.stdout == first.stdout
    assert "there  corpus/python-" in again.stderr
    assert "made" not in again.stderr
    assert lmtrain("plan", TINY, "--root", root).stdout.count("HIT  ") == 1
    shown = lmtrain("show", str(Path(manifest).parent), "--rows", "1").stdout
    assert "by_license" in shown
    assert "documents: the first of" in shown


def test_a_verb_without_anything_to_do_in_the_recipe_is_told(tmp_path, root):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: small\ningest: {docstrings: [{alias: p, packages: [click]}]}\n")
    told = lmtrain("finetune", str(path), "--root", root)
    assert told.exit_code == 2
    assert told.stderr == f"lmtrain: {path}: there is nothing to finetune in it\n"


def write_artifact(root: str) -> str:
    """Write an artifact with a file of every form that can be shown."""

    def work(attempt: Attempt) -> Built:
        with attempt.shard("all") as output:
            table = pa.table({"text": ["first 文", "second " * 50], "empty": pa.nulls(2, pa.string())})
            pq.write_table(table, output.path("documents/a.parquet"))
            with pa.ipc.new_stream(output.path("shards/a.arrow"), table.schema) as stream:
                stream.write_table(table)
            output.path("metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
            output.path("weights.safetensors").write_bytes(b"\x00" * 1000)
            names = {"documents/a.parquet": "documents", "shards/a.arrow": "shards"}
            for name, role in {**names, "metrics.jsonl": "metrics", "weights.safetensors": "weights"}.items():
                output.add(name, role, rows=2 if role != "weights" else None)
        assert output.result is not None
        return Built(output.result.files, {"read": 3, "rejected": {"empty": 1}})

    source = {"alias": "mine", "packages": ["click"]}
    config = IngestConfig.model_validate({"docstrings": source, "listing": "0" * 64})
    return build_once(config, {}, root, work)


def test_an_artifact_is_shown_with_its_stats_its_files_and_its_first_rows(root):
    url = write_artifact(root)
    told = lmtrain("show", url, "--rows", "2").stdout
    assert told.count("first 文") == 2, "once from Parquet, once from Arrow"
    assert "second second" in told
    assert "…" in told, "long values are cut"
    assert '{"step": 2}' in told
    assert "rejected:" in told
    assert "empty:" not in told.split("files (4)")[1], "what a row hasn't isn't shown"
    assert told.splitlines()[-1] == f"manifest: {url}"
    assert "first 文" not in lmtrain("show", url, "--rows", "0").stdout


def test_an_artifact_on_s3_is_shown_like_any_other(s3_root):
    assert "first 文" in lmtrain("show", write_artifact(s3_root)).stdout


@pytest.fixture
def small_recipe(tmp_path) -> str:
    """A recipe of three documents: one too short, one kept, and its copy."""
    text = "The values of an array are read in blocks, so that the memory that is needed stays small. " * 2
    texts = ["Too short to be kept.", f"{text}It is fast.", f"{text}It is  fast."]
    documents = tmp_path / "documents.jsonl"
    documents.write_text("".join(json.dumps({"id": f"d{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    recipe = tmp_path / "recipe.yaml"
    files = [{"alias": "mine", "urls": [str(documents)], "id_column": "id"}]
    thresholds = {"max_top_2_gram_ratio": 1, "max_repeated_5_gram_ratio": 1}
    relaxed = {f"max_repeated_{n}_gram_ratio": 1 for n in range(5, 11)}
    curate = {"thresholds": {**thresholds, **relaxed, "min_words": 20}}
    made = {"name": "small", "root": str(tmp_path / "runs"), "ingest": {"files": files}, "curate": curate}
    recipe.write_text(json.dumps(made | {"resources": {"workers": 1}}))
    return str(recipe)


def test_a_text_is_explained_rule_by_rule(small_recipe):
    told = lmtrain("explain", small_recipe, "--text", "Too short.").stdout.splitlines()
    assert told[0].split()[:3] == ["filter", "rule", "measured"]
    assert any(line.split()[:6] == ["gopher_quality", "few_words", "2", "≥", "20", "BROKEN"] for line in told)
    assert told[-1] == "dropped by gopher_quality/few_words: 2 < 20"


@pytest.mark.parametrize("arguments", [[], ["--text", "a", "--id", "b"]])
def test_a_text_or_an_id_is_explained_and_not_both(small_recipe, arguments):
    told = lmtrain("explain", small_recipe, *arguments)
    assert (told.exit_code, told.stderr) == (2, "lmtrain: explain wants either --text or --id\n")


@pytest.mark.usefixtures("ray_cluster")
def test_a_document_is_explained_with_what_became_of_it(small_recipe):
    before = lmtrain("explain", small_recipe, "--id", "d0")
    assert "corpus mine isn't there yet: make it with lmtrain ingest" in before.stderr
    lmtrain("ingest", small_recipe)
    assert "not known before lmtrain curate" in lmtrain("explain", small_recipe, "--id", "d1").stdout
    made = lmtrain("curate", small_recipe)
    assert made.exit_code == 0, made.output
    told = [lmtrain("explain", small_recipe, "--id", f"d{n}").stdout.splitlines()[-2:] for n in range(3)]
    assert told[0] == [
        "dropped by gopher_quality/few_words: 5 < 20",
        "among copies: not compared with others: gopher_quality/few_words dropped it before",
    ]
    kept, copy = sorted(told[1:], key=lambda lines: lines[1], reverse=True)
    assert kept == ["kept by every filter", "among copies: no copy of another document"]
    assert copy[1].startswith("among copies: dropped as exact_copy of d")
    unknown = lmtrain("explain", small_recipe, "--id", "nobody")
    assert "no document 'nobody' in the corpora" in unknown.stderr
    shown = lmtrain("show", made.stdout.split()[-1]).stdout
    assert "few_words                                       -1   -33.3%" in shown


def test_what_is_no_artifact_is_told_in_one_line(tmp_path):
    told = lmtrain("show", str(tmp_path))
    assert told.exit_code == 2
    assert told.stderr == f"lmtrain: no manifest at {tmp_path}/manifest.json\n"


def test_an_artifact_on_a_server_that_does_not_answer_is_told_in_one_line(monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for verb in (["show"], ["generate", "--seed", "1"]):
        s3fs.S3FileSystem.clear_instance_cache()
        told = lmtrain(*verb, "s3://bucket/runs/model/a-0123456789ab", *["Once"] * (verb[0] == "generate"))
        assert told.exit_code == 2
        (line,) = told.stderr.splitlines()
        assert "can't reach s3://bucket/runs" in line
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path):
    told = lmtrain("generate", str(tmp_path), "Once")
    assert told.exit_code == 2
    assert told.stderr == f"lmtrain: no model at {tmp_path}: give a model's manifest.json or its folder\n"


INTERRUPTED_RUN = """
import sys, time
from lmtrain import cli
from lmtrain.config import Resources

def wait(node, root, resources, watch):
    print("building", flush=True)
    time.sleep(60)

cli.build = wait
cli.main(["ingest", *sys.argv[1:]])
"""


def test_ctrl_c_ends_with_one_line_that_says_how_to_go_on(root):
    command = [sys.executable, "-c", INTERRUPTED_RUN, TINY, "--root", root]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "building\n"
    time.sleep(0.2)
    os.kill(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.strip() == "lmtrain: stopped; the same command again goes on from here"


def test_a_manifest_is_json_that_other_programs_read(root):
    raw = json.loads(Path(write_artifact(root)).read_text())
    assert raw["stats"] == {"read": 3, "rejected": {"empty": 1}}
