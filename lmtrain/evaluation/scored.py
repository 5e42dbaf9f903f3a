"""What scoring a system on a data set gives, whatever the task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmtrain.evaluation.examples import Example


def scored_examples(
    examples: Sequence[Example],
    predictions: Sequence[str | None],
    statistics: np.ndarray,
    signatures: dict[str, str],
    **stats: Any,
) -> "Scored":
    """Return what a system said of examples, with the statistics of each.

    Args:
        examples: in the order of the predictions.
        predictions: as text.
        statistics: shape (examples, statistics).
        signatures: of the metrics to report.
        **stats: what else there is to tell.
    """
    return Scored(
        ids=[example["id"] for example in examples],
        groups=[example["group"] for example in examples],
        predictions=predictions,
        statistics=statistics,
        signatures=signatures,
        attributes=[example.get("attribute") for example in examples],
        stats=stats,
    )


@dataclass(frozen=True)
class Scored:
    """A scored test set.

    Attributes:
        ids: of the examples.
        groups: of the examples.
        predictions: what the system said, or None where it says nothing.
        statistics: shape (examples, statistics); see `lmtrain.metrics`.
        signatures: for each metric to report, how it is computed.
        attributes: of the examples, by which errors are told apart; None of those that have none.
        generated: prompts and continuations of a language model.
        stats: what else there is to tell in the manifest.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    predictions: Sequence[str | None]
    statistics: np.ndarray
    signatures: dict[str, str]
    attributes: Sequence[str | None] = ()
    generated: list[dict[str, str]] | None = None
    stats: dict[str, Any] = field(default_factory=dict)
