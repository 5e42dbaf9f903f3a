"""What a task is: an objective over labelled rows, with a head and a way to encode examples."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lmtrain.finetuning.config import FinetuneConfig
from lmtrain.finetuning.examples import Rejection, Row, pad_rows
from lmtrain.objectives.base import IGNORED, Batch, Objective
from lmtrain.objectives.cross_entropy import summed_cross_entropy


class Task(Objective, Protocol):
    """What a model is fine-tuned for."""

    def __init__(
        self, config: FinetuneConfig, tokenizer: PreTrainedTokenizerBase, examples: Sequence[dict[str, Any]]
    ) -> None:
        """Learn from the training examples what the task needs to know, such as its labels."""
        ...

    def encode(self, example: dict[str, Any]) -> Row | Rejection:
        """Turn an example into a row, or say why not."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the fields of the model's config that the task sets."""
        ...

    def use(self) -> str:
        """Return Python code that uses the exported folder, for the model card."""
        ...


class Supervised:
    """The objective of tasks whose rows bring labels: cross-entropy of the labels. Nothing is random."""

    pad: int
    """Id of the padding token."""

    def collate(self, rows: Sequence[Row], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Pad rows on the right."""
        return pad_rows(rows, self.pad)

    def targets(self, batch: Batch) -> int:
        """Return the number of labels."""
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of the labels, in nats."""
        logits = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
        ).logits
        return summed_cross_entropy(logits, batch["labels"])
