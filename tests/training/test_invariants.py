"""What must hold of every training, on two gloo workers; each name is the invariant.

Elsewhere: single, DDP and ZeRO-1 to 3 have the same losses and clipped norms (test_sharding.py), packed and
masked states are unpacked ones (tests/modeling/test_isolation.py), the chunked loss is the plain one
(tests/objectives/test_cross_entropy.py), killed while it saves a training is resumable
(test_killed_saves.py), Ray is as torchrun (tests/distributed).
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_training import trainer, watched
from two_workers_program import BREAKS, BROKEN_RANK, BROKEN_STEP, KILLED_AT, OPTIMIZERS, RESIZED, STEPS

from lmtrain.training.process import Process

TOLERANCE = 1e-9


def alone(folder, *, optimizer="adamw", **settings):
    """Train in this process; return the trace."""
    made = trainer(folder, Process(), "ddp", optimizer, **settings)
    trace = watched(made)
    made.run()
    return trace


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_n_steps_equal_k_steps_and_sigkill_and_resume_to_the_bit(two_workers, optimizer):
    """With dropout, rows made ahead and asynchronous saves: loss, weights, optimizer, token ids."""
    whole = two_workers.figures[f"whole {optimizer}"]
    folder = two_workers.folder / f"killed-{optimizer}"
    lost, resumed = (json.loads((folder / name).read_text()) for name in ("lost.json", "resumed.json"))
    began = resumed["steps"][0]
    assert began in (10, 20), "it goes on from a checkpoint, not from the start"
    assert lost["steps"] == list(range(KILLED_AT)), "it was killed in the middle"
    for name in ("steps", "losses", "norms", "tokens"):
        assert lost[name][:began] + resumed[name] == whole[name], name
    for rank in (0, 1):
        ours, theirs = (
            torch.load(two_workers.folder / f"{kind}-{optimizer}" / f"rank-{rank}.pt", weights_only=True)
            for kind in ("killed", "whole")
        )
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_dropout_is_at_work_in_that(two_workers, tmp_path):
    without = alone(tmp_path, steps=3)
    assert abs(two_workers.figures["whole adamw"]["losses"][0] - without.losses[0]) > 1e-6


@pytest.mark.parametrize("name", RESIZED)
def test_from_two_workers_to_one_and_back_the_token_stream_is_the_same_and_losses_agree(
    two_workers, tmp_path, name
):
    """In float64 within 1e-9; in float32 they drift by summation order alone: 6e-7 when this was written."""
    resized = two_workers.figures[f"resized {name}"]
    optimizer, dtype = RESIZED[name]
    trace = alone(tmp_path, optimizer=optimizer, steps=STEPS, dtype=dtype)
    assert resized["steps"] == trace.steps == list(range(STEPS))
    assert resized["tokens"] == trace.tokens
    drift = np.abs(np.array(resized["losses"]) / trace.losses - 1)
    print(f"relative drift of the loss over {STEPS} steps in {dtype}: {drift.max():.1e}")  # noqa: T201
    if dtype == torch.float64:
        np.testing.assert_allclose(resized["losses"], trace.losses, rtol=0, atol=TOLERANCE)
    else:
        assert drift.max() < 1e-4


@pytest.mark.parametrize("rows", [3, 1])
def test_one_batch_is_the_same_in_accumulation_steps_and_in_uneven_or_empty_slices(
    two_workers, tmp_path, rows
):
    """Targets differ from row to row; three rows on two workers are two and one, one row is none and one."""
    whole = alone(tmp_path / "whole", batch=rows, micro=rows)
    accumulated = alone(tmp_path / "parts", batch=rows, micro=1)
    sliced = two_workers.figures["sliced"][str(rows)]
    assert len({len([token for token in row if token]) for step in whole.tokens for row in step}) > 1
    assert sliced["tokens"] == accumulated.tokens == whole.tokens
    for losses, norms in ((accumulated.losses, accumulated.norms), (sliced["losses"], sliced["norms"])):
        np.testing.assert_allclose(losses, whole.losses, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(norms, whole.norms, rtol=0, atol=TOLERANCE)


LOADS_ALONE = """
import sys
sys.modules["lmtrain"] = None  # an import of it fails
import torch
from transformers import AutoModelForCausalLM
for given, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    kept = torch.load(given, weights_only=True)
    with torch.no_grad():
        print(float((model(kept["tokens"]).logits - kept["logits"]).abs().max()))
"""


def test_exported_and_loaded_with_transformers_alone_it_gives_the_same_logits(two_workers):
    """Trained by one worker, and in ZeRO-3 shards by two; loaded where lmtrain can't be imported."""
    paths = []
    for way in ("single", "sharded"):
        folder = two_workers.folder / "exported" / way
        (weights,) = folder.rglob("model.safetensors")
        paths += [str(folder / "logits.pt"), str(weights.parent)]
    done = subprocess.run(
        [sys.executable, "-c", LOADS_ALONE, *paths], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    differences = [float(line) for line in done.stdout.split()]
    assert len(differences) == 2
    assert max(differences) <= 1e-6


@pytest.mark.parametrize("what", BREAKS)
@pytest.mark.parametrize("way", ["ddp", "zero3"])
def test_a_nan_on_one_rank_stops_all_with_weights_untouched(two_workers, way, what):
    """The error names rank and step on every rank, and the ids of that rank's documents are saved."""
    ranks = two_workers.figures[f"broken {way} {what}"]
    for rank in ranks:
        assert f"step {BROKEN_STEP + 1}: the " in rank["error"]
        assert f"on rank {BROKEN_RANK};" in rank["error"]
        assert rank["untouched"]
        assert rank["kept"] == 1, "it is there before anybody ends"
    (kept,) = (two_workers.folder / f"broken-{way}-{what}" / "checkpoints" / "diverged").iterdir()
    assert kept.name == f"step-{BROKEN_STEP + 1:08d}-rank-{BROKEN_RANK}.json"
    assert str(kept) in ranks[0]["error"]
    assert len(json.loads(kept.read_text())) == ranks[BROKEN_RANK]["rows"] > 0
