"""Training functions run on Ray workers; what they tell, return and raise comes back."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import ray
from ray import cloudpickle
from ray.train import RunConfig

from lmtrain.config import Resources
from lmtrain.distributed import training
from lmtrain.distributed.training import launch
from lmtrain.errors import ResourceError, StageError
from lmtrain.training.process import Process

pytestmark = pytest.mark.usefixtures("ray_cluster")

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers don't have the tests on their path

RESOURCES = Resources(workers=2, compile=False)


class Seen:
    """A watch that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.steps: list[int] = []

    def progress(self, done, total, unit):
        """Ignore progress."""

    def figures(self, step, **values):
        self.steps.append(step)

    def log(self, rank, host, line, level=logging.INFO):
        self.lines.append((rank, line))

    def cancelled(self):
        return False


def dies_once(spec: dict, process: Process) -> dict:
    """Sum the ranks; in the first try rank 1 is killed in the middle."""
    process.tell("figures", {"step": process.rank, "loss": 1.0})
    mark = Path(spec["mark"])
    if process.rank == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"ranks": process.sum([float(process.rank)])[0], "world": process.world}


def refuses(spec: dict, process: Process) -> dict:
    """Raise what a person shall read."""
    process.log("about to refuse")
    raise StageError("lower learning_rate")


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_the_result_comes_back(tmp_path):
    seen = Seen()
    found = launch(dies_once, {"mark": str(tmp_path / "mark")}, RESOURCES, seen, name="dies-once")
    assert found == {"ranks": 1.0, "world": 2}
    assert {0, 1} <= set(seen.steps)


def test_what_a_person_shall_read_is_raised_as_it_is():
    seen = Seen()
    with pytest.raises(StageError, match=r"^lower learning_rate$"):
        launch(refuses, {}, RESOURCES, seen, name="refuses")
    assert {(0, "about to refuse"), (1, "about to refuse")} <= set(seen.lines)


@pytest.mark.parametrize(
    ("asked", "gpus", "workers", "backend"),
    [
        ({"workers": 2}, 0, 2, "gloo"),
        ({"workers": 8}, 8, 8, "cuda:nccl,cpu:gloo"),
        ({"workers": 8, "device": "cpu"}, 8, 8, "gloo"),
        ({"workers": 8, "min_workers": 4}, 6, (4, 8), "cuda:nccl,cpu:gloo"),
        ({"workers": 8, "min_workers": 4}, 3, (4, 8), "gloo"),
    ],
)
def test_workers_get_what_the_resources_say(monkeypatch, asked, gpus, workers, backend):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 64.0, "GPU": float(gpus)})
    resources = Resources(threads_per_worker=3, collective_timeout_seconds=77, **asked)
    made = training._trainer(refuses, {}, resources, None, RunConfig())
    scaling, torch_config = made.scaling_config, made.backend_config
    on_gpus = "nccl" in backend
    assert scaling.num_workers == workers
    assert scaling.use_gpu == on_gpus
    assert scaling.resources_per_worker == {"CPU": 3, **({"GPU": 1} if on_gpus else {})}
    assert scaling.elasticity_enabled == ("min_workers" in asked)
    assert (torch_config.backend, torch_config.timeout_s) == (backend, 77)


def test_the_least_workers_are_what_a_machine_must_have():
    Resources(workers=8, min_workers=2).check(2, "this machine")
    with pytest.raises(ResourceError, match=r"resources.min_workers is 3, but this machine has 2 CPUs"):
        Resources(workers=8, min_workers=3).check(2, "this machine")
    with pytest.raises(ValueError, match="min_workers 3 must be at most workers 2"):
        Resources(workers=2, min_workers=3)
    with pytest.raises(ValueError, match="shard_group 2 doesn't divide every number of workers"):
        Resources(workers=4, min_workers=2, shard_group=2)
