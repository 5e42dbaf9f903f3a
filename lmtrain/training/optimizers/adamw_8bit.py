"""AdamW for matrices with both moments in eight bits: a quarter of the memory of its state.

Written here and not taken from torchao 0.18 for three reasons. Its blocks run over
the whole part that a worker holds, and parts that 256 doesn't divide stay in full
precision: what is stored depends on the number of workers, and a training couldn't
go on with another. Its states are tensor subclasses within distributed tensors, which
a checkpoint holds as pickled classes; codes and scales here are plain tensors. And the
second moment loses what is small beside the largest in its block; here its root is
stored, whose seven decades are fourteen of the moment itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lmtrain.training.config import TrainingConfig
from lmtrain.training.optimizers.quantizing import Quantized
from lmtrain.training.sharding import Shard

EPSILON = 1e-8


@dataclass(eq=False)
class _Moments:
    """What is remembered of a matrix's gradients: the mean, and the root of the mean square."""

    shard: Shard
    mean: Quantized
    root: Quantized


class AdamW8bit:
    """AdamW on matrices; what has more than two dimensions is seen as a matrix of its rows.

    Embeddings are quantized like the others: a block lies within a row, so a frequent token's
    moments don't drown a rare one's.
    """

    def __init__(self, shards: list[Shard], config: TrainingConfig, rate: float) -> None:
        self.rate = rate
        self.config = config
        self.steps = torch.zeros((), dtype=torch.int64)
        self.moments = []
        for one in shards:
            rows, columns = one.local.shape[0], one.parameter.shape[1:].numel()
            kept = [
                Quantized(rows, columns, signed=signed, device=one.local.device) for signed in (True, False)
            ]
            self.moments.append(_Moments(one, *kept))

    def step(self, share: float) -> None:
        """Update the parameters with `share` of the peak rate."""
        self.steps += 1
        decays = first, second = self.config.adam_beta1, self.config.adam_beta2
        seen = [1 - decay ** self.steps.double() for decay in decays]  # tensors: a GPU isn't waited for
        for one in self.moments:
            gradient = one.shard.gradient
            if gradient is None or not gradient.numel():
                continue
            rate = self.rate * share * one.shard.rate_share
            local, gradient = one.shard.local.flatten(1), gradient.flatten(1)
            mean = one.mean.values(local.dtype).lerp_(gradient, 1 - first)
            root = one.root.values(local.dtype).square_().mul_(second)
            root = root.addcmul_(gradient, gradient, value=1 - second).sqrt_()
            one.mean.store(mean)
            one.root.store(root)
            local.mul_(1 - rate * one.shard.decay(self.config))
            root.div_(seen[1].sqrt()).add_(EPSILON)
            local.sub_(mean.div_(root).mul_(rate / seen[0]))

    def state(self) -> dict[str, Tensor]:
        """Return the state, which shares memory with the optimizer's own."""
        found = {"adamw_8bit.step": self.steps}
        for one in self.moments:
            for moment, stored in (("exp_avg", one.mean), ("root_exp_avg_sq", one.root)):
                name = f"adamw_8bit.{one.shard.name}.{moment}"
                found[f"{name}.codes"] = one.shard.with_rows(stored.codes)
                found[f"{name}.scales"] = one.shard.with_rows(stored.scales)
        return found
