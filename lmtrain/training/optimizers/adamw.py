"""AdamW (Loshchilov and Hutter 2019), fused, on the parts that a worker holds."""

import torch
from torch import Tensor

from lmtrain.training.config import TrainingConfig
from lmtrain.training.sharding import Shard


class AdamW:
    """AdamW with its two moments in full. Matrices decay, vectors don't."""

    def __init__(self, shards: list[Shard], config: TrainingConfig, rate: float) -> None:
        self.shards = shards
        self.rate = rate
        alike: dict[tuple[float, float], list[Tensor]] = {}
        for one in shards:
            alike.setdefault((one.decay(config), one.rate_share), []).append(one.local)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parts, "weight_decay": decay, "rate_share": share}
                for (decay, share), parts in alike.items()
            ],
            lr=rate,
            betas=(config.adam_beta1, config.adam_beta2),
            fused=True,
        )
        for one in self.shards:
            self.optimizer.state[one.local] = {
                "step": torch.zeros((), dtype=torch.float32, device=one.local.device),
                "exp_avg": torch.zeros_like(one.local),
                "exp_avg_sq": torch.zeros_like(one.local),
            }

    def step(self, share: float) -> None:
        """Update the parameters with `share` of the peak rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * share * group["rate_share"]
        for one in self.shards:
            one.local.grad = one.gradient
        self.optimizer.step()
        for one in self.shards:
            one.local.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the state, which shares memory with the optimizer's own."""
        found = {}
        for one in self.shards:
            state = self.optimizer.state[one.local]
            found[f"adamw.{one.name}.step"] = state["step"]
            found[f"adamw.{one.name}.exp_avg"] = one.with_rows(state["exp_avg"])
            found[f"adamw.{one.name}.exp_avg_sq"] = one.with_rows(state["exp_avg_sq"])
        return found
