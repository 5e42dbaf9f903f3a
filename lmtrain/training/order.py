"""In which order rows are seen: a function of (seed, global row index), with no state.

The cursor is the global row index g, not the step: whatever the number of
workers or the size of a batch, the g-th row of a training is the same row.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lmtrain.text.kernels import kernel

POOL = 4096
RUN = 32
BLOCK = 1024
ROUNDS = 4


class DataOrder(Protocol):
    """Which row stands where."""

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, rows), each of shape (stop - start,), of the global row indices in between.

        The epoch is that of the row's source where sources are mixed: with seed and row it keys what is
        random about a row, so no row is ever seen twice with the same choices.
        """
        ...


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
    keys = mix(
        np.arange(ROUNDS, dtype=np.uint64) + mix(np.array([seed * 0x9E3779B97F4A7C15 % 2**64 ^ epoch]))
    )
    values = np.array(indices, dtype=np.uint64)
    _scramble(values, np.uint64(half), np.uint64(size), keys)
    return values.astype(np.int64)


@kernel
def _scramble(values: np.ndarray, half: np.uint64, size: np.uint64, keys: np.ndarray) -> None:
    """Put each value through the rounds until it falls inside; all are uint64, `mix` is written out."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    for index in range(len(values)):
        value = values[index]
        outside = True
        while outside:
            left, right = value >> half, value & mask
            for key in keys:
                mixed = right + key
                mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(31))) & mask)
            value = (left << half) | right
            outside = value >= size
        values[index] = value


def _permuted(cursor: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return epochs and rows of places in pass after pass over range(size), each pass permuted."""
    epochs, places = np.divmod(cursor, size)
    rows = np.empty(len(cursor), dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = permute(places[here], size, seed, int(epoch))
    return epochs, rows


class PermutedOrder:
    """Rows of equal length, epoch after epoch, each a permutation."""

    def __init__(self, rows: int, seed: int) -> None:
        """Order rows.

        Args:
            rows: in an epoch.
            seed: of the training.
        """
        self.rows = rows
        self.seed = seed

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, rows) as the protocol says."""
        return _permuted(np.arange(start, stop), self.rows, self.seed)


class BucketedOrder:
    """Rows of different lengths: those of like length stand together.

    Each epoch's permutation is cut into pools of 4,096 rows, each sorted by
    length and cut into runs of 32, and the runs of a pool are permuted.
    """

    def __init__(self, lengths: np.ndarray, seed: int) -> None:
        """Order rows.

        Args:
            lengths: of all rows, shape (rows,).
            seed: of the training.
        """
        self.lengths = lengths
        self.seed = seed
        self._made: tuple[tuple[int, int], np.ndarray] | None = None

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, rows) as the protocol says."""
        epochs, places = np.divmod(np.arange(start, stop), len(self.lengths))
        found = np.empty(len(epochs), dtype=np.int64)
        keys = epochs * (len(self.lengths) // POOL + 1) + places // POOL
        for key in np.unique(keys):
            here = keys == key
            low = int(places[here][0]) // POOL * POOL
            found[here] = self._pool(int(epochs[here][0]), low)[places[here] - low]
        return epochs, found

    def _pool(self, epoch: int, low: int) -> np.ndarray:
        """Return the rows at the places [low, low + POOL) of an epoch; the last that was made is kept."""
        made = self._made
        if made is not None and made[0] == (epoch, low):
            return made[1]
        places = np.arange(low, min(low + POOL, len(self.lengths)))
        pool = _sorted_runs(
            permute(places, len(self.lengths), self.seed, epoch), self.lengths, self.seed + low + 1, epoch
        )
        self._made = ((epoch, low), pool)
        return pool

    def padded(self, multiple: int, most: int) -> int:
        """Return the slots of an epoch when each run of rows is padded to its longest.

        Args:
            multiple: of which a row's width is.
            most: the largest width.
        """
        total = 0
        for low in range(0, len(self.lengths), POOL):
            pool = np.sort(self.lengths[self._pool(0, low)])
            runs = np.arange(0, len(pool), RUN)
            widths = np.minimum(-(-np.maximum.reduceat(pool, runs) // multiple) * multiple, most)
            total += int((widths * np.diff(runs, append=len(pool))).sum())
        return total


def _sorted_runs(rows: np.ndarray, lengths: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return rows sorted by length, cut into runs, the runs permuted."""
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    runs = [rows[start : start + RUN] for start in range(0, len(rows), RUN)]
    return np.concatenate([runs[run] for run in permute(np.arange(len(runs)), len(runs), seed, epoch)])


class MixedOrder:
    """Sources by weight: each block of 1,024 rows holds an exact number of rows of each.

    The k-th row of a source is the k-th of its own passes, whatever the others
    are: row perm(k mod its rows) of its epoch k div its rows. With one source the
    order is that without weights. Rows of different lengths are sorted within a
    block, cut into runs of 32, and the runs permuted.
    """

    def __init__(
        self, first_row: np.ndarray, counts: Sequence[int], seed: int, lengths: np.ndarray | None = None
    ) -> None:
        """Mix sources.

        Args:
            first_row: number of each source's first row, and of all rows, shape (sources + 1,).
            counts: rows of each source in a block; they add up to 1,024, and a source without rows has none.
            seed: of the training.
            lengths: of all rows, shape (rows,), where they differ.
        """
        assert sum(counts) == BLOCK, "a block is full"
        self.first_row = first_row
        self.rows = np.diff(first_row)
        assert not (np.asarray(counts)[self.rows == 0]).any(), "a source without rows has no share"
        self.counts = np.asarray(counts, dtype=np.int64)
        self.seed = seed
        self.lengths = lengths
        self._sources = np.repeat(np.arange(len(counts)), self.counts)
        self._made: tuple[int, tuple[np.ndarray, np.ndarray]] | None = None

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, rows) as the protocol says; the epoch is that of the row's source."""
        parts = []
        for number in range(start // BLOCK, -(-stop // BLOCK)):
            epochs, rows = self._block(number)
            low, high = max(start - number * BLOCK, 0), min(stop - number * BLOCK, BLOCK)
            parts.append((epochs[low:high], rows[low:high]))
        nothing = np.empty(0, dtype=np.int64)
        epochs, rows = zip(*parts, strict=True) if parts else ((nothing,), (nothing,))
        return np.concatenate(epochs), np.concatenate(rows)

    def seen(self, stop: int) -> np.ndarray:
        """Return how many rows of each source stand before a global row index, shape (sources,)."""
        whole, rest = divmod(stop, BLOCK)
        rows = self._block(whole)[1][:rest]
        sources = np.searchsorted(self.first_row, rows, side="right") - 1
        return whole * self.counts + np.bincount(sources, minlength=len(self.counts))

    def _block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and rows of a block; the last that was made is kept."""
        made = self._made
        if made is not None and made[0] == number:
            return made[1]
        sources = self._sources[permute(np.arange(BLOCK), BLOCK, self.seed + 1, number)]
        epochs, rows = np.empty(BLOCK, dtype=np.int64), np.empty(BLOCK, dtype=np.int64)
        for source in np.flatnonzero(self.counts):
            here = np.flatnonzero(sources == source)
            cursor = number * self.counts[source] + np.arange(len(here))
            epochs[here], own = _permuted(cursor, int(self.rows[source]), self.seed)
            rows[here] = self.first_row[source] + own
        if self.lengths is not None:
            order = _sorted_runs(np.arange(BLOCK), self.lengths[rows], self.seed + 2, number)
            epochs, rows = epochs[order], rows[order]
        self._made = (number, (epochs, rows))
        return epochs, rows


def order_of(rows: int, seed: int, lengths: np.ndarray | None = None) -> DataOrder:
    """Return the order of all rows epoch after epoch, by length where they differ.

    Args:
        rows: how many there are.
        seed: of the training.
        lengths: of the rows, shape (rows,), or None where they are equal.
    """
    return PermutedOrder(rows, seed) if lengths is None else BucketedOrder(lengths, seed)


def rank_slice(start: int, stop: int, rank: int, world: int) -> tuple[int, int]:
    """Return one rank's part of a range; parts differ by at most one and may be empty."""
    size = stop - start
    return start + size * rank // world, start + size * (rank + 1) // world
