"""Trains a small model and tells the most bytes that tensors took; run under torchrun for several workers."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.config import Resources
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.packed import PackedRow
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.memory import LiveBytes
from lmtrain.training.process import Process, torchrun_process

TOKENS = 128
MICRO_BATCH = 4
WAYS = ("ddp", "zero1", "zero2", "zero3")


class EqualRows:
    """Rows of equal tokens in two documents each."""

    lengths = None

    def __len__(self) -> int:
        return 256

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        document = (np.arange(TOKENS) >= TOKENS // 2).astype(np.int64)
        return [PackedRow(np.full(TOKENS + 1, 5), document) for _ in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [["d"] for _ in indices]


def new_model(layers: int = 3) -> tuple[Any, list[torch.nn.Module], CausalLM]:
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=2048, hidden_size=128, intermediate_size=352, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=TOKENS,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    return model, repeated_layers(model), CausalLM(pad=0)


def config(optimizer: str, precision: str) -> TrainingConfig:
    return TrainingConfig(
        optimizer=optimizer, precision=precision, train_batch_size=16, eval_steps=3, max_eval_rows=4
    )


def resources(sharding: str, recompute: str, workers: int) -> Resources:
    return Resources(
        micro_batch_size=MICRO_BATCH, sharding=sharding, recompute=recompute, workers=workers, compile=False
    )


def train(given: TrainingConfig, how: Resources, process: Process) -> None:
    """Train for three steps."""
    with tempfile.TemporaryDirectory() as scratch:
        model, layers, objective = new_model()
        job = Job(
            model=model, layers=layers, objective=objective, rows=EqualRows(), validation=None,
            bytes_per_target=None, config=given, steps=3, checkpoints=f"{scratch}/checkpoints",
            attempt="a", log_folder=Path(scratch, "log"), flops_per_token=1.0,
        )  # fmt: skip
        Trainer(job, how, process).run()


def allocated(given: TrainingConfig, how: Resources) -> int:
    """Return the most bytes that stood at once, as PyTorch's CPU allocator tells its profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        train(given, how, Process())
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(changes).max())


def counted(given: TrainingConfig, how: Resources, process: Process) -> int:
    """Return the most bytes of tensors: the allocator's events of gloo's threads don't reach the profiler."""
    with LiveBytes() as made:
        train(given, how, process)
    return made.peak


if __name__ == "__main__":
    joined = torchrun_process()
    torch.set_num_threads(1)
    found = {
        f"{way} {how} {optimizer}": counted(config(optimizer, "fp32"), resources(way, how, 2), joined)
        for way in WAYS
        for how in ("none", "full")
        for optimizer in ("adamw", "muon")
    }
    if joined.leads:
        sys.stdout.write("RESULT " + json.dumps(found) + "\n")
    torch.distributed.destroy_process_group()
