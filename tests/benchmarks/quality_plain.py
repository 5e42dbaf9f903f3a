"""The plain loop of the quality benchmark: AdamW with its usual settings, on random crops, as nanoGPT trains.

In: one JSON object as argument. Out: the curve of its validation loss, as the last line.
"""

import json
import math
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality_data import stream
from torch import nn
from training_plain import Llama, optimizer_of
from training_side import Case

WARMUP = 0.05
LAST_RATE = 0.1
TIMED_STEPS = 40


def main() -> None:
    """Train for a time and print the curve."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(given["threads"])
    folder = Path(given["folder"])
    train, _ = stream(folder, "train")
    case = Case(
        rows="", folder="", shape=given["shape"], batch=given["batch"], precision=given["precision"],
        compiled=given["compiled"], threads=given["threads"], steps=0,
        learning_rate=given["learning_rate"],
    )  # fmt: skip
    held_out = _Validation(folder, given["tokens"], given["batch"])
    steps = math.inf
    seconds_a_step = 0.0
    for budget in (0.0, float(given["seconds"])):  # first how long a step takes, then in earnest
        torch.manual_seed(given["seed"])
        crops = np.random.default_rng(given["seed"])
        model = Llama(given["shape"], given["tokens"])
        model.apply(_initialize)
        optimizer = optimizer_of(model, case)
        trained = torch.compile(model) if case.compiled else model
        steps = max(1, round(budget / seconds_a_step)) if budget else TIMED_STEPS
        curve, spent, times = [], 0.0, []
        for step in range(steps):
            begun = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = case.learning_rate * _share(step, steps)
            places = crops.integers(0, len(train) - given["tokens"] - 1, case.batch)
            rows = torch.from_numpy(np.stack([train[at : at + given["tokens"] + 1] for at in places]))
            with _autocast(case):
                loss = trained(rows[:, :-1], rows[:, 1:])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()
            times.append(time.perf_counter() - begun)
            spent += times[-1]
            if budget and ((step + 1) % max(1, steps // given["looks"]) == 0 or step + 1 == steps):
                bits = held_out.bits_per_byte(trained, case)
                curve.append({"step": step + 1, "seconds": spent, "bits_per_byte": bits})
                print(curve[-1], file=sys.stderr, flush=True)
        seconds_a_step = float(np.median(times[TIMED_STEPS // 2 :]))
    tokens = int(steps) * case.batch * given["tokens"]
    print(json.dumps({"curve": curve, "steps": steps, "tokens": tokens}))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def _share(step: int, steps: int) -> float:
    """Return the share of the peak rate: a warmup, then half a cosine."""
    warmup = round(steps * WARMUP)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def _autocast(case: Case) -> AbstractContextManager:
    return torch.autocast("cpu", torch.bfloat16) if case.precision == "bf16" else nullcontext()


class _Validation:
    """All of the validation text, cut into rows."""

    def __init__(self, folder: Path, tokens: int, batch: int) -> None:
        found, self.bytes = stream(folder, "validation")
        rows = (len(found) - 1) // tokens
        self.rows = torch.from_numpy(
            np.stack([found[at * tokens : (at + 1) * tokens + 1] for at in range(rows)])
        )
        self.share = rows * tokens / (len(found) - 1)
        self.batch = batch

    @torch.no_grad()
    def bits_per_byte(self, model: Any, case: Case) -> float:
        """Return the loss of all rows in bits for each byte of text."""
        nats = 0.0
        whole = len(self.rows) // self.batch * self.batch  # one shape: nothing is compiled again
        for rows in self.rows[:whole].split(self.batch):
            with _autocast(case):
                nats += float(model(rows[:, :-1], rows[:, 1:])) * rows[:, 1:].numel()
        return nats / math.log(2) / (self.bytes * self.share * whole / len(self.rows))


if __name__ == "__main__":
    main()
