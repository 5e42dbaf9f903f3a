"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) on sharded matrices.

It needs whole ones: each has one owner, to which the parts of its gradient are sent
and from which the parts of its update come back, two exchanges a step for all
matrices together. Owners are chosen so that they have equally much to multiply.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from lmtrain.training.config import TrainingConfig
from lmtrain.training.sharding import Shard

MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 5
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration."""

WIDE = 1.5
"""Columns by rows from which iterating on the Gram matrix alone multiplies less: 17 products of (rows, rows)
and two with the columns, against five and ten."""


@dataclass(eq=False)
class _Matrix:
    """A matrix that Muon trains: its part here, its owner, and how its rows are dealt."""

    shard: Shard
    owner: int
    rows: list[int]

    @property
    def columns(self) -> int:
        return self.shard.parameter.shape[1]


class Muon:
    """Momentum whose update is orthogonalized, one owner for each matrix. All of its matrices decay."""

    def __init__(self, shards: list[Shard], config: TrainingConfig, rate: float) -> None:
        self.rate = rate
        self.weight_decay = config.weight_decay
        self.products: torch.dtype | None = None
        """In which type the iteration multiplies; None for that of the gradients."""
        self.group = shards[0].group
        self.rank = dist.get_rank(self.group) if self.group else 0
        self.world = dist.get_world_size(self.group) if self.group else 1
        owners = _owners([tuple(one.parameter.shape) for one in shards], self.world)
        self.dealt = [self._deal(one, owner) for one, owner in zip(shards, owners, strict=True)]
        self.momenta = {
            id(matrix): torch.zeros(tuple(matrix.shard.parameter.shape), device=matrix.shard.local.device)
            for matrix in self.owned
        }

    @property
    def matrices(self) -> list[_Matrix]:
        """Those that are trained at this step, the same on all workers."""
        return [matrix for matrix in self.dealt if not matrix.shard.is_frozen]

    @property
    def owned(self) -> list[_Matrix]:
        """Of these, the ones that this worker multiplies."""
        return [matrix for matrix in self.matrices if matrix.owner == self.rank]

    def _deal(self, one: Shard, owner: int) -> _Matrix:
        rows = one.parameter.shape[0]
        part = -(-rows // self.world)
        dealt = [max(0, min(part, rows - rank * part)) for rank in range(self.world)]
        assert dealt[self.rank] == one.local.shape[0], f"{one.name} is dealt otherwise"
        return _Matrix(one, owner, dealt)

    def step(self, share: float) -> None:
        """Update the matrices with `share` of the peak rate."""
        if not self.matrices:
            return
        gradients = self._gather()
        updates = self._orthogonalized(gradients)
        for matrix, update in self._scatter(updates):
            rate = self.rate * share * matrix.shard.rate_share
            rows, columns = matrix.shard.parameter.shape
            local = matrix.shard.local
            local.mul_(1 - rate * self.weight_decay)
            local.add_(update.to(local.dtype), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def _gather(self) -> list[Tensor]:
        """Return the whole gradients of the matrices that are owned here."""
        parts = {id(matrix): matrix.shard.gradient for matrix in self.matrices}
        if self.group is None:
            return [_present(parts[id(matrix)]) for matrix in self.owned]
        outgoing = [
            torch.cat(
                [_present(parts[id(matrix)]).reshape(-1) for matrix in self._of(owner)] or [self._nothing()]
            )
            for owner in range(self.world)
        ]
        sizes = [
            sum(matrix.rows[rank] * matrix.columns for matrix in self.owned) for rank in range(self.world)
        ]
        received = self._exchange(outgoing, sizes)
        by_rank = [
            part.split([matrix.rows[rank] * matrix.columns for matrix in self.owned])
            for rank, part in enumerate(received)
        ]
        return [
            torch.cat([by_rank[rank][index] for rank in range(self.world)]).view(-1, matrix.columns)
            for index, matrix in enumerate(self.owned)
        ]

    def _scatter(self, updates: list[Tensor]) -> Iterable[tuple[_Matrix, Tensor]]:
        """Yield each matrix with this worker's rows of its update."""
        if self.group is None:
            return zip(self.owned, updates, strict=True)
        by_matrix = [update.split(matrix.rows) for matrix, update in zip(self.owned, updates, strict=True)]
        outgoing = [
            torch.cat([rows[rank].reshape(-1) for rows in by_matrix] or [self._nothing()])
            for rank in range(self.world)
        ]
        sizes = [sum(matrix.shard.local.numel() for matrix in self._of(owner)) for owner in range(self.world)]
        received = self._exchange(outgoing, sizes)
        pairs = []
        for owner, part in enumerate(received):
            matrices = self._of(owner)
            pieces = part.split([matrix.shard.local.numel() for matrix in matrices])
            pairs += [
                (matrix, piece.view_as(matrix.shard.local))
                for matrix, piece in zip(matrices, pieces, strict=True)
            ]
        return pairs

    def _of(self, owner: int) -> list[_Matrix]:
        return [matrix for matrix in self.matrices if matrix.owner == owner]

    def _nothing(self) -> Tensor:
        return self.matrices[0].shard.local.new_empty(0)

    def _exchange(self, outgoing: list[Tensor], sizes: list[int]) -> list[Tensor]:
        """Send one tensor to each worker and receive one of the given size from each."""
        received = outgoing[0].new_empty(sum(sizes))
        sent = [len(part) for part in outgoing]
        dist.all_to_all_single(received, torch.cat(outgoing), sizes, sent, group=self.group)
        return list(received.split(sizes))

    def _orthogonalized(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return the updates of the owned matrices; those of one shape go through together."""
        updates: dict[int, Tensor] = {}
        shapes: dict[tuple[int, ...], list[int]] = {}
        for index, (matrix, gradient) in enumerate(zip(self.owned, gradients, strict=True)):
            momentum = self.momenta[id(matrix)]
            momentum.lerp_(gradient.to(momentum.dtype), 1 - MOMENTUM)
            updates[index] = gradient.lerp(momentum.to(gradient.dtype), MOMENTUM)  # Nesterov
            shapes.setdefault(tuple(gradient.shape), []).append(index)
        for indices in shapes.values():
            stacked = orthogonalize(torch.stack([updates[index] for index in indices]), self.products)
            updates.update(zip(indices, stacked, strict=True))
        return [updates[index] for index in range(len(gradients))]

    def state(self) -> dict[str, Tensor]:
        """Return the momenta of the owned matrices, whole; together the workers hold all."""
        return {
            f"muon.{matrix.shard.name}.momentum": self.momenta[id(matrix)]
            for matrix in self.dealt
            if matrix.owner == self.rank
        }


def _present(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "a hidden matrix took no part in the loss"
    return gradient


def _owners(shapes: list[tuple[int, ...]], world: int) -> list[int]:
    """Return who owns each matrix: the dearest first, always to whom has least to multiply."""
    costs = [_cost(min(shape), max(shape)) for shape in shapes]
    loads, owners = [0] * world, [0] * len(shapes)
    for index in sorted(range(len(shapes)), key=lambda index: -costs[index]):
        owners[index] = loads.index(min(loads))
        loads[owners[index]] += costs[index]
    return owners


def _cost(rows: int, columns: int) -> int:
    """Return the multiplications of a step of the iteration."""
    return 2 * rows * rows * columns + rows**3


def orthogonalize(matrices: Tensor, products: torch.dtype | None = None) -> Tensor:
    """Bring singular values near 1 by a Newton-Schulz iteration.

    Args:
        matrices: shape (n, rows, columns).
        products: the type to multiply in; theirs by default. bfloat16 is good enough (Jordan et al. 2024).

    Returns:
        The same shape and type; singular values lie in about [0.7, 1.2].
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).to(products or matrices.dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    rows, columns = x.shape[-2:]
    # A Gram matrix holds squares of singular values: too fine for eight bits of mantissa.
    by_gram = columns >= WIDE * rows and x.dtype != torch.bfloat16
    x = _iterated_on_gram(x) if by_gram else _iterated(x)
    return (x.mT if tall else x).to(matrices.dtype)


def _iterated(x: Tensor) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _iterated_on_gram(x: Tensor) -> Tensor:
    """Return the same: each step multiplies by a polynomial of the Gram matrix, and these commute."""
    a, b, c = NEWTON_SCHULZ
    gram, factor = x @ x.mT, None
    for step in range(NEWTON_SCHULZ_STEPS):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        factor = polynomial if factor is None else polynomial @ factor
        if step + 1 < NEWTON_SCHULZ_STEPS:
            gram = polynomial @ gram @ polynomial
    assert factor is not None, "there is a step"
    return factor @ x
