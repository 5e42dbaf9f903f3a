"""A process killed while it saves leaves a whole checkpoint, or none: training ends in the same bits."""

import random
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from tiny_training import trainer

from lmtrain.training.checkpoint import COMPLETE
from lmtrain.training.loop import whole_weights
from lmtrain.training.process import Process

STEPS = 60
WAIT_SECONDS = 60

processes = get_context("forkserver")
processes.set_forkserver_preload(["sharding_program"])


def train(folder: Path) -> None:
    """Train to the end, saving every ten steps, and write the weights."""
    torch.set_num_threads(1)
    made = trainer(folder, Process(), "zero2", "muon", steps=STEPS)
    made.resources = made.resources.model_copy(update={"checkpoint_seconds": 1e-9})
    made.run()
    torch.save(whole_weights(made.job.model), folder / "weights.pt")


def killed_while_it_saves(folder: Path, delay: float) -> bool:
    """Start a training and kill it a moment after a save has begun; False if it came to its end before."""
    before = set(folder.glob("checkpoints/a/step-*"))
    process = processes.Process(target=train, args=(folder,))
    process.start()
    until = time.monotonic() + WAIT_SECONDS
    while process.is_alive() and time.monotonic() < until:
        begun = set(folder.glob("checkpoints/a/step-*")) - before
        if any(not (one / COMPLETE).exists() for one in begun):
            time.sleep(delay)
            process.kill()
            break
        time.sleep(0.0005)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_of_saving_it_ends_in_the_same_weights(tmp_path, kills):
    drawn = random.Random(kills)
    (tmp_path / "whole").mkdir()
    train(tmp_path / "whole")
    done, rounds = 0, 0
    while done < kills:
        folder = tmp_path / f"killed-{rounds}"
        folder.mkdir()
        while done < kills and killed_while_it_saves(folder, drawn.uniform(0, 0.03)):
            done += 1
        rounds += 1
        if not (folder / "weights.pt").exists():
            train(folder)
        ours, theirs = (
            torch.load(one / "weights.pt", weights_only=True) for one in (folder, tmp_path / "whole")
        )
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
