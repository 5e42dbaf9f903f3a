"""Metrics as functions of summed statistics, their intervals, and the comparison of two systems.

Every scored example leaves a vector of statistics that add up over examples,
and every metric is a function of such a sum. So a metric of any part of the
test set, or of any resample of it, is one sum and one call: in come the rows of
`samples.parquet` (`schemas.SAMPLES`), out come a value and an interval. Stages
that make scores and stages that show them meet here.

The statistics of one example, by task:

    language_modeling   nats, tokens, bytes
    classification      three vectors over the classes in their sorted order, joined:
                        predicted and right, predicted, gold (each with a single 1, or none)
    summarization       1, then for BLEU: lengths of hypothesis and reference, matched n-grams
                        (n = 1 to 4), n-grams of the hypothesis (n = 1 to 4), then for chrF:
                        n-grams of hypothesis, of reference, matched (for each n = 1 to 6), then
                        the F of ROUGE-1, ROUGE-2 and ROUGE-L
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lmtrain.errors import RecipeError, StageError

Array = np.ndarray

CONFIDENCE = 0.95
BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2
BLEU_COLUMNS = slice(1, 3 + 2 * BLEU_ORDER)
CHRF_COLUMNS = slice(BLEU_COLUMNS.stop, BLEU_COLUMNS.stop + 3 * CHRF_ORDER)
ROUGE_COLUMNS = {
    "rouge1": CHRF_COLUMNS.stop,
    "rouge2": CHRF_COLUMNS.stop + 1,
    "rougeL": CHRF_COLUMNS.stop + 2,
}
SUMMARIZATION_STATISTICS = CHRF_COLUMNS.stop + len(ROUGE_COLUMNS)

DRAWS_AT_ONCE = 4_000_000
"""Groups drawn in one block of resamples: bounds the memory of the bootstrap to some tens of MB."""


@dataclass(frozen=True)
class Metric:
    """A corpus metric.

    Attributes:
        name: as it stands in the scores.
        task: whose statistics it reads.
        from_sums: sums of statistics, shape (..., statistics), to values, shape (...).
        higher_is_better: the sense in which one system beats another.
        scale: the best value of a bounded metric, 1 or 100; None for an unbounded one.
        title: how people call it.
    """

    name: str
    task: str
    from_sums: Callable[[Array], Array]
    higher_is_better: bool
    scale: float | None
    title: str


def _bits_per_byte(sums: Array) -> Array:
    return sums[..., 0] / (sums[..., 2] * np.log(2))


def _perplexity(sums: Array) -> Array:
    return np.exp(sums[..., 0] / sums[..., 1])


def _by_class(sums: Array) -> tuple[Array, Array, Array]:
    """Return right, predicted and gold counts, each of shape (..., classes)."""
    classes = sums.shape[-1] // 3
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes :]


def _accuracy(sums: Array) -> Array:
    right, _, gold = _by_class(sums)
    return right.sum(-1) / gold.sum(-1)


def _f1_of_classes(sums: Array) -> tuple[Array, Array]:
    """Return F1 of each class, 0 where nothing is to be found, and which classes occur at all."""
    right, predicted, gold = _by_class(sums)
    occurrences = predicted + gold
    return 2 * right / np.maximum(occurrences, 1), occurrences > 0


def _f1_macro(sums: Array) -> Array:
    """Mean F1 of the classes that occur, in gold or prediction: scikit-learn's default."""
    f1, occurs = _f1_of_classes(sums)
    return f1.sum(-1) / occurs.sum(-1)


def _f1_weighted(sums: Array) -> Array:
    f1, _ = _f1_of_classes(sums)
    gold = _by_class(sums)[2]
    return (f1 * gold).sum(-1) / gold.sum(-1)


def _f1_micro(sums: Array) -> Array:
    right, predicted, gold = _by_class(sums)
    return 2 * right.sum(-1) / (predicted.sum(-1) + gold.sum(-1))


def _bleu(sums: Array) -> Array:
    """BLEU in percent (Papineni et al. 2002) with exponential smoothing, as sacrebleu computes it."""
    columns = sums[..., BLEU_COLUMNS]
    hypothesis, reference = columns[..., 0], columns[..., 1]
    matched, total = columns[..., 2 : 2 + BLEU_ORDER], columns[..., 2 + BLEU_ORDER :]
    brevity = np.exp(np.minimum(0.0, 1 - reference / np.maximum(hypothesis, 1)))
    halvings = np.cumsum(matched == 0, axis=-1)  # each order without a match counts half as much again
    numerator = np.where(matched == 0, 0.5**halvings, matched)
    precisions = numerator / np.maximum(total, 1)
    score = 100 * brevity * np.exp(np.log(precisions).mean(-1))
    defined = (matched.sum(-1) > 0) & (total > 0).all(-1)
    return np.where(defined, score, 0.0)


def _chrf(sums: Array) -> Array:
    """Compute chrF2 in percent (Popović 2015) over the orders that both sides have, as sacrebleu does."""
    columns = sums[..., CHRF_COLUMNS].reshape(*sums.shape[:-1], CHRF_ORDER, 3)
    hypothesis, reference, matched = columns[..., 0], columns[..., 1], columns[..., 2]
    orders = ((hypothesis > 0) & (reference > 0)).sum(-1)
    present = (hypothesis > 0) & (reference > 0)
    precision = np.where(present, matched / np.maximum(hypothesis, 1), 0).sum(-1) / np.maximum(orders, 1)
    recall = np.where(present, matched / np.maximum(reference, 1), 0).sum(-1) / np.maximum(orders, 1)
    denominator = CHRF_BETA**2 * precision + recall
    score = 100 * (1 + CHRF_BETA**2) * precision * recall
    return np.divide(score, denominator, out=np.zeros_like(score), where=denominator > 0)


def _mean_of(column: int) -> Callable[[Array], Array]:
    return lambda sums: sums[..., column] / sums[..., 0]


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("bits_per_byte", "language_modeling", _bits_per_byte, False, None, "Bits per byte"),
        Metric("perplexity", "language_modeling", _perplexity, False, None, "Perplexity per token"),
        Metric("accuracy", "classification", _accuracy, True, 1.0, "Accuracy"),
        Metric("f1_macro", "classification", _f1_macro, True, 1.0, "Macro F1"),
        Metric("f1_micro", "classification", _f1_micro, True, 1.0, "Micro F1"),
        Metric("f1_weighted", "classification", _f1_weighted, True, 1.0, "Weighted F1"),
        Metric("rougeL", "summarization", _mean_of(ROUGE_COLUMNS["rougeL"]), True, 1.0, "ROUGE-L"),
        Metric("rouge1", "summarization", _mean_of(ROUGE_COLUMNS["rouge1"]), True, 1.0, "ROUGE-1"),
        Metric("rouge2", "summarization", _mean_of(ROUGE_COLUMNS["rouge2"]), True, 1.0, "ROUGE-2"),
        Metric("bleu", "summarization", _bleu, True, 100.0, "BLEU"),
        Metric("chrf", "summarization", _chrf, True, 100.0, "chrF"),
    )
}
"""All metrics by name; the first of a task is the one in its headline."""


def metrics_of(task: str) -> list[Metric]:
    """Return the metrics of a task, the headline's first."""
    return [metric for metric in METRICS.values() if metric.task == task]


def metric_named(name: str) -> Metric:
    """Return a metric.

    Raises:
        RecipeError: there is none of that name; the text lists those that are.
    """
    if name not in METRICS:
        raise RecipeError(f"no metric {name!r}; there are: {', '.join(METRICS)}")
    return METRICS[name]


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
    _, sums = _sums_by_group(statistics, groups)
    return Interval(value, *_bounds(metric_named(metric).from_sums(_resampled(sums, samples, seed))))


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
    sums_a = _sums_by_group(statistics_of(a), groups)[1]
    sums_b = _sums_by_group(statistics_of(b), groups)[1]
    drawn = function(_resampled(sums_a, samples, seed)) - function(_resampled(sums_b, samples, seed))
    difference = float(function(sums_a.sum(axis=0)) - function(sums_b.sum(axis=0)))
    return Interval(difference, *_bounds(drawn))


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


def _sums_by_group(statistics: Array, groups: list[str]) -> tuple[Array, Array]:
    """Return the sorted groups and the sums of their statistics, shape (groups, statistics)."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), statistics.shape[1]))
    np.add.at(sums, index, statistics)
    return names, sums


def _resampled(group_sums: Array, samples: int, seed: int) -> Array:
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


def _bounds(values: Array) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
