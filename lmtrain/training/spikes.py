"""Which losses are out of line with those before."""

import math
from statistics import fmean, stdev

WINDOW = 64
LEAST = 16
"""Losses that must have been seen before one can be a spike."""


def is_spike(loss: float, before: list[float], most_deviations: float) -> bool:
    """Tell whether a loss lies too far above the last ones.

    Args:
        loss: mean loss of a batch.
        before: those of the last steps that weren't spikes, `WINDOW` at most.
        most_deviations: standard deviations above their mean that are allowed.
    """
    if len(before) < LEAST:
        return False
    spread = max(stdev(before), 1e-3 * math.fabs(fmean(before)))  # equal losses have no deviation
    return loss > fmean(before) + most_deviations * spread


def remembered(loss: float, before: list[float]) -> list[float]:
    """Return the last losses with one more."""
    return [*before, loss][-WINDOW:]
