"""Texts as means of static vectors of words, for the tasks that are scored with them."""

from collections.abc import Sequence

import numpy as np

from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import run_batches
from lmtrain.text.word_vectors import WordVectors

TEXTS_AT_ONCE = 256
"""Texts between two looks at the watch."""


def vectors_of_texts(vectors: WordVectors, texts: Sequence[str], context: Context) -> np.ndarray:
    """Return the weighted mean of the vectors of each text's words, shape (texts, width), float32.

    Raises:
        CancelledError: the watch was asked to stop.
    """
    found = np.zeros((len(texts), vectors.width), dtype=np.float32)

    def work(batch: list[int]) -> None:
        for index in batch:
            found[index] = vectors.of_text(texts[index], context.config.tokens_of)

    starts = range(0, len(texts), TEXTS_AT_ONCE)
    batches = [list(range(start, min(start + TEXTS_AT_ONCE, len(texts)))) for start in starts]
    run_batches(batches, work, context.watch, "texts")  # Python's own work: threads would only take turns
    return found
