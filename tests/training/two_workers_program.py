"""Run by torchrun on two gloo workers, which are killed twice and started again: all that invariants need.

Starting workers takes longer than training the tiny model, so one session trains everything.
In its first life the session is killed while it trains with AdamW, in its second while it
goes on and then trains with Muon, in its third it does the rest. What is found goes into a
folder: `found.json`, and the tensors that are compared to the bit.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tiny_training import Trace, local_tensors, trainer, watched
from torch import Tensor

from lmtrain import storage
from lmtrain.building import Attempt
from lmtrain.errors import CancelledError, DivergedError
from lmtrain.manifest import Address
from lmtrain.training import precision
from lmtrain.training.export import live_folder, write_model
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process, torchrun_process

OPTIMIZERS = ("adamw", "muon")
STEPS = 30
KILLED_AT = 23
"""A step after the save of step 20 began, before which that of step 10 must have been whole."""

VICTIMS = {"adamw": 1, "muon": 0}
"""Which rank is killed; the other one is at its mercy."""

RESIZED = {
    "adamw": ("adamw", torch.float64),
    "muon": ("muon", torch.float64),
    "float32": ("adamw", torch.float32),
}
"""Optimizer and type of weights of the trainings whose number of workers changes."""

BROKEN_STEP = 2
BROKEN_RANK = 1


def from_all(process: Process, given: Any) -> list[Any]:
    """Return what all workers give, by rank."""
    gathered = [None] * process.world
    dist.all_gather_object(gathered, given)
    return gathered


def joined_tokens(parts: list[Trace]) -> list[list[list[int]]]:
    """Return the tokens of all workers' rows, step by step."""
    return [list(chain(*step)) for step in zip(*(part.tokens for part in parts), strict=True)]


def with_dropout(folder: Path, process: Process, optimizer: str) -> Trainer:
    """Return a training as users have it: asynchronous saves, rows made ahead, and dropout."""
    return trainer(folder, process, "zero2", optimizer, steps=STEPS, dropout=0.2, saves=True)


def run_recorded(folder: Path, made: Trainer) -> list[Trace]:
    """Run to the end, write this worker's tensors, and return the traces of all."""
    trace = watched(made)
    made.run()
    torch.save(local_tensors(made), folder / f"rank-{made.process.rank}.pt")
    return from_all(made.process, trace)


def killed(folder: Path, process: Process, optimizer: str) -> None:
    """Train until a worker is killed; what was trained on until then is written before."""
    made = with_dropout(folder, process, optimizer)

    def kill(step: int) -> None:
        if step == KILLED_AT:
            parts = from_all(process, trace)
            if process.rank == 1 - VICTIMS[optimizer]:
                (folder / "lost.json").write_text(json.dumps(told_of(parts)))
            dist.barrier()
            if process.rank == VICTIMS[optimizer]:
                os.kill(os.getpid(), signal.SIGKILL)

    trace = watched(made, kill)
    made.run()


def told_of(parts: list[Trace]) -> dict[str, Any]:
    """Return traces as JSON."""
    return {**asdict(parts[0]), "tokens": joined_tokens(parts)}


def sliced(folder: Path, process: Process) -> dict[str, Any]:
    """Train on batches that don't divide by the workers, or are fewer rows than workers."""
    found = {}
    for batch in (3, 1):
        made = trainer(folder / f"sliced-{batch}", process, "zero2", "adamw", batch=batch, micro=1)
        trace = watched(made)
        made.run()
        found[str(batch)] = told_of(from_all(process, trace))
    return found


def stopped_after_ten(process: Process, told: list[str]) -> Process:
    """Return a process that asks to stop when it is told of progress for the second time."""
    return Process(
        process.rank, process.world, process.device,
        tell=lambda kind, payload: told.append(kind), cancelled=lambda: told.count("progress") >= 1,
    )  # fmt: skip


def resized(folder: Path, process: Process, optimizer: str, dtype: torch.dtype) -> dict[str, Any]:
    """Train ten steps with two workers, ten with one, and the rest with two."""
    found: dict[str, list] = {"steps": [], "losses": [], "tokens": []}
    for phase, members in enumerate((2, 1, 2)):
        trace = Trace()
        if process.rank < members:
            own = process if members == 2 else Process()
            own = own if phase == 2 else stopped_after_ten(own, [])
            made = trainer(folder, own, "zero2", optimizer, steps=STEPS, dtype=dtype)
            trace = watched(made)
            try:
                made.run()
            except CancelledError:
                assert phase < 2
        parts = from_all(process, trace)
        told = told_of(parts[:members])
        for name, values in found.items():
            values += told[name]
    return found


def exported(folder: Path, process: Process) -> None:
    """Train, write the model as a stage does, and beside it the logits that it gave here."""
    attempt = Attempt(str(folder), Address("model", "tiny", "0" * 12), "one")
    made = trainer(folder, process, "zero3", "adamw", dtype=torch.float32)
    made.job.log_folder = live_folder(attempt)
    made.run()
    tokens = torch.arange(24).view(2, 12)
    logits = logits_of(made, tokens)
    weights = whole_weights(made.job.model)
    if process.leads:
        write_model(attempt, made.job.model, made.job.log_folder, weights, NoTokenizer(), {}, "")
        torch.save({"tokens": tokens, "logits": logits}, folder / "logits.pt")


class NoTokenizer:
    """Stands where a tokenizer would."""

    def save_pretrained(self, folder: str) -> None:
        """Write nothing."""


@torch.no_grad()
def logits_of(made: Trainer, tokens: Tensor) -> Tensor:
    """Return a trained model's logits, sharded as it is."""
    made.job.model.eval()
    made.job.objective.loss = lambda model, batch: model(**batch, use_cache=False).logits
    return made.trained({"input_ids": tokens})


class _Infinite(torch.autograd.Function):
    """The same number, whose derivative is infinite."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * float("inf")


BREAKS = {"loss": lambda loss: loss * float("nan"), "gradient": _Infinite.apply}


@contextmanager
def slow_writes() -> Iterator[None]:
    """Let writing take a moment, so that it shows who doesn't wait for it."""
    write = storage.write_bytes

    def slowly(url: str, data: bytes) -> None:
        time.sleep(0.3)
        write(url, data)

    storage.write_bytes = slowly
    try:
        yield
    finally:
        storage.write_bytes = write


def broken(folder: Path, process: Process, way: str, what: str) -> list[dict[str, Any]]:
    """Break one rank's loss or gradient in the third step; return what each rank came to."""
    made = trainer(folder, process, way, "adamw")
    trace, loss = watched(made), made.job.objective.loss
    before: dict[str, Tensor] = {}

    def breaking(model: Any, batch: Any) -> Tensor:
        found = loss(model, batch)
        if made.state.step != BROKEN_STEP or not made.job.model.training:
            return found
        before.update({} if before else local_tensors(made))
        return BREAKS[what](found) if process.rank == BROKEN_RANK else found

    made.job.objective.loss = breaking
    error, kept = "", []
    with slow_writes():
        try:
            made.run()
        except DivergedError as raised:
            error, kept = str(raised), sorted(folder.glob("checkpoints/diverged/*"))
    after = local_tensors(made)
    untouched = bool(before) and all(torch.equal(before[name], after[name]) for name in after)
    told = {"error": error, "untouched": untouched, "rows": len(trace.tokens[-1]), "kept": len(kept)}
    return from_all(process, told)


def main(folder: Path) -> None:
    """Do what is to be done in this life."""
    process = torchrun_process()
    torch.set_num_threads(1)
    precision.measure_flops = lambda dtype, device: 1e9  # of twenty trainings none needs to know
    life = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    found: dict[str, Any] = {}
    for number, optimizer in enumerate(OPTIMIZERS):
        own = folder / f"killed-{optimizer}"
        own.mkdir(exist_ok=True)
        if life == number:
            killed(own, process, optimizer)
        elif life == number + 1:
            resumed = run_recorded(own, with_dropout(own, process, optimizer))
            if process.leads:
                (own / "resumed.json").write_text(json.dumps(told_of(resumed)))
    for optimizer in OPTIMIZERS:
        own = folder / f"whole-{optimizer}"
        own.mkdir(exist_ok=True)
        found[f"whole {optimizer}"] = told_of(run_recorded(own, with_dropout(own, process, optimizer)))
    found["sliced"] = sliced(folder, process)
    for name, (optimizer, dtype) in RESIZED.items():
        found[f"resized {name}"] = resized(folder / f"resized-{name}", process, optimizer, dtype)
    exported(folder / "exported" / "sharded", process)
    if process.leads:
        exported(folder / "exported" / "single", Process())
    for way in ("ddp", "zero3"):
        for what in BREAKS:
            found[f"broken {way} {what}"] = broken(folder / f"broken-{way}-{what}", process, way, what)
    if process.leads:
        (folder / "found.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
