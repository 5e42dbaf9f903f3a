"""Run under torchrun: trains the same tiny model in every way of sharding and prints losses and norms."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.config import Resources
from lmtrain.modeling.build import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.packing import PackedRow
from lmtrain.training.process import Process, torchrun_process

TOKENS = 12


class RandomRows:
    """Rows of random tokens in two documents each."""

    lengths = None

    def __init__(self, count: int) -> None:
        self.tokens = np.random.default_rng(0).integers(2, 50, size=(count, TOKENS + 1))

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        document = (np.arange(TOKENS) >= 5).astype(np.int64)
        return [PackedRow(self.tokens[index], document) for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [[f"d{index}"] for index in indices]


def trainer(folder: Path, process: Process, sharding: str, optimizer: str, *, steps: int = 6) -> Trainer:
    """Return a trainer of a float64 model whose matrices don't divide evenly."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, max_position_embeddings=TOKENS,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(shape).double()
    config = TrainingConfig(
        optimizer=optimizer, learning_rate=0.02, adam_learning_rate=0.003, max_grad_norm=0.5,
        precision="fp32", train_batch_size=7, eval_steps=3, max_eval_rows=5,
    )  # fmt: skip
    job = Job(
        model=model, layers=repeated_layers(model), objective=CausalLM(pad=0), rows=RandomRows(40),
        validation=RandomRows(5), bytes_per_target=None, config=config, steps=steps,
        checkpoints=str(folder / "checkpoints"), attempt="a", log_folder=folder / "log", flops_per_token=1.0,
    )  # fmt: skip
    return Trainer(job, Resources(micro_batch_size=2, sharding=sharding, compile=False), process)


def traced(trainer: Trainer) -> list[list[float]]:
    """Run to the end; return loss and norm before clipping of every step."""
    trace = []
    original = trainer._update

    def update(loss: float, targets: float, size: int) -> tuple[bool, float]:
        whole = trainer.process.sum([loss])[0]
        stop, norm = original(loss, targets, size)
        trace.append([whole, norm])
        return stop, norm

    trainer._update = update
    outcome = trainer.run()
    return [*trace, [outcome.figures["validation_loss"]]]


if __name__ == "__main__":
    joined = torchrun_process()
    torch.set_num_threads(1)
    found = {}
    for way in sys.argv[1].split(","):
        for kind in ("adamw", "muon"):
            with tempfile.TemporaryDirectory() as scratch:
                found[f"{way} {kind}"] = traced(trainer(Path(scratch), joined, way, kind))
    if joined.leads:
        sys.stdout.write("RESULT " + json.dumps(found) + "\n")
    torch.distributed.destroy_process_group()
