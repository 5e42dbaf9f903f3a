"""What is trained: the model, its rows, and the settings; and how a training ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from lmtrain.objectives.base import Batch, Objective
from lmtrain.training.config import TrainingConfig
from lmtrain.training.order import DataOrder


class Rows(Protocol):
    """What a training reads: rows by number. `lengths` is None where all rows are equally long."""

    @property
    def lengths(self) -> np.ndarray | None:
        """Tokens of each row, shape (rows,)."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Sequence[Any]:
        """Return rows by number."""
        ...

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the ids of the documents in each of these rows."""
        ...


@dataclass
class Job:
    """What is trained, on what, and how.

    Attributes:
        model: on its device, not yet sharded; it has `save_pretrained`, as Transformers' have.
        layers: its repeated blocks, each sharded and compiled by itself.
        objective: turns rows into a loss.
        rows: training rows.
        validation: rows to look at now and then, or None.
        bytes_per_target: of the validation text, to tell bits per byte; None where that means nothing.
        config: what determines the result.
        steps: optimizer steps.
        checkpoints: URL of the folder of all attempts' checkpoints.
        attempt: names this attempt's own among them.
        log_folder: local folder for metrics that people can follow.
        flops_per_token: of one forward and backward pass, for the utilization; None where that isn't told.
        rate_shares: of the learning rate by the parameter's name, where it isn't 1.
        first_steps: from which parameters are trained, by name, where it isn't 0; frozen before that.
        order: of the training rows; all of them epoch after epoch if there is none.
    """

    model: Any
    layers: list[nn.Module]
    objective: Objective
    rows: Rows
    validation: Rows | None
    bytes_per_target: float | None
    config: TrainingConfig
    steps: int
    checkpoints: str
    attempt: str
    log_folder: Path
    flops_per_token: float | None
    rate_shares: Mapping[str, float] | None = None
    first_steps: Mapping[str, int] | None = None
    order: DataOrder | None = None


@dataclass
class Outcome:
    """How a training ended: figures of the whole, and the rows of its log."""

    figures: dict[str, Any]
    rows: list[dict[str, Any]]


class Trained(nn.Module):
    """A model with what it learns: the loss is worked out within its forward pass.

    Sharded parameters are whole only there, so a loss that goes around the
    model's own forward pass (to never hold all logits) belongs inside.
    """

    def __init__(self, model: Any, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        """Return each loss of a batch, summed, in nats, shape (losses,)."""
        return self.objective.loss(self.model, batch).clone()  # FSDP hooks what is returned: no view
