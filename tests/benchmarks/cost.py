"""What a corpus of a size that nobody has measured would cost, from figures that were measured.

In: `results/growth.json` and `results/curation.json`. Out: a table that says of
each figure how it follows. Nothing here is a measurement of that size: time is
carried on along the measured exponent (in a line where it is below 1: what starting
costs is no saving), the driver's memory along the line through the smallest and
the largest measured size. A worker's isn't: its tasks have a size of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DOCUMENTS = 10**10
CORES = 1000
"""Of the cluster that is reckoned with."""
NODE_BYTES = 64e9
"""Memory that one process may take on it."""
STAGE = "English stage, 4 kB"
"""The row of curation.json whose rate and length of a document are carried on."""

EXPONENT, WORKER, DRIVER = "Time of curation", "Peak memory of a worker", "Peak memory of the driver"


@dataclass(frozen=True)
class Line:
    """A straight line through two measured sizes."""

    first: tuple[float, float]
    last: tuple[float, float]

    @property
    def slope(self) -> float:
        """By how much the value grows with each document; never less than 0."""
        return max((self.last[1] - self.first[1]) / (self.last[0] - self.first[0]), 0.0)

    def at(self, size: float) -> float:
        """Return the value at a size."""
        return self.last[1] + self.slope * (size - self.last[0])

    def reaches(self, value: float) -> float:
        """Return the size at which a value is reached; infinity if never."""
        return self.last[0] + (value - self.last[1]) / self.slope if self.slope else float("inf")


def cost_table(growth: Mapping[str, Any], curation: Mapping[str, Any]) -> str:
    """Return the table as Markdown.

    Args:
        growth: what `growth.py` wrote.
        curation: what `curation.py` wrote.
    """
    sizes = _rows(growth, WORKER)
    largest = sizes[-1]
    power = max(1.0, _rows(growth, EXPONENT)[0]["ours"])
    stage = next(row for row in curation["rows"] if row["measure"] == STAGE)
    bytes_read = DOCUMENTS * stage["mean_bytes"]
    filtering = bytes_read / (stage["ours"] * 1e6)
    beyond = (DOCUMENTS / largest["count"]) ** (power - 1)
    seconds = largest["workers"] * largest["seconds"] / largest["count"] * DOCUMENTS
    held = largest["disk_bytes"] / largest["count"] * DOCUMENTS
    known = (
        largest["bytes_by_role"].get("signatures", 0) / (largest["count"] - largest["dropped"]) * DOCUMENTS
    )
    tasks = sum(largest["tasks"].values()) / largest["bytes"] * bytes_read
    lines = [
        (
            "whole stage, one core",
            f"{DOCUMENTS:.0e} documents · {stage['mean_bytes']:,.0f} B / {stage['ours']:.3g} MB/s",
            f"{filtering / 3600:,.0f} core hours",
        ),
        (
            f"the same on {CORES:,} cores",
            "core hours / cores, as long as nothing below breaks",
            f"{filtering / 3600 / CORES:.3g} h",
        ),
        (
            f"deduplication alone, documents of {largest['bytes'] / largest['count']:,.0f} B",
            f"{largest['workers']} · {largest['seconds']:.4g} s / {largest['count']:,} · documents "
            f"· ({DOCUMENTS:.0e} / {largest['count']:,})^({power:.3g} - 1)",
            f"{seconds * beyond / 3600:,.0f} core hours",
        ),
        (
            "disk while it runs",
            f"{largest['disk_bytes'] / largest['count']:,.0f} B a document",
            f"{_digits(held / 1e12)} TB",
        ),
        (
            "signatures that stay",
            "bytes for each kept document · documents",
            f"{_digits(known / 1e12)} TB at most",
        ),
        (
            "tasks",
            f"{sum(largest['tasks'].values()):,} tasks / {largest['bytes'] / 1e6:,.0f} MB · "
            f"{bytes_read / 1e12:,.3g} TB",
            f"{tasks:,.0f}",
        ),
    ]
    table = ["| what | how it follows | at 10 billion |", "|---|---|---:|"]
    table += [f"| {what} | {how} | {figure} |" for what, how, figure in lines]
    return "\n".join([*table, "", *_limits(growth)]) + "\n"


def _limits(growth: Mapping[str, Any]) -> list[str]:
    """Tell how memory goes on."""
    sizes = [row["count"] for row in _rows(growth, WORKER)]
    (first, *_, last), driver = _rows(growth, WORKER), [row["ours"] * 1e6 for row in _rows(growth, DRIVER)]
    line = Line((sizes[0], driver[0]), (sizes[-1], driver[-1]))
    reached, at_last = line.reaches(NODE_BYTES), _digits(line.at(DOCUMENTS) / 1e9)
    full = "never full" if reached == float("inf") else f"full at {reached:.2g} documents"
    return [
        f"- Memory of the driver: {line.slope:,.0f} B a document, {at_last} GB at 10 billion; where one "
        f"process may take {NODE_BYTES / 1e9:.0f} GB, {full}.",
        f"- Memory of a worker: {last['ours']:,.0f} MB at {sizes[-1]:,} documents and {first['ours']:,.0f} "
        f"MB at {sizes[0]:,}, whose tasks weren't full. Tasks grow no further, there are more of them.",
    ]


def _digits(value: float) -> str:
    """Return three digits of a number, and no exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _rows(found: Mapping[str, Any], measure: str) -> list[Any]:
    return [row for row in found["rows"] if row["measure"].startswith(measure)]
