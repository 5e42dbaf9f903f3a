"""How often words stand near each other, a neighbour at distance d counting 1 / d (Pennington et al. 2014).

In: a corpus as numbers. Out: the counts of all pairs of words that meet. Counted
are stretches of text, each into a sparse matrix; those are added up like carries
of a binary number, so that no pair is moved more often than the logarithm of the
text's length. One direction is kept, the other follows from it.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array, csr_array

from lmtrain.errors import CancelledError, StageError
from lmtrain.watch import Watch
from lmtrain.wordvectors.corpus import Corpus

STRETCH_PAIRS = 4_000_000
"""Pairs that are counted at once: about 100 MB."""

MOST_PAIRS = 100_000_000
"""Different pairs at most: 1.2 GB while they are counted, three times that while they are trained on."""


def cooccurrences(
    corpus: Corpus, window: int, watch: Watch, *, stretch_pairs: int = STRETCH_PAIRS, most: int = MOST_PAIRS
) -> coo_array:
    """Count the pairs of a text, to both sides of each word.

    Args:
        corpus: the text; no pair reaches over the end of a document.
        window: words to each side.
        watch: told the words that are done.
        stretch_pairs: pairs that are counted at once.
        most: different pairs at most, in one direction.

    Returns:
        Shape (words, words), symmetric, float64.

    Raises:
        StageError: there are more pairs than fit, or none.
        CancelledError: the watch was asked to stop.
    """
    sums: list[csr_array] = []
    done = 0
    for numbers, document, own in _stretches(corpus, window, stretch_pairs):
        sums.append(_counted(numbers, document, own, window, len(corpus.words)))
        done += own
        while len(sums) > 1 and sums[-2].nnz <= 2 * sums[-1].nnz:
            last = sums.pop()
            sums[-1] = csr_array(sums[-1] + last)
        if sum(one.nnz for one in sums) > most:
            raise StageError(
                f"GloVe: more than {most:,} different pairs of words stand near each other: raise min_count, "
                "or lower max_words, window or training_bytes"
            )
        watch.progress(done, len(corpus.numbers), "words counted")
        if watch.cancelled():
            raise CancelledError("stopped on request; run again to train from here")
    while len(sums) > 1:
        last = sums.pop()
        sums[-1] = csr_array(sums[-1] + last)
    if not sums or not sums[0].nnz:
        raise StageError("GloVe: no two words stand near each other: documents of one word teach nothing")
    return coo_array(sums[0] + sums[0].T)


def _stretches(
    corpus: Corpus, window: int, stretch_pairs: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield words by stretches, the document of each, and how many are the stretch's own.

    Behind those stand the right neighbours of the last.
    """
    size = max(stretch_pairs // window, 1)
    for first in range(0, len(corpus.numbers), size):
        last = min(first + size + window, len(corpus.numbers))
        document = np.searchsorted(corpus.ends, np.arange(first, last), side="right")
        yield np.array(corpus.numbers[first:last]), document, min(size, len(corpus.numbers) - first)


def _counted(numbers: np.ndarray, document: np.ndarray, own: int, window: int, words: int) -> csr_array:
    """Return the counts of a stretch: its own words with those to their right, the smaller number first."""
    rows, columns, values = [], [], []
    for distance in range(1, min(window, len(numbers) - 1) + 1):
        lefts = min(own, len(numbers) - distance)
        left, right = numbers[:lefts], numbers[distance : distance + lefts]
        together = document[:lefts] == document[distance : distance + lefts]
        rows.append(np.minimum(left, right)[together])
        columns.append(np.maximum(left, right)[together])
        values.append(np.full(len(rows[-1]), 1 / distance))
    if not rows:
        return csr_array((words, words))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    return csr_array(coo_array((np.concatenate(values), pairs), shape=(words, words)))
