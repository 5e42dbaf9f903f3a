"""What a task is: an objective over labelled rows, with a head and a way to encode examples."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lmtrain.finetuning.config import FinetuneConfig
from lmtrain.finetuning.examples import Rejection, Row
from lmtrain.objectives.base import Batch


class Task(Protocol):
    """What a model is fine-tuned for; also an `Objective`."""

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

    def collate(self, rows: Sequence[Row], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Turn rows into a batch."""
        ...

    def targets(self, batch: Batch) -> int:
        """Return how many targets a batch has."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the summed loss in nats."""
        ...

    def use(self) -> str:
        """Return Python code that uses the exported folder, for the model card."""
        ...
