"""A recipe's pretraining without Ray: alone and under torchrun, stopped and gone on with."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from recipe_shards import STEPS, pretraining_of, write_recipe, write_shards

from lmtrain.cli import main as lmtrain
from lmtrain.config import Resources
from lmtrain.manifest import Artifact
from lmtrain.pretraining.__main__ import main
from lmtrain.pretraining.stage import build
from lmtrain.watch import SilentWatch

PROJECT = Path(__file__).parent.parent.parent
WAIT_SECONDS = 300


def start(recipe: Path, *arguments: str) -> subprocess.Popen:
    """Start the pretraining in two gloo processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += ["-m", "lmtrain.pretraining", str(recipe), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=recipe.parent, **pipes)


def run(recipe: Path, *arguments: str) -> tuple[int, str, str]:
    """Run it to its end; return the exit code, and what was said."""
    process = start(recipe, *arguments)
    out, err = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, out, err


def losses(url: str) -> list[float]:
    artifact = Artifact(url)
    (record,) = artifact.files("metrics")
    rows = [json.loads(line) for line in artifact.open(record).read_text().splitlines()]
    return [row.get("loss", row.get("validation_loss")) for row in rows]


def test_alone_it_trains_and_the_second_time_says_that_it_is_there(tmp_path, line):
    recipe, root = write_recipe(tmp_path), str(tmp_path / "runs")
    write_shards(recipe, root, line)
    first = CliRunner().invoke(main, [str(recipe)], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    node = pretraining_of(recipe, root)
    assert first.stdout == f"model: {node.address.url(root)}\n"
    assert Artifact(node.address.url(root)).stats["steps"] == STEPS
    again = CliRunner().invoke(main, [str(recipe)], catch_exceptions=False)
    assert again.stdout == first.stdout
    assert again.stderr == f"  there  {node.address.folder}\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("", ""), r"lmtrain: shards/\S+ isn't there yet: run `lmtrain tokenize \S+` first\n"),
        (("name: small", "name: 7"), r"lmtrain: \S+recipe.yaml: name: .*\n"),
        (("compile: false", "compile: false, device: cuda"), r"lmtrain: resources.device is cuda, but .*\n"),
    ],
)
def test_what_a_person_can_put_right_is_one_line_and_ends_with_2(tmp_path, change, told):
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text().replace(*change))
    done = CliRunner().invoke(main, [str(recipe)], catch_exceptions=False)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(told, done.stderr)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_under_ray_as_under_torchrun_the_losses_are_the_same(tmp_path, lines):
    recipe, here, there = write_recipe(tmp_path), str(tmp_path / "runs"), str(tmp_path / "ray")
    for root in (here, there):
        write_shards(recipe, root, lines["en"])
    code, out, err = run(recipe)
    assert code == 0, err
    node = pretraining_of(recipe, there)
    resources = Resources(workers=2, compile=False, micro_batch_size=2)
    under_ray = build(node.input_urls(there), node.config, there, resources, SilentWatch())
    under_torchrun = out.removeprefix("model: ").strip()
    assert len(losses(under_torchrun)) == 3
    assert losses(under_torchrun) == losses(under_ray)
    ours, theirs = (
        {Path(record.path).name: record.sha256 for record in Artifact(url).files("weights")}
        for url in (under_torchrun, under_ray)
    )
    assert ours["model.safetensors"] == theirs["model.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_saves_and_the_same_command_goes_on(tmp_path, lines, number):
    recipe, root = write_recipe(tmp_path, steps=500), str(tmp_path / "runs")
    write_shards(recipe, root, lines["zh"])
    process = start(recipe)
    live = Path(root, pretraining_of(recipe, root).address.folder)
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and not list(live.glob("**/metrics.jsonl")):
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(number)
    _, err = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode != 0
    assert err.count("lmtrain: stopped; the same command again goes on from here") == 1, err
    (saved,) = live.glob("**/step-*")
    assert 0 < int(saved.name.removeprefix("step-").split("-")[0]) < 500
    code, out, err = run(recipe)
    assert code == 0, err
    assert err.count("goes on from step") == 1
    assert Artifact(out.removeprefix("model: ").strip()).stats["steps"] == 500


def test_a_profile_needs_shards_and_leaves_a_trace_and_no_artifact(tmp_path, lines):
    recipe, root = write_recipe(tmp_path, workers=1), str(tmp_path / "runs")
    arguments = ["profile", str(recipe), "--output", str(tmp_path / "traces"), "--steps", "2"]
    refused = CliRunner().invoke(lmtrain, arguments, catch_exceptions=False)
    assert refused.exit_code == 2
    assert "run `lmtrain tokenize" in refused.stderr
    write_shards(recipe, root, lines["zh"])
    done = CliRunner().invoke(lmtrain, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    trace = tmp_path / "traces" / "trace-rank-0.json.gz"
    assert trace.is_file()
    assert f"trace: {trace} (open it at https://ui.perfetto.dev" in done.stdout
    assert not Path(root, "model").exists()
