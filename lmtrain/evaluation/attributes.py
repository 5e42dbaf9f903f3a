"""Error by group: how far apart the examples of each value of an attribute are scored.

In: scored examples, of which each says a value (a domain, a dialect, somebody's gender). Out: for each
value the headline metric with its interval, and how large the gap between two values is. Of classifiers
there are gaps of the rates that fairness is told by, too: how often a label is given (demographic
parity), and how often rightly and wrongly (equalized odds; Hardt, Price and Srebro 2016).
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from lmtrain.evaluation.scored import Scored
from lmtrain.metrics import Array, metric_named
from lmtrain.statistics import bounds_of, resampled, sums_by_group

LEAST = 30
"""Examples of a value from which it is compared with others."""

BY_CLASS = ("classification", "multi_label")
"""Tasks whose statistics are right, predicted and gold, by class."""

Rates = Callable[[Array, Array], Array]
"""Of sums of statistics, shape (..., statistics), and how many examples they are of."""


def scores_by_attribute(
    scored: Scored, task: str, metric: str, samples: int, seed: int
) -> list[dict[str, Any]]:
    """Return a row for each value of the attribute, then one for each gap; none without an attribute.

    A row of a value has `value`, `samples`, and `score` with `low` and `high`, which are null of a value
    with fewer than `LEAST` examples. A row of a gap has `gap` (its name), `label`, the two values `between`
    which it is the largest, and `score` with its interval over resamples of groups, for these two values.

    Args:
        scored: of a system.
        task: whose statistics they are.
        metric: of the headline.
        samples: number of resamples.
        seed: of the resamples.
    """
    counts = Counter(value for value in scored.attributes if value is not None)
    if not counts:
        return []
    compared = sorted(value for value, count in counts.items() if count >= LEAST)
    whole, drawn = _sums(scored, compared, samples, seed)
    rows = [_of_value(value, counts[value], compared, metric, whole, drawn) for value in sorted(counts)]
    if len(compared) < 2:
        return rows
    score = metric_named(metric).from_sums
    gaps: dict[tuple[str, str | None], Rates] = {(metric, None): lambda sums, _: score(sums)}
    if task in BY_CLASS:
        gaps |= _rates(scored.stats["classes"])
    found = [_gap(name, label, rate, compared, whole, drawn) for (name, label), rate in gaps.items()]
    return rows + [gap for gap in found if gap is not None]


def _sums(scored: Scored, compared: list[str], samples: int, seed: int) -> tuple[Array, Array]:
    """Return the statistics by value and a count behind them, summed, and of each resample.

    Shapes (values, statistics + 1) and (samples, values, statistics + 1).
    """
    counted = np.concatenate([scored.statistics, np.ones((len(scored.statistics), 1))], axis=1)
    chosen = np.array([[value == own for value in compared] for own in scored.attributes], dtype=float)
    apart = (chosen[:, :, None] * counted[:, None, :]).reshape(len(counted), -1)
    _, sums = sums_by_group(apart, list(scored.groups))
    shape = (len(compared), counted.shape[1])
    return apart.sum(axis=0).reshape(shape), resampled(sums, samples, seed).reshape(-1, *shape)


def _of_value(
    value: str, count: int, compared: list[str], metric: str, whole: Array, drawn: Array
) -> dict[str, Any]:
    row: dict[str, Any] = {"value": value, "samples": count, "score": None, "low": None, "high": None}
    if value not in compared:
        return row
    place, score = compared.index(value), metric_named(metric).from_sums
    with np.errstate(invalid="ignore", divide="ignore"):
        found = score(drawn[:, place, :-1])
    low, high = bounds_of(found[np.isfinite(found)])
    return row | {"score": float(score(whole[place, :-1])), "low": low, "high": high}


def _rates(classes: list[str]) -> dict[tuple[str, str | None], Rates]:
    """Return the rates of each class, by name and class: given at all, given rightly, given wrongly."""
    number = len(classes)

    def rates_of(place: int) -> dict[str, Rates]:
        right, predicted, gold = place, number + place, 2 * number + place
        return {
            "selection_rate": lambda sums, count: sums[..., predicted] / count,
            "true_positive_rate": lambda sums, _: sums[..., right] / sums[..., gold],
            "false_positive_rate": lambda sums, count: (
                (sums[..., predicted] - sums[..., right]) / (count - sums[..., gold])
            ),
        }

    return {
        (name, label): rate for place, label in enumerate(classes) for name, rate in rates_of(place).items()
    }


def _gap(
    name: str, label: str | None, rate: Rates, compared: list[str], whole: Array, drawn: Array
) -> dict[str, Any] | None:
    """Return the largest gap of a rate; None where fewer than two values have one, or all the same."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = rate(whole[:, :-1], whole[:, -1])
        of_draws = rate(drawn[..., :-1], drawn[..., -1])
    if np.isfinite(rates).sum() < 2:
        return None
    high, low = int(np.nanargmax(rates)), int(np.nanargmin(rates))
    if high == low:
        return None
    apart = of_draws[:, high] - of_draws[:, low]
    bounds = bounds_of(apart[np.isfinite(apart)])
    return {
        "gap": name,
        "label": label,
        "between": [compared[high], compared[low]],
        "score": float(rates[high] - rates[low]),
        "low": bounds[0],
        "high": bounds[1],
    }
