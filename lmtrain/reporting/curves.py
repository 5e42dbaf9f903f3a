"""Learning curves: rows of a model's metrics.jsonl as series to draw.

In: model artifacts. Out: points (step, value), thinned so that a long run costs
a page no more than a short one.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

from lmtrain.manifest import Artifact

MAX_POINTS = 400
SETTLED = 0.25
"""Share of the steps after which training has its usual speed: the start compiles and warms up."""


@dataclass(frozen=True)
class Series:
    """A named line of points; `style` is train, validation or control."""

    name: str
    style: str
    points: list[tuple[float, float]]


def read_metrics(model: Artifact) -> list[dict[str, Any]]:
    """Return the rows of a model's metrics in the order of their steps; none if it has no metrics."""
    rows = [
        json.loads(text)
        for record in model.files("metrics")
        for text in model.open(record).read_text(encoding="utf-8").splitlines()
        if text.strip()
    ]
    return sorted(rows, key=lambda row: row.get("step", 0))


def series(rows: list[dict[str, Any]], column: str, name: str, style: str) -> Series | None:
    """Return a column of the metrics over steps; None where it has no finite value."""
    points = [
        (float(row["step"]), float(row[column]))
        for row in rows
        if row.get(column) is not None and math.isfinite(row[column])
    ]
    return Series(name, style, thinned(points)) if points else None


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `MAX_POINTS` points: the mean of each run of neighbours, the last point as it is."""
    if len(points) <= MAX_POINTS:
        return points
    width = math.ceil(len(points) / (MAX_POINTS - 1))
    means = []
    for start in range(0, len(points), width):
        run = points[start : start + width]
        means.append((sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)))
    return [*means[:-1], points[-1]]


def smoothed(points: list[tuple[float, float]], reach: int = 8) -> list[tuple[float, float]]:
    """Return the mean of each point and its neighbours, nearer ones weighing more.

    The window looks as far ahead as back, so the smooth line doesn't lag behind
    the values as a running mean would; at the ends it is cut.
    """
    result = []
    for place, (x, _) in enumerate(points):
        start, stop = max(0, place - reach), min(len(points), place + reach + 1)
        weights = [reach + 1 - abs(other - place) for other in range(start, stop)]
        weighted = sum(weight * y for weight, (_, y) in zip(weights, points[start:stop], strict=True))
        result.append((x, weighted / sum(weights)))
    return result


def usual(points: list[tuple[float, float]]) -> float | None:
    """Return the median of the values after the start."""
    settled = sorted(y for _, y in points[int(SETTLED * len(points)) :])
    return settled[len(settled) // 2] if settled else None
