"""What an objective is: rows to a batch, and a batch to a loss. It sees neither rank nor step."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the sum of the losses over the batch's targets, in nats."""
        ...


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed cross-entropy in nats, computed in float32.

    Args:
        logits: shape (..., classes).
        labels: shape (...), `IGNORED` where there is no target.
    """
    flat = logits.reshape(-1, logits.shape[-1])
    if flat.dtype in (torch.bfloat16, torch.float16):
        flat = flat.float()
    return functional.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED, reduction="sum")
