"""Which parameters go to which optimizer. In: a sharded model and its config. Out: one thing that steps."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from lmtrain.training.config import TrainingConfig
from lmtrain.training.optimizers.adafactor import Adafactor
from lmtrain.training.optimizers.adamw import AdamW
from lmtrain.training.optimizers.adamw_8bit import AdamW8bit
from lmtrain.training.optimizers.muon import Muon
from lmtrain.training.sharding import Shard, local_shards


class Optimizer(Protocol):
    """Moves some of a model's parameters."""

    def step(self, share: float) -> None:
        """Update the parameters with `share` of the peak rate."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the state by name, which shares memory with the optimizer's own."""
        ...


class Optimizers:
    """All that moves a model's weights."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        rate_shares: Mapping[str, float] | None = None,
        first_steps: Mapping[str, int] | None = None,
    ) -> None:
        self.shards = list(local_shards(model, rate_shares, first_steps))
        self.parts = _parts(self.shards, config)

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update all weights with `share` of the peak rates."""
        for part in self.parts:
            part.step(share)

    def freeze(self, step: int) -> None:
        """Leave what isn't trained at a step out of it: weights, moments, and the norm of the gradient.

        Args:
            step: from 0.
        """
        for one in self.shards:
            one.is_frozen = step < one.first_step

    def multiply_in(self, products: str) -> None:
        """Let Muon multiply as the model does: in fp32 for fp32 of any kind, else in bfloat16."""
        for part in self.parts:
            if isinstance(part, Muon):
                part.products = None if products.startswith("fp32") else torch.bfloat16

    def zero_gradients(self) -> None:
        """Forget the gradients."""
        for one in self.shards:
            one.parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state of all parts."""
        return {name: value for part in self.parts for name, value in part.state().items()}


def _parts(shards: list[Shard], config: TrainingConfig) -> list[Optimizer]:
    """Return the optimizers that share the parameters, each with some."""
    if config.optimizer == "adafactor":
        return [Adafactor(shards, config, config.learning_rate)]
    if config.optimizer == "adamw":
        return [AdamW(shards, config, config.learning_rate)]
    muon = config.optimizer == "muon"
    chosen = [one for one in shards if (one.is_hidden_matrix if muon else one.parameter.ndim >= 2)]
    rest = [one for one in shards if one not in chosen]
    if muon:
        return [
            *([Muon(chosen, config, config.learning_rate)] if chosen else []),
            *([AdamW(rest, config, config.adam_learning_rate)] if rest else []),
        ]
    return [
        *([AdamW8bit(chosen, config, config.learning_rate)] if chosen else []),
        *([AdamW(rest, config, config.learning_rate)] if rest else []),
    ]
