"""Errors told apart by an attribute: what the scores of our model say of each value of it.

In: a scores artifact. Out: rows of a table of values, and of one of the gaps between two.
"""

import json
from dataclasses import dataclass

from lmtrain.reporting.line import Scored

GAPS = {
    "selection_rate": "how often {label} is said",
    "true_positive_rate": "how often {label} is found where it is true",
    "false_positive_rate": "how often {label} is said where it isn't true",
}
"""Rates in words; any other gap is that of the headline metric."""

SHOWN_RATES = 6
"""Gaps of rates that a page shows, the largest."""


@dataclass(frozen=True)
class Bar:
    """One row: a value or a gap, with its interval.

    Attributes:
        name: in words.
        about: beside the name: how many examples, or between which values.
        value: None of a value with too few examples, as are the bounds then.
    """

    name: str
    about: str
    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class ByAttribute:
    """What is known of a model's errors by an attribute.

    Attributes:
        values: a row each.
        gaps: a row each; that of the headline metric first, then those of rates, the largest first.
        axis: ends of the scale of the values.
        gap_axis: of the gaps, which begins where there is none.
    """

    values: list[Bar]
    gaps: list[Bar]
    axis: tuple[float, float]
    gap_axis: tuple[float, float]


def by_attribute(scored: Scored, metric: str) -> ByAttribute | None:
    """Return what the scores of a model tell by attribute; None where its examples have none.

    Args:
        scored: of a model.
        metric: the headline's, in words.
    """
    rows = [
        row
        for record in scored.artifact.files("attributes")
        for row in json.loads(scored.artifact.open(record).read_text(encoding="utf-8"))
    ]
    if not rows:
        return None
    values = [
        Bar(row["value"], f"{row['samples']:,}", row["score"], row["low"] or 0.0, row["high"] or 0.0)
        for row in rows
        if "value" in row
    ]
    gaps = [_gap(row, metric) for row in rows if "gap" in row]
    first = [gap for gap in gaps if gap.name == metric]
    rates = sorted((gap for gap in gaps if gap.name != metric), key=lambda gap: -(gap.value or 0))
    gaps = [*first, *rates[:SHOWN_RATES]]
    told = [bar for bar in values if bar.value is not None]
    return ByAttribute(values, gaps, _ends(told, 1.0), _ends([*gaps, Bar("", "", 0.0, 0.0, 0.0)], 1.0))


def _gap(row: dict, metric: str) -> Bar:
    name = GAPS.get(row["gap"], metric).format(label=f"“{row['label']}”")
    return Bar(name, " and ".join(row["between"]), row["score"], row["low"], row["high"])


def _ends(bars: list[Bar], least: float) -> tuple[float, float]:
    """Return the ends of a scale that holds all intervals; from 0 to `least` where there are none."""
    low, high = min((bar.low for bar in bars), default=0.0), max((bar.high for bar in bars), default=least)
    return (low, high) if high > low else (low, low + least)
