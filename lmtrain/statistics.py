"""Values of metrics, their intervals, and the comparison of two systems.

In come the rows of `samples.parquet` (`schemas.SAMPLES`), out come a value and an interval: a metric is a
function of summed statistics (`lmtrain.metrics`), so that each resample is one sum and one call.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lmtrain.errors import StageError
from lmtrain.metrics import Array, metric_named

CONFIDENCE = 0.95
DRAWS_AT_ONCE = 4_000_000
"""Groups drawn in one block of resamples: bounds the memory of the bootstrap to some tens of MB."""


def metric_from_statistics(metric: str, statistics: Array) -> float:
    """Return a corpus metric.

    Args:
        metric: a name in `METRICS`.
        statistics: of the examples, shape (examples, statistics).

    Raises:
        RecipeError: no such metric.
        StageError: there are no examples.
    """
    if len(statistics) == 0:
        raise StageError(f"{metric} needs at least one example, got none")
    return float(metric_named(metric).from_sums(np.asarray(statistics, dtype=np.float64).sum(axis=0)))


class Interval(NamedTuple):
    """A value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    metric: str, statistics: Array, groups: list[str], samples: int, seed: int
) -> Interval:
    """Return a metric with its 95 % percentile interval over resampled groups.

    Documents of one group (one source file, say) resemble each other, so groups
    are drawn and not documents (Efron and Tibshirani 1993, chapter 8).

    Args:
        metric: a name in `METRICS`.
        statistics: shape (examples, statistics).
        groups: each example's group.
        samples: number of resamples.
        seed: seed of the draws.
    """
    value = metric_from_statistics(metric, statistics)
    _, sums = sums_by_group(statistics, groups)
    return Interval(value, *bounds_of(metric_named(metric).from_sums(resampled(sums, samples, seed))))


def paired_difference(a: pa.Table, b: pa.Table, metric: str, samples: int = 1000, seed: int = 0) -> Interval:
    """Return how much higher a metric is in one system than in another, with a 95 % interval.

    Both systems are scored on the same resamples of groups (Koehn 2004), so what
    makes an example easy for both cancels out. Whether higher is better says the
    metric; the systems differ if the interval leaves out 0.

    Args:
        a: one system's samples, columns of `schemas.SAMPLES`.
        b: the other's, on the same examples in any order.
        metric: a name in `METRICS`.
        samples: number of resamples.
        seed: seed of the draws.

    Raises:
        StageError: the two were scored on different examples.
    """
    function = metric_named(metric).from_sums
    a, b = a.sort_by("example_id"), b.sort_by("example_id")
    _refuse_different(a, b)
    groups: list[Any] = a["group"].to_pylist()
    sums_a = sums_by_group(statistics_of(a), groups)[1]
    sums_b = sums_by_group(statistics_of(b), groups)[1]
    drawn = function(resampled(sums_a, samples, seed)) - function(resampled(sums_b, samples, seed))
    difference = float(function(sums_a.sum(axis=0)) - function(sums_b.sum(axis=0)))
    return Interval(difference, *bounds_of(drawn))


def statistics_of(samples: pa.Table) -> Array:
    """Return the statistics of a samples table, shape (examples, statistics).

    Raises:
        StageError: the rows have statistics of different lengths.
    """
    column: Any = samples["statistics"].combine_chunks()
    width, rest = divmod(len(column.flatten()), max(1, len(column)))
    if rest or any(length != width for length in column.value_lengths().unique().to_pylist()):
        raise StageError("the samples have statistics of different lengths: they aren't of one system")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), width)


def _refuse_different(a: pa.Table, b: pa.Table) -> None:
    ids_a, ids_b = a["example_id"].to_pylist(), b["example_id"].to_pylist()
    if not ids_a:
        raise StageError("can't compare two systems without examples")
    for ids in (ids_a, ids_b):
        if len(set(ids)) < len(ids):
            raise StageError("can't compare: an example_id occurs twice in the samples of one system")
    if ids_a != ids_b:
        only_a, only_b = len(set(ids_a) - set(ids_b)), len(set(ids_b) - set(ids_a))
        raise StageError(
            "can't compare: the systems were scored on different examples "
            f"({only_a} only in the first, {only_b} only in the second); evaluate both on the same set"
        )
    if a["group"].to_pylist() != b["group"].to_pylist():
        raise StageError("can't compare: the same examples stand in different groups")


def sums_by_group(statistics: Array, groups: list[str]) -> tuple[Array, Array]:
    """Return the sorted groups and the sums of their statistics, shape (groups, statistics)."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), statistics.shape[1]))
    np.add.at(sums, index, statistics)
    return names, sums


def resampled(group_sums: Array, samples: int, seed: int) -> Array:
    """Return the summed statistics of each resample of groups, shape (samples, statistics)."""
    count = len(group_sums)
    random = np.random.default_rng(seed)
    block = max(1, min(samples, DRAWS_AT_ONCE // count))
    drawn = []
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        picks = random.integers(0, count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(picks.ravel(), minlength=rows * count).reshape(rows, count)
        drawn.append(times @ group_sums)
    return np.concatenate(drawn)


def bounds_of(values: Array) -> tuple[float, float]:
    """Return the bounds that hold 95 % of the values, the tails alike."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
