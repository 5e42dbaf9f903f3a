"""What scoring a system on a data set gives, whatever the task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scored:
    """A scored test set.

    Attributes:
        ids: of the examples.
        groups: of the examples.
        predictions: what the system said, or None where it says nothing.
        statistics: shape (examples, statistics); see `lmtrain.statistics`.
        signatures: for each metric to report, how it is computed.
        generated: prompts and continuations of a language model.
        stats: what else there is to tell in the manifest.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    predictions: Sequence[str | None]
    statistics: np.ndarray
    signatures: dict[str, str]
    generated: list[dict[str, str]] | None = None
    stats: dict[str, Any] = field(default_factory=dict)
