"""Our side of the training benchmark: the train loop as a pretraining calls it, held up between steps."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from training_side import Case, Side, of_standard_streams
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.config import Resources
from lmtrain.modeling.build import attention_kernel
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.packed import PackedRow
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process


class Rows:
    """The benchmark's rows, in their order."""

    lengths = None

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        """Return rows by number, each as one document."""
        return [PackedRow(self.rows[index], np.zeros(self.rows.shape[1] - 1, np.int64)) for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return a name for each row."""
        return [[f"row-{index}"] for index in indices]


@dataclass
class Paced(Process):
    """A process that stops after each step that was asked for."""

    side: Any = field(default=None)

    def beat(self, step: int) -> None:
        """Count the step."""
        self.side.stepped()


def main() -> None:
    """Train on the case that comes in."""
    side = of_standard_streams()
    train(side.case, Paced(side=side), side)


def train(case: Case, process: Process, side: Side | None) -> None:
    """Train to the end of the case; the side, if there is one, is told when everything is ready."""
    rows = case.batches().reshape(case.steps * case.batch, -1)
    tokens = rows.shape[1] - 1
    device = torch.device("cpu")
    shape = LlamaConfig(**case.shape, max_position_embeddings=tokens, tie_word_embeddings=True)
    attention = attention_kernel(device, case.compiled, tokens)
    model = LlamaForCausalLM.from_pretrained(
        case.folder, config=shape, attn_implementation=attention, dtype=torch.float32
    )
    config = TrainingConfig(
        optimizer="adamw", learning_rate=case.learning_rate, weight_decay=case.weight_decay,
        lr_scheduler_type="constant", warmup_ratio=0.0, precision=case.precision, train_batch_size=case.batch,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            model=model, layers=repeated_layers(model), objective=CausalLM(pad=0, compiled=case.compiled),
            rows=Rows(rows), validation=None, bytes_per_target=None, config=config, steps=case.steps,
            checkpoints=f"{folder}/checkpoints", attempt="a", log_folder=Path(folder, "log"),
            flops_per_token=1.0,
        )  # fmt: skip
        resources = Resources(
            micro_batch_size=case.batch, compile=case.compiled, checkpoint_seconds=1e9,
            workers=process.world, threads_per_worker=case.threads,
        )  # fmt: skip
        trainer = Trainer(job, resources, process)
        if side:
            side.wait()
        trainer.run()


if __name__ == "__main__":
    main()
