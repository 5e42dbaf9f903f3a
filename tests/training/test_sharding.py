"""However the state is sharded, the training is the same: losses and norms agree in float64."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sharding_program import OPTIMIZERS, held, stopped_halfway, traced
from tiny_training import trainer

from lmtrain.training.process import Process

PROGRAM = Path(__file__).with_name("sharding_program.py")
CLIPPED_TO = 0.5
WAYS = ("ddp", "zero1", "zero2", "zero3")
Traces = dict[str, list[list[float]]]


def run_program(workers: int, *arguments: str) -> Traces:
    """Return what the sharding program prints on so many gloo workers."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={workers}", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(PROGRAM), *arguments], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Where one worker has left checkpoints for two, and two for one."""
    folder = tmp_path_factory.mktemp("shared")
    for optimizer in OPTIMIZERS:
        stopped_halfway(folder / "from" / optimizer, Process(), "ddp", optimizer)
    return folder


@pytest.fixture(scope="module")
def of_two_workers(shared) -> Traces:
    """The traces of all ways of sharding over two gloo workers."""
    return run_program(2, ",".join(WAYS), str(shared))


@pytest.fixture(scope="module")
def of_one_worker(tmp_path_factory) -> Traces:
    """The traces of one worker, by optimizer."""
    return {
        kind: traced(trainer(tmp_path_factory.mktemp(kind), Process(), "ddp", kind)) for kind in OPTIMIZERS
    }


def assert_same(ours: list[list[float]], theirs: list[list[float]]) -> None:
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS)
def test_two_workers_train_as_one_does(of_one_worker, of_two_workers, way, optimizer):
    single = of_one_worker[optimizer]
    assert all(norm > CLIPPED_TO for _, norm in single[:-1]), "clipping is at work at every step"
    assert_same(single, of_two_workers[f"{way} {optimizer}"])


@pytest.mark.slow
def test_two_groups_of_two_workers_train_as_one_does(of_one_worker):
    of_four = run_program(4, "hybrid")
    for optimizer in OPTIMIZERS:
        assert_same(of_one_worker[optimizer], of_four[f"hybrid {optimizer}"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_workers_go_on_from_where_one_was(of_one_worker, of_two_workers, optimizer):
    assert_same(of_one_worker[optimizer][3:], of_two_workers[f"resumed {optimizer}"])


@pytest.mark.usefixtures("of_two_workers")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_worker_goes_on_from_where_two_were_with_the_bits_of_their_state(
    of_one_worker, shared, optimizer
):
    folder = shared / "to" / optimizer
    theirs = {}
    for file in folder.glob("held-*.pt"):
        theirs |= torch.load(file, weights_only=True)
    alone = trainer(folder, Process(), "ddp", optimizer)
    alone.checkpoints.load(alone._tensors())
    ours = held(alone)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert_same(of_one_worker[optimizer][3:], traced(trainer(folder, Process(), "ddp", optimizer)))
