"""The loop goes on from where it was, to the bit, and refuses what can't be trained."""

import numpy as np
import pytest
import torch
from sharding_program import OPTIMIZERS
from tiny_training import trainer

from lmtrain.errors import CancelledError, CorruptArtifactError, StageError
from lmtrain.training.checkpoint import Checkpoints
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process


def cancels_after(steps: int) -> Process:
    told = []
    return Process(
        tell=lambda kind, payload: told.append(kind), cancelled=lambda: told.count("progress") >= steps
    )


def saving_often(trained: Trainer) -> Trainer:
    trained.resources = trained.resources.model_copy(update={"checkpoint_seconds": 1e-9})
    return trained


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stopped_and_resumed_equals_undisturbed_to_the_bit(tmp_path, optimizer):
    whole = trainer(tmp_path / "whole", Process(), "zero2", optimizer, steps=30)
    outcome = whole.run()
    stopped = trainer(tmp_path / "part", cancels_after(1), "zero2", optimizer, steps=30)
    with pytest.raises(CancelledError):
        stopped.run()
    resumed = saving_often(trainer(tmp_path / "part", Process(), "zero2", optimizer, steps=30))
    again = resumed.run()
    weights, others = whole_weights(whole.job.model), whole_weights(resumed.job.model)
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert [row["loss"] for row in outcome.rows if "loss" in row] == [
        row["loss"] for row in again.rows if "loss" in row
    ]


def test_the_loss_falls(tmp_path):
    rows = trainer(tmp_path, Process(), "zero2", "muon", steps=60).run().rows
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.3


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(tmp_path):
    broken = trainer(tmp_path, Process(), "zero2", "adamw")
    before = whole_weights(broken.job.model)
    broken.job.objective.loss = lambda model, batch: (
        model(input_ids=batch["input_ids"]).logits.sum() * float("nan")
    )
    with pytest.raises(StageError, match=r"step 1: the loss isn't finite on rank 0"):
        broken.run()
    after = whole_weights(broken.job.model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    stopped = trainer(tmp_path, cancels_after(1), "zero2", "adamw", steps=30)
    with pytest.raises(CancelledError):
        stopped.run()
    (file,) = tmp_path.glob("checkpoints/a/step-*/*.distcp")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(CorruptArtifactError, match="damaged"):
        trainer(tmp_path, Process(), "zero2", "adamw", steps=30).run()


def test_a_checkpoint_without_its_record_is_never_picked(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), "a", Process())
    tensors = {"weight": torch.arange(4.0)}
    checkpoints.save(1, tensors, {"n": 1})
    checkpoints.save(2, {"weight": torch.zeros(4)}, {"n": 2})
    checkpoints.wait()
    (tmp_path / "a" / "step-00000002" / "complete.json").unlink()
    loaded = {"weight": torch.ones(4)}
    assert checkpoints.load(loaded) == {"n": 1}
    assert loaded["weight"].tolist() == [0, 1, 2, 3]


def test_only_the_last_two_checkpoints_stay(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), "a", Process())
    for step in (1, 2, 3):
        checkpoints.save(step, {"weight": torch.ones(2)}, {})
    checkpoints.wait()
    assert checkpoints.steps() == [2, 3]


def test_micro_batches_do_not_change_the_batch(tmp_path):
    ours = trainer(tmp_path / "a", Process(), "zero2", "adamw")
    theirs = trainer(tmp_path / "b", Process(), "zero2", "adamw")
    theirs.loader.micro_batch_size = 7
    for one in (ours, theirs):
        one._resume()
    np.testing.assert_allclose(ours._accumulate(7), theirs._accumulate(7), atol=1e-9)
