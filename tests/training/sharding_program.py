"""Run under torchrun: trains the same tiny model in every way of sharding and prints losses and norms.

    sharding_program.py WAYS [FOLDER]

With a folder it also goes on from the checkpoints in FOLDER/from/OPTIMIZER, and leaves some that one
worker can go on from in FOLDER/to/OPTIMIZER, with what this worker held of each in held-RANK.pt.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from tiny_training import trainer, watched
from torch.distributed.tensor import DTensor

from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process, torchrun_process

OPTIMIZERS = ("adamw", "muon", "adafactor", "adamw_8bit")


def traced(trainer: Trainer) -> list[list[float]]:
    """Run to the end; return loss and norm before clipping of every step, and the validation loss."""
    trace = watched(trainer)
    outcome = trainer.run()
    steps = [[loss, norm] for loss, norm in zip(trace.losses, trace.norms, strict=True)]
    return [*steps, [outcome.figures["validation_loss"]]]


def stopped_halfway(folder: Path, process: Process, sharding: str, optimizer: str) -> Trainer:
    """Train half of the steps and save; return what was trained."""
    half = trainer(folder, process, sharding, optimizer)
    half._resume()
    half.job.model.train()
    for _ in range(3):
        half._advance()
    half._save()
    half._finish()
    return half


def held(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint that this worker holds, those that are sharded whole."""
    return {
        name: value.full_tensor() if isinstance(value, DTensor) else value
        for name, value in trainer._tensors().items()
    }


if __name__ == "__main__":
    joined = torchrun_process()
    torch.set_num_threads(1)
    found = {}
    for way in sys.argv[1].split(","):
        for kind in OPTIMIZERS:
            with tempfile.TemporaryDirectory() as scratch:
                found[f"{way} {kind}"] = traced(trainer(Path(scratch), joined, way, kind))
    for kind in OPTIMIZERS if sys.argv[2:] else ():
        shared = Path(sys.argv[2])
        found[f"resumed {kind}"] = traced(trainer(shared / "from" / kind, joined, "zero3", kind))
        half = stopped_halfway(shared / "to" / kind, joined, "zero3", kind)
        torch.save(held(half), shared / "to" / kind / f"held-{joined.rank}.pt")
    if joined.leads:
        sys.stdout.write("RESULT " + json.dumps(found) + "\n")
    torch.distributed.destroy_process_group()
