"""In which order rows are seen: a function of (seed, global row index), with no state.

The cursor is the global row index g, not the step: whatever the number of
workers or the size of a batch, the g-th row of a training is the same row.
"""

from dataclasses import dataclass, field

import numpy as np

POOL = 4096
RUN = 32
ROUNDS = 4


def mix(value: np.ndarray) -> np.ndarray:
    """Scramble 64-bit words (the finalizer of splitmix64, Steele et al. 2014)."""
    value = value.astype(np.uint64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def permute(indices: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Return the places of indices in a seeded permutation of range(size), in constant memory.

    A balanced Feistel network over the least even number of bits that holds
    `size`; places beyond it are walked on until they fall inside (Black and
    Rogaway 2002).

    Args:
        indices: shape (n,), each in [0, size).
        size: how many there are.
        seed: of the training.
        epoch: of the pass.

    Returns:
        Shape (n,), int64.
    """
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = mix(
        np.arange(ROUNDS, dtype=np.uint64) + mix(np.array([seed * 0x9E3779B97F4A7C15 % 2**64 ^ epoch]))
    )
    values = np.asarray(indices, dtype=np.uint64).copy()
    outside = np.ones(len(values), dtype=bool)
    while outside.any():
        left, right = values[outside] >> np.uint64(half), values[outside] & mask
        for key in keys:
            left, right = right, left ^ (mix(right + key) & mask)
        values[outside] = (left << np.uint64(half)) | right
        outside = values >= np.uint64(size)
    return values.astype(np.int64)


@dataclass
class DataOrder:
    """The order of rows, epoch after epoch.

    Attributes:
        rows: rows in an epoch.
        seed: of the training.
        lengths: of rows that can't be packed, shape (rows,); rows of like length then stand together.
    """

    rows: int
    seed: int
    lengths: np.ndarray | None = None
    _epoch: tuple[int, np.ndarray] | None = field(default=None, repr=False)

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, rows), each of shape (stop - start,), of the global row indices in between."""
        cursor = np.arange(start, stop)
        epochs, places = np.divmod(cursor, self.rows)
        found = np.empty(len(cursor), dtype=np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            if self.lengths is None:
                found[here] = permute(places[here], self.rows, self.seed, int(epoch))
            else:
                found[here] = self._bucketed(int(epoch))[places[here]]
        return epochs, found

    def _bucketed(self, epoch: int) -> np.ndarray:
        """Return an epoch's rows: pools sorted by length, cut into runs, the runs permuted."""
        if self._epoch is None or self._epoch[0] != epoch:
            assert self.lengths is not None
            order = permute(np.arange(self.rows), self.rows, self.seed, epoch)
            pools = []
            for low in range(0, self.rows, POOL):
                pool = order[low : low + POOL]
                pool = pool[np.argsort(self.lengths[pool], kind="stable")]
                runs = [pool[start : start + RUN] for start in range(0, len(pool), RUN)]
                shuffled = permute(np.arange(len(runs)), len(runs), self.seed + low + 1, epoch)
                pools += [runs[run] for run in shuffled]
            self._epoch = (epoch, np.concatenate(pools))
        return self._epoch[1]


def rank_slice(start: int, stop: int, rank: int, world: int) -> tuple[int, int]:
    """Return one rank's part of a range; parts differ by at most one and may be empty."""
    size = stop - start
    return start + size * rank // world, start + size * (rank + 1) // world
