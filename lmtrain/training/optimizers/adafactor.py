"""Adafactor (Shazeer and Stern 2018) with a rate from outside: second moments of a matrix as rows by columns.

Its state for a matrix of n by m is n + m numbers. Means over columns lie with the rows
that a worker holds; means over rows are taken over all workers that share the matrix,
for all matrices in one exchange, and so are the sizes of the updates in a second.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from lmtrain.training.config import TrainingConfig
from lmtrain.training.sharding import Shard

DECAY_POWER = 0.8
"""The second moment at step t forgets by 1 - t^-0.8 (section 7.2)."""

LARGEST_UPDATE = 1.0
"""Root mean square to which an update is scaled down (section 6)."""

LEAST_SQUARE = 1e-30
"""Added to squared gradients (algorithm 4)."""


@dataclass(eq=False)
class _Factors:
    """What is remembered of a parameter's squared gradients.

    Attributes:
        shard: the parameter.
        rows: of a matrix the mean of each row, shape (local rows,); of a vector the squares themselves.
        columns: of a matrix the mean of each column, shape (columns,), the same on all workers.
    """

    shard: Shard
    rows: Tensor
    columns: Tensor | None


class Adafactor:
    """Adafactor without relative steps, without scaling by the parameter's size, and without a first moment.

    Matrices decay, vectors don't. What has more than two dimensions is seen as a matrix of its rows.
    """

    def __init__(self, shards: list[Shard], config: TrainingConfig, rate: float) -> None:
        self.config = config
        self.rate = rate
        self.group = shards[0].group
        self.steps = torch.zeros((), dtype=torch.int64)
        self.factors = [
            _Factors(
                one,
                one.local.new_zeros(one.local.shape[0]),
                one.local.new_zeros(one.parameter.shape[1:].numel()) if one.parameter.ndim > 1 else None,
            )
            for one in shards
        ]

    def step(self, share: float) -> None:
        """Update the parameters with `share` of the peak rate."""
        self.steps += 1
        moved = [
            (one, gradient if one.columns is None else gradient.flatten(1))
            for one in self.factors
            if (gradient := one.shard.gradient) is not None
        ]
        if not moved:
            return
        taken = self.steps.to(moved[0][0].rows) ** -DECAY_POWER  # a tensor: a GPU isn't waited for
        self._remember(moved, taken)
        updates = [_update(one, gradient) for one, gradient in moved]
        sizes = self._summed([update.square().sum().reshape(1) for update in updates])
        for (one, _), update, size in zip(moved, updates, sizes, strict=True):
            mean = size / one.shard.parameter.numel()
            rate = self.rate * share * one.shard.rate_share
            one.shard.local.mul_(1 - rate * one.shard.decay(self.config))
            update.mul_(rate / (mean.sqrt() / LARGEST_UPDATE).clamp(min=1.0))
            one.shard.local.sub_(update.view_as(one.shard.local))

    def _remember(self, moved: list[tuple[_Factors, Tensor]], taken: Tensor) -> None:
        """Take a share of the squared gradients into the means."""
        matrices = []
        for one, gradient in moved:
            squares = gradient.square().add_(LEAST_SQUARE)
            if one.columns is None:
                one.rows.lerp_(squares, taken)
            else:
                one.rows.lerp_(squares.mean(dim=1), taken)
                matrices.append((one, squares.sum(dim=0)))
        for (one, _), total in zip(matrices, self._summed([part for _, part in matrices]), strict=True):
            assert one.columns is not None, "a matrix has columns"
            one.columns.lerp_(total / one.shard.parameter.shape[0], taken)

    def _summed(self, parts: list[Tensor]) -> list[Tensor]:
        """Return the sums of vectors over the workers that share the parameters."""
        if self.group is None or not parts:
            return parts
        whole = torch.cat(parts)
        dist.all_reduce(whole, group=self.group)
        return list(whole.split([len(part) for part in parts]))

    def state(self) -> dict[str, Tensor]:
        """Return the state, which shares memory with the optimizer's own."""
        found = {"adafactor.step": self.steps}
        for one in self.factors:
            found[f"adafactor.{one.shard.name}.rows"] = one.shard.with_rows(one.rows)
            if one.columns is not None:
                found[f"adafactor.{one.shard.name}.columns"] = one.columns
        return found


def _update(one: _Factors, gradient: Tensor) -> Tensor:
    """Return the gradient over the root of the second moment, rows times columns over their common mean."""
    if one.columns is None:
        return gradient * one.rows.rsqrt()
    rows = (one.rows / one.columns.mean()).rsqrt_().unsqueeze(1)  # means of rows and of columns have one mean
    return gradient * rows * one.columns.rsqrt()
