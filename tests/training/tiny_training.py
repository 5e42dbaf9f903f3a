"""A tiny training that is watched step by step; what tests of the loop are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.config import Resources
from lmtrain.modeling.layers import first_steps, repeated_layers
from lmtrain.objectives.base import Batch
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loading import MicroBatch
from lmtrain.training.loop import Trainer
from lmtrain.training.packing import PADDING, PackedRow
from lmtrain.training.process import Process

TOKENS = 12
MAX_NORM = 0.5


class RandomRows:
    """Rows of random tokens in two documents each; padding follows them, in every row as it comes."""

    lengths = None

    def __init__(self, count: int) -> None:
        drawn = np.random.default_rng(0)
        self.tokens = drawn.integers(2, 50, size=(count, TOKENS + 1))
        kept = drawn.integers(4, TOKENS + 2, size=(count, 1))
        self.tokens[np.arange(TOKENS + 1) >= kept] = PADDING

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        second = (np.arange(TOKENS) >= 5).astype(np.int64)
        return [PackedRow(row, np.where(row[:-1] < 0, 2, second)) for row in self.tokens[indices]]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [[f"d{index}"] for index in indices]


def trainer(
    folder: Path,
    process: Process,
    sharding: str,
    optimizer: str,
    *,
    steps: int = 6,
    batch: int = 7,
    micro: int = 2,
    dropout: float = 0.0,
    dtype: torch.dtype = torch.float64,
    saves: bool = False,
    unfreezes: bool = False,
) -> Trainer:
    """Return a trainer of a model whose matrices don't divide evenly.

    Args:
        folder: of checkpoints and metrics.
        process: this worker.
        sharding: of its state; `hybrid` for groups of two.
        optimizer: its name.
        steps: of the training.
        batch: rows of the global batch.
        micro: rows in a forward pass.
        dropout: of attention.
        dtype: of weights.
        saves: whether to save at each tenth step.
        unfreezes: whether what lies deeper is trained later, each layer 4 steps after the one above it.
    """
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=TOKENS,
        tie_word_embeddings=True, attention_dropout=dropout,
    )  # fmt: skip
    model = LlamaForCausalLM(shape).to(dtype)
    config = TrainingConfig(
        optimizer=optimizer, learning_rate=0.02, adam_learning_rate=0.003, max_grad_norm=MAX_NORM,
        precision="fp32", train_batch_size=batch, eval_steps=3, max_eval_rows=5,
    )  # fmt: skip
    job = Job(
        model=model, layers=repeated_layers(model), objective=CausalLM(pad=0), rows=RandomRows(40),
        validation=RandomRows(5), bytes_per_target=None, config=config, steps=steps,
        checkpoints=str(folder / "checkpoints"), attempt="a", log_folder=folder / "log", flops_per_token=1.0,
        first_steps=first_steps(model, 4, 1, new_head=True) if unfreezes else None,
    )  # fmt: skip
    how = {"sharding": "zero2", "shard_group": 2} if sharding == "hybrid" else {"sharding": sharding}
    seconds = 1e-9 if saves else 600
    resources = Resources(micro_batch_size=micro, compile=False, checkpoint_seconds=seconds, **how)
    return Trainer(job, resources, process)


@dataclass
class Trace:
    """What a training did in this process, step by step.

    Attributes:
        steps: numbers of the steps, from 0.
        losses: summed over all workers.
        norms: of the gradients before clipping.
        tokens: this worker's inputs, of the rows that have targets.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    tokens: list[list[list[int]]] = field(default_factory=list)


def watched(trainer: Trainer, before: Callable[[int], None] = lambda step: None) -> Trace:
    """Return what is filled while a trainer runs.

    Args:
        trainer: not yet run.
        before: called between the gradients of a step and its update.
    """
    trace, take, update = Trace(), trainer.loader.take, trainer._update

    def taken(start: int, size: int) -> list[MicroBatch]:
        batches = take(start, size)
        rows = [row for batch in batches for row in _with_targets(batch.tensors)]
        trace.tokens.append([row.tolist() for row in rows])
        return batches

    def updated(loss: torch.Tensor, targets: float, size: int) -> tuple[bool, float]:
        before(trainer.state.step)
        trace.steps.append(trainer.state.step)
        trace.losses.append(trainer.process.sum([float(loss)])[0])
        stop, norm = update(loss, targets, size)
        trace.norms.append(norm)
        return stop, norm

    trainer.loader.take, trainer._update = taken, updated
    return trace


def _with_targets(batch: Batch) -> torch.Tensor:
    return batch["input_ids"][(batch["labels"] >= 0).any(1)]


def local_tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return copies of this worker's parts of weights and optimizer state."""
    return {
        name: (value.to_local() if isinstance(value, DTensor) else value).detach().clone()
        for name, value in trainer._tensors().items()
    }
