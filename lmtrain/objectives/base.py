"""What an objective is: rows to a batch, and a batch to a loss. It sees neither rank nor step."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

IGNORED = -100
"""Label of what is no target."""

Batch = dict[str, Tensor]


class Objective(Protocol):
    """What is learned."""

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Turn rows into a batch; what is random is keyed by (seed, epoch, row)."""
        ...

    def targets(self, batch: Batch) -> int:
        """Return how many targets a batch has."""
        ...

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the sum of the losses over the batch's targets, in nats."""
        ...
