"""word2vec and fastText: gensim's vectors, in our order, the same bits each time."""

import numpy as np
import pytest
from gensim.models import FastText, Word2Vec

from lmtrain.errors import CancelledError
from lmtrain.text.word_vectors import WordVectors
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors import neighbors
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.corpus import Corpus


def corpus(documents: int = 60) -> Corpus:
    """Documents about one of two things."""
    chance = np.random.default_rng(0)
    words = ["a", *(f"red{n}" for n in range(6)), *(f"蓝{n}" for n in range(6))]
    texts = [np.concatenate([[0], chance.integers(1, 7, 12) + 6 * (n % 2), [0]]) for n in range(documents)]
    numbers = np.concatenate(texts).astype(np.int32)
    return Corpus(words, np.bincount(numbers), numbers, np.cumsum([len(text) for text in texts]))


def config(algorithm, **settings) -> WordVectorsConfig:
    pieces = {"buckets": 50} if algorithm == "fasttext" else {}
    return WordVectorsConfig(name="a", algorithm=algorithm, **{"vector_size": 12, **pieces, **settings})


def sentences(text: Corpus) -> list[list[str]]:
    return [[text.words[n] for n in text.numbers[first:end]] for first, end in text.spans(10_000)]


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
@pytest.mark.parametrize("skip_gram", [True, False])
def test_vectors_are_those_of_gensim_called_by_hand(algorithm, skip_gram):
    text = corpus()
    trained = neighbors.train(text, config(algorithm, skip_gram=skip_gram, epochs=1), SilentWatch())
    settings = {"vector_size": 12, "min_count": 1, "seed": 0, "workers": 1, "sg": int(skip_gram)}
    model = (FastText if algorithm == "fasttext" else Word2Vec)(
        **settings, **({"bucket": 50} if algorithm == "fasttext" else {})
    )
    model.build_vocab_from_freq(dict(zip(text.words, text.counts.tolist(), strict=True)))
    given = sentences(text)
    model.train(given, total_words=len(text.numbers), epochs=1, start_alpha=0.025, end_alpha=1e-4)
    assert np.array_equal(trained.vectors, np.stack([model.wv[word] for word in text.words]))
    ours = WordVectors(text.words, trained.vectors, text.counts, ngrams=trained.ngrams)
    cosine = dict(ours.nearest("red0", 20))
    for word in text.words[1:]:
        if word != "red0":
            assert cosine[word] == pytest.approx(model.wv.similarity("red0", word), abs=1e-5)
    if algorithm == "fasttext":
        assert np.abs(ours.of(["red99"])[0] - model.wv["red99"]).max() < 1e-6


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_words_of_one_thing_come_near_each_other(algorithm, monkeypatch):
    monkeypatch.setattr(neighbors, "STRETCH_WORDS", 200)  # several stretches in a pass
    more = {"learning_rate": 0.1, "epochs": 30, "sample": 0}
    trained = neighbors.train(corpus(), config(algorithm, **more), SilentWatch())
    directions = trained.vectors / np.linalg.norm(trained.vectors, axis=1, keepdims=True)
    cosines = directions @ directions.T
    red, blue = slice(1, 7), slice(7, 13)
    assert cosines[red, red].mean() > cosines[red, blue].mean() + 0.3
    if algorithm == "word2vec":
        assert len(trained.losses) == 30
        assert trained.losses[-1] < trained.losses[0]
    else:
        assert trained.losses == [], "gensim counts none"


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_the_same_seed_makes_the_same_bits_and_another_others(algorithm):
    first, again, other = (
        neighbors.train(corpus(), config(algorithm, seed=seed), SilentWatch()) for seed in (1, 1, 2)
    )
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert first.losses == again.losses
    assert first.vectors.tobytes() != other.vectors.tobytes()


def test_it_counts_to_its_end_and_stops_when_the_watch_says_so(monkeypatch):
    monkeypatch.setattr(neighbors, "STRETCH_WORDS", 200)

    class Watch(SilentWatch):
        def __init__(self, patience):
            self.told, self.patience = [], patience

        def progress(self, done, total, unit):
            self.told.append((done, total, unit))

        def cancelled(self):
            return len(self.told) > self.patience

    watch, text = Watch(1000), corpus()
    neighbors.train(text, config("word2vec", epochs=3), watch)
    assert watch.told[-1] == (3 * len(text.numbers), 3 * len(text.numbers), "words")
    assert len(watch.told) > 6
    with pytest.raises(CancelledError):
        neighbors.train(text, config("word2vec", epochs=3), Watch(1))
