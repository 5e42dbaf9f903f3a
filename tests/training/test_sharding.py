"""However the state is sharded, the training is the same: losses and norms agree in float64."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sharding_program import traced, trainer

from lmtrain.training.process import Process

PROGRAM = Path(__file__).with_name("sharding_program.py")
CLIPPED_TO = 0.5
WAYS = ("ddp", "zero1", "zero2", "zero3")


@pytest.fixture(scope="module")
def of_two_workers() -> dict[str, list[list[float]]]:
    """The traces of all ways of sharding over two gloo workers."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(PROGRAM), ",".join(WAYS)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("way", WAYS)
def test_two_workers_train_as_one_does(tmp_path, of_two_workers, way, optimizer):
    single = traced(trainer(tmp_path, Process(), "ddp", optimizer))
    assert all(norm > CLIPPED_TO for _, norm in single[:-1]), "clipping is at work at every step"
    for ours, theirs in zip(single, of_two_workers[f"{way} {optimizer}"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
