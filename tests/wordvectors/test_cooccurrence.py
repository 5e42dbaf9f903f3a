"""Pairs of near words: the same counts as by hand, however the text is cut into stretches."""

import numpy as np
import pytest

from lmtrain.errors import CancelledError, StageError
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors.cooccurrence import cooccurrences
from lmtrain.wordvectors.corpus import Corpus

WORDS = 7


def made(lengths: list[int]) -> Corpus:
    numbers = np.random.default_rng(0).integers(0, WORDS, sum(lengths)).astype(np.int32)
    counts = np.bincount(numbers, minlength=WORDS)
    return Corpus([f"w{n}" for n in range(WORDS)], counts, numbers, np.cumsum(lengths))


def by_hand(corpus: Corpus, window: int) -> np.ndarray:
    """As the definition has it: every word sees those to its left and right, at distance d by 1 / d."""
    counts = np.zeros((WORDS, WORDS))
    for document in np.split(corpus.numbers, corpus.ends[:-1]):
        for at, word in enumerate(document):
            for other in range(max(0, at - window), min(len(document), at + window + 1)):
                if other != at:
                    counts[word, document[other]] += 1 / abs(at - other)
    return counts


@pytest.mark.parametrize("lengths", [[30], [1, 0, 12, 2, 9, 1], [2]])
@pytest.mark.parametrize("window", [1, 3, 50])
@pytest.mark.parametrize("stretch_pairs", [1, 10, 1000])
def test_counts_are_those_of_the_definition(lengths, window, stretch_pairs):
    corpus = made(lengths)
    found = cooccurrences(corpus, window, SilentWatch(), stretch_pairs=stretch_pairs)
    assert found.toarray() == pytest.approx(by_hand(corpus, window))
    assert (found.data > 0).all()


def test_more_pairs_than_fit_are_refused_with_what_to_do():
    with pytest.raises(StageError, match=r"more than 5 different pairs .* raise min_count"):
        cooccurrences(made([30]), 3, SilentWatch(), most=5)


def test_documents_of_one_word_are_refused():
    with pytest.raises(StageError, match="no two words stand near each other"):
        cooccurrences(made([1, 1, 1]), 3, SilentWatch())


def test_it_stops_when_the_watch_says_so():
    class Impatient(SilentWatch):
        def cancelled(self):
            return True

    with pytest.raises(CancelledError):
        cooccurrences(made([30]), 3, Impatient())
