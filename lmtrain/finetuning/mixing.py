"""Rows of several labelled sets as one training: which stand where, and how often each set is read."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lmtrain.encoding.rows import Row
from lmtrain.errors import StageError
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.several_config import SeveralConfig
from lmtrain.training.order import BLOCK, MixedOrder, permute

Numbered = tuple[int, Row]
"""The number of a set, and a row of it."""


class SetRows:
    """Rows of several sets by number, one set after another.

    Attributes:
        first_row: number of each set's first row, and of all rows, shape (sets + 1,).
        lengths: tokens of each row, shape (rows,).
    """

    def __init__(self, sets: Sequence[ExampleRows], most: int | None = None) -> None:
        """Join sets.

        Args:
            sets: with one row at least each.
            most: of each set so many rows at most, drawn from all of it; the same ones each time.
        """
        self.sets = sets
        self._chosen = [_chosen(len(one), most) for one in sets]
        self.first_row = np.cumsum([0, *map(len, self._chosen)])
        self.lengths = np.concatenate(
            [one.lengths[chosen] for one, chosen in zip(sets, self._chosen, strict=True)]
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: np.ndarray) -> Sequence[Numbered]:
        """Return rows by number, each with that of its set."""
        return [(number, self.sets[number].rows[place]) for number, place in self._places(indices)]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the id of the example in each of these rows."""
        return [[self.sets[number].ids[place]] for number, place in self._places(indices)]

    def _places(self, indices: np.ndarray) -> list[tuple[int, int]]:
        """Return set and place in it of each row."""
        numbers = (np.searchsorted(self.first_row, indices, side="right") - 1).tolist()
        return [
            (number, int(self._chosen[number][index - self.first_row[number]]))
            for number, index in zip(numbers, np.asarray(indices).tolist(), strict=True)
        ]


def _chosen(size: int, most: int | None) -> np.ndarray:
    """Return which rows of a set there are: all in their order, or so many of its permutation."""
    if most is None or size <= most:
        return np.arange(size)
    return permute(np.arange(most), size, 0, 0)


def mixed_order(config: SeveralConfig, rows: SetRows) -> MixedOrder:
    """Return in which order the rows of all sets are read.

    Rows aren't sorted by length: sets differ in it, and a batch would be of one set mostly.
    """
    counts = rows_in_block(np.diff(rows.first_row).tolist(), config)
    return MixedOrder(rows.first_row, counts, config.seed)


def rows_in_block(sizes: Sequence[int], config: SeveralConfig) -> list[int]:
    """Return how many of 1,024 rows each set has, one at least.

    Args:
        sizes: rows of each set.
        config: how shares follow from them.

    Raises:
        StageError: there are more sets than rows.
    """
    if len(sizes) > BLOCK:
        raise StageError(f"{config.name}: at most {BLOCK:,} sets can be mixed, not {len(sizes):,}")
    counted = [min(size, config.size_limit or size) for size in sizes]
    weights = [Fraction(size**config.temperature) for size in counted]
    rest = BLOCK - len(sizes)
    exact = [1 + rest * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: BLOCK - sum(counts)]:
        counts[place] += 1
    return counts
