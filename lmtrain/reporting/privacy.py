"""What a reader needs to know of privacy beside a score: what a fine-tuning spent, and what canaries show."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmtrain.metrics import EXPOSURES

if TYPE_CHECKING:
    from lmtrain.reporting.results import Metric, Row


def with_epsilon(name: str, row: dict[str, Any]) -> str:
    """Return a system's name, with the epsilon of its training where that was private."""
    return f"{name}, ε = {row['epsilon']:.3g}" if "epsilon" in row else name


def guarantee(rows: Sequence[dict[str, Any]]) -> str:
    """Return what epsilon means for the systems of some scores; empty where none was trained privately."""
    deltas = {f"{row['delta']:.2g}" for row in rows if "delta" in row}
    if not deltas:
        return ""
    return (
        "ε is what the training may tell of any one of its examples (differential privacy, with δ = "
        f"{' or '.join(sorted(deltas))}); each model has spent its own, and what models of the same "
        "examples spend adds up."
    )


def exposures(metrics: Sequence["Metric"]) -> list[tuple[str, "Row", tuple[float, float]]]:
    """Return the model's exposure by how often canaries stood in its training text, on one axis."""
    found = [(EXPOSURES[metric.metric], metric.rows[0]) for metric in metrics if metric.metric in EXPOSURES]
    most = max((row.high for _, row in found), default=0.0)
    return [("never" if times == 0 else f"{times:,}", row, (0.0, 1.06 * most)) for times, row in found]
