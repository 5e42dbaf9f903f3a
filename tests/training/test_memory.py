"""The memory of a step, as it is estimated, is what its tensors take when it is run."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from memory_program import MICRO_BATCH, TOKENS, WAYS, allocated, config, new_model, resources

from lmtrain.training import loop
from lmtrain.training.config import TrainingConfig
from lmtrain.training.memory import LiveBytes, StepMemory, pretended_workers, step_memory
from lmtrain.training.precision import Precision

PROGRAM = Path(__file__).with_name("memory_program.py")


def estimated(given: TrainingConfig, sharding: str, recompute: str, workers: int) -> StepMemory:
    ids = torch.full((MICRO_BATCH, TOKENS), 5)
    batch = {"input_ids": ids, "labels": ids, "position_ids": ids, "document": torch.zeros_like(ids)}
    autocast = partial(Precision(given.precision, 0.0).autocast, torch.device("cpu"))
    how = resources(sharding, recompute, workers)
    return step_memory(new_model, batch, 2, given, how, autocast)


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize(("optimizer", "precision"), [("adamw", "fp32"), ("muon", "bf16")])
def test_one_worker_takes_what_was_estimated(optimizer, precision, recompute, monkeypatch):
    monkeypatch.setattr(loop, "choose_precision", lambda wanted, device: Precision(wanted, 1e9))
    monkeypatch.setattr(loop.Trainer, "_agreed", lambda trainer, chosen: chosen)
    given = config(optimizer, precision)
    found = estimated(given, "ddp", recompute, 1)
    assert found.peak == pytest.approx(allocated(given, resources("ddp", recompute, 1)), rel=0.005)


@pytest.mark.slow
def test_two_workers_take_what_was_estimated_however_they_shard():
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(PROGRAM)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    counted = json.loads(line.removeprefix("RESULT "))
    assert len(counted) == len(WAYS) * 2 * 2
    with pretended_workers(2):
        for name, taken in counted.items():
            sharding, recompute, optimizer = name.split()
            found = estimated(config(optimizer, "fp32"), sharding, recompute, 2)
            assert found.peak == pytest.approx(taken, rel=0.005), name


def test_weights_gradients_and_state_are_split_among_workers():
    alone = estimated(config("adamw", "fp32"), "ddp", "none", 1)
    assert alone.gradients == alone.weights
    assert alone.optimizer == pytest.approx(2 * alone.weights, rel=0.001)
    with pretended_workers(8):
        ddp = estimated(config("adamw", "fp32"), "ddp", "none", 8)
        zero3 = estimated(config("adamw", "fp32"), "zero3", "none", 8)
    assert ddp.state == alone.state
    assert zero3.state == pytest.approx(alone.state / 8, rel=0.02)


def test_live_bytes_are_those_of_tensors_that_somebody_holds():
    with LiveBytes() as made:
        held = torch.zeros(1000)
        gone = torch.zeros(500)
        view = held.view(10, 100)
        assert made.live == 6000
        del gone
        assert made.live == 4000
        held.untyped_storage().resize_(0)
        assert made.live == 0
    assert made.peak == 6000
    assert view.shape == (10, 100)
