"""What training gives, whatever the algorithm."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trained:
    """Trained vectors.

    Attributes:
        vectors: one for each word, shape (words, width), float32.
        losses: of each pass; none where the algorithm's program counts none.
        ngrams: of pieces of words by bucket, shape (buckets, width), float32.
        stats: what else there is to tell.
    """

    vectors: np.ndarray
    losses: list[float]
    ngrams: np.ndarray | None = None
    stats: dict[str, Any] = field(default_factory=dict)
