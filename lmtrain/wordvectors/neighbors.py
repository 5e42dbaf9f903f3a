"""word2vec and fastText by gensim: vectors from which a word's neighbours are predicted.

In: a corpus as numbers. Out: a vector for each word, for fastText also one for
each bucket of pieces, and for word2vec the loss of each pass (gensim counts none
for fastText). (Mikolov et al. 2013; Bojanowski et al. 2017.)

gensim is fed a stretch of text at a time, with the learning rates at its two
ends: so a person can watch and stop it, and its sum of losses, which is a float32,
stays small enough to add to. One worker and a hash of our own make the same bits
from the same text.
"""

import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
from gensim.models import FastText, Word2Vec
from gensim.models.word2vec import MAX_WORDS_IN_BATCH

from lmtrain.errors import CancelledError
from lmtrain.watch import Watch
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.corpus import Corpus
from lmtrain.wordvectors.trained import Trained

STRETCH_WORDS = 1_000_000
"""Words between two looks at the watch. fastText works out all words' vectors at the end of each stretch."""

LAST_RATE = 1e-4
"""The learning rate of the last step, as in gensim and word2vec.c."""


def train(corpus: Corpus, config: WordVectorsConfig, watch: Watch) -> Trained:
    """Train word2vec or fastText.

    Args:
        corpus: the text.
        config: algorithm and settings.
        watch: told the words that are done.

    Raises:
        CancelledError: the watch was asked to stop.
    """
    with _only_errors_are_logged():
        model = _model(corpus, config)
        losses = [_one_pass(model, corpus, number, config, watch) for number in range(config.passes)]
    rows = [model.wv.key_to_index[word] for word in corpus.words]
    vectors = np.array(model.wv.vectors[rows], dtype=np.float32)
    by = {"gensim": metadata.version("gensim")}
    if config.algorithm == "word2vec":
        return Trained(vectors, losses, stats=by)
    return Trained(vectors, [], np.array(model.wv.vectors_ngrams, dtype=np.float32), stats=by)


def _model(corpus: Corpus, config: WordVectorsConfig) -> Any:
    shared = {
        "vector_size": config.vector_size,
        "window": config.window,
        "min_count": 1,  # rare words are left out already
        "sg": int(config.skip_gram),
        "negative": config.negative,
        "sample": config.sample,
        "alpha": config.rate,
        "min_alpha": min(LAST_RATE, config.rate),
        "seed": config.seed,
        "workers": 1,
        "hashfxn": _hash,
    }
    model: Any
    if config.algorithm == "word2vec":
        model = Word2Vec(**shared)
    else:
        model = FastText(min_n=config.min_n, max_n=config.max_n, bucket=config.buckets, **shared)
    model.lifecycle_events = None  # gensim's diary: of no use, and it would grow with every stretch
    model.build_vocab_from_freq(dict(zip(corpus.words, corpus.counts.tolist(), strict=True)))
    return model


def _hash(word: str) -> int:
    """Return a hash that is the same in every process, as Python's own isn't."""
    return zlib.crc32(word.encode())


def _one_pass(model: Any, corpus: Corpus, number: int, config: WordVectorsConfig, watch: Watch) -> float:
    """Train on the whole text once; return the loss for each word of it, in nats."""
    total = len(corpus.numbers)
    done, lost = 0, 0.0
    for sentences in _stretches(corpus):
        size = sum(map(len, sentences))
        begins, ends = (
            _rate(config, (number + min(1.0, at / total)) / config.passes) for at in (done, done + size)
        )
        about = {"compute_loss": True} if config.algorithm == "word2vec" else {}
        model.train(sentences, total_words=size, epochs=1, start_alpha=begins, end_alpha=ends, **about)
        lost += float(model.running_training_loss)
        done += size
        watch.progress(number * total + done, config.passes * total, "words")
        if watch.cancelled():
            raise CancelledError("stopped on request; run again to train from here")
    return lost / max(done, 1)


def _rate(config: WordVectorsConfig, share: float) -> float:
    """Return the learning rate once a share of the training is done."""
    last = min(LAST_RATE, config.rate)
    return config.rate + (last - config.rate) * share


def _stretches(corpus: Corpus) -> Iterator[list[list[str]]]:
    """Yield the text as lists of sentences, which gensim would cut where they are longer than its limit."""
    sentences: list[list[str]] = []
    size = 0
    for first, end in corpus.spans(MAX_WORDS_IN_BATCH):
        sentences.append([corpus.words[number] for number in corpus.numbers[first:end].tolist()])
        size += end - first
        if size >= STRETCH_WORDS:
            yield sentences
            sentences, size = [], 0
    if sentences:
        yield sentences


@contextmanager
def _only_errors_are_logged() -> Iterator[None]:
    """Keep gensim's advice, which is for who calls it once by hand, from the log."""
    logger = logging.getLogger("gensim")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
