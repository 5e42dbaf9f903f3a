"""A training goes on with the workers that are left when a machine goes, on the same rows."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
import tiny_training
import torch
from ray import cloudpickle
from tiny_training import trainer

from lmtrain.config import Resources
from lmtrain.distributed.training import launch
from lmtrain.training.loop import whole_weights
from lmtrain.training.process import Process

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers don't have the tests on their path
cloudpickle.register_pickle_by_value(tiny_training)

STEPS = 100
ROWS = 7
LEAVES_AT = 30
WAIT_SECONDS = 120


def trains(spec: dict, process: Process) -> dict:
    """Train slowly, saving often; rank 0 notes the rows of each step, and leaves the weights."""
    folder = Path(spec["folder"])
    made = trainer(folder, process, "zero2", "adamw", steps=STEPS)
    made.resources = made.resources.model_copy(update={"checkpoint_seconds": 1e-9})
    take = made.loader.take

    def noted(start: int, size: int) -> list:
        if process.leads and size == ROWS:
            with (folder / "rows").open("a") as stream:
                stream.write(f"{process.world} {start // ROWS}\n")
        time.sleep(0.05)
        return take(start, size)

    made.loader.take = noted
    made.run()
    weights = whole_weights(made.job.model)
    if process.leads:
        torch.save(weights, folder / "weights.pt")
    return {"world": process.world}


def noted_steps(folder: Path) -> list[tuple[int, int]]:
    """Return (workers, step) of each step that was begun."""
    file = folder / "rows"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(world), int(step)) for world, step in map(str.split, lines)]


class Node:
    """A machine of one CPU in the session's cluster."""

    def __init__(self) -> None:
        address = ray.get_runtime_context().gcs_address
        program = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}"]
        self.process = subprocess.Popen(
            [*program, "--num-cpus=1", "--block", "--disable-usage-stats"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + WAIT_SECONDS
        while len(self.alive()) < 2:
            assert time.monotonic() < until, "the node doesn't join"
            assert self.process.poll() is None, "the node ended"
            time.sleep(0.2)

    @staticmethod
    def alive() -> list[dict]:
        return [node for node in ray.nodes() if node["Alive"]]

    def dies(self) -> None:
        """Kill all that runs on it, as a power cut does."""
        if self.process.poll() is None:
            parent = psutil.Process(self.process.pid)
            for one in [*parent.children(recursive=True), parent]:
                one.kill()
            self.process.wait()


@pytest.fixture
def node(ray_cluster) -> Iterator[Node]:
    made = Node()
    yield made
    made.dies()
    until = time.monotonic() + WAIT_SECONDS
    while len(Node.alive()) > 1 and time.monotonic() < until:  # other tests count the cluster's CPUs
        time.sleep(0.5)


class Quiet:
    """A watch that keeps lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, done, total, unit):
        """Ignore progress."""

    def figures(self, step, **values):
        """Ignore figures."""

    def log(self, rank, host, line, level=0):
        self.lines.append(line)

    def cancelled(self):
        return False


@pytest.mark.slow
def test_three_workers_lose_a_machine_and_two_go_on_with_the_same_rows(node, tmp_path):
    def kill() -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not any(step >= LEAVES_AT for _, step in noted_steps(tmp_path)) and time.monotonic() < until:
            time.sleep(0.05)
        node.dies()

    killer = threading.Thread(target=kill)
    killer.start()
    watch = Quiet()
    resources = Resources(workers=3, min_workers=1, compile=False)
    found = launch(trains, {"folder": str(tmp_path)}, resources, watch, name="elastic")
    killer.join()
    begun = noted_steps(tmp_path)
    assert found == {"world": 2}
    assert [line for line in watch.lines if "workers train" in line] == ["3 workers train", "2 workers train"]
    before = [step for world, step in begun if world == 3]
    after = [step for world, step in begun if world == 2]
    assert before == list(range(len(before)))
    assert after == list(range(after[0], STEPS))
    assert 10 <= after[0] <= len(before), "from a checkpoint, and no row is left out"
    alone = trainer(tmp_path / "alone", Process(), "ddp", "adamw", steps=STEPS)
    alone.run()
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    for name, value in whole_weights(alone.job.model).items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-9)
