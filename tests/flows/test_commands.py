"""`python -m flows`: what is wrong is told in one line before anything starts, and nothing is done twice."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flows.__main__ import main

TOP = Path(__file__).parents[2]


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner()


def altered(tiny: Path, folder: Path, change: dict) -> str:
    raw = {**yaml.safe_load(tiny.read_text()), **change}
    path = folder / "altered.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


BAD = {
    "unknown field": ({"pretrian": {}}, "pretrian: no such field"),
    "negative size": ({"tokenize": {"vocab_size": -5}}, "vocab_size"),
    "wrong type": ({"pretrain": {"max_steps": "many"}}, "max_steps"),
    "package that isn't there": (
        {"ingest": {"docstrings": [{"alias": "python", "packages": ["no_such_package"]}]}},
        "no_such_package",
    ),
    "more workers than CPUs": ({"resources": {"workers": 4096}}, "4096"),
}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_bad_recipe_is_refused_in_one_line(cli, command, change, tiny, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    given, told = change
    path = altered(tiny, tmp_path, given)
    result = cli.invoke(main, [command, path, "--root", str(tmp_path / "runs")])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert told in line
    assert result.stdout == ""


def test_a_recipe_that_is_not_there_is_refused(cli, tmp_path):
    result = cli.invoke(main, ["run", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml" in result.stderr


def test_a_root_that_cannot_be_written_is_refused(cli, tiny, tmp_path):
    blocker = tmp_path / "a-file"
    blocker.write_text("in the way")
    result = cli.invoke(main, ["run", str(tiny), "--root", str(blocker / "runs")])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_recipe_is_refused_before_prefect_or_ray_is_imported(tiny, tmp_path):
    path = altered(tiny, tmp_path, {"name": "not a name"})
    script = (
        "import sys; from flows.__main__ import main\n"
        f"try: main(['run', {path!r}])\n"
        "except SystemExit as ended: print(ended.code, 'prefect' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False", "False"], done.stderr


def test_a_plan_names_each_node_with_its_address_and_writes_nothing(cli, tiny, tmp_path):
    root = tmp_path / "runs"
    result = cli.invoke(main, ["plan", str(tiny), "--root", str(root)])
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"root: {root}"
    for stage in ("ingest", "curate", "train_tokenizer", "tokenize", "pretrain", "evaluate", "report"):
        assert any(line.startswith("NEW") and line.split()[1] == stage for line in lines), stage
    assert "0 HIT" in lines[-1]
    assert "of disk" in lines[-1]
    assert not root.exists()


@pytest.mark.parametrize("command", ["run", "plan", "serve", "prefect-yaml"])
def test_every_command_says_what_it_is_for(cli, command):
    result = cli.invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 3


def test_serve_refuses_a_wrong_recipe_before_it_starts_anything(cli, tiny, tmp_path):
    altered(tiny, tmp_path, {"name": "not a name"})
    started = time.monotonic()
    result = cli.invoke(main, ["serve", "--recipes", str(tmp_path)])
    assert result.exit_code == 2
    assert "name" in result.stderr
    assert time.monotonic() - started < 10


def test_prefect_yaml_is_what_the_recipes_make(cli):
    result = cli.invoke(main, ["prefect-yaml"])
    assert result.exit_code == 0
    assert result.stdout == (TOP / "prefect.yaml").read_text(encoding="utf-8"), (
        "renew it: python -m flows prefect-yaml > prefect.yaml"
    )
