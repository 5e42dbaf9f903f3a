"""The stage `train_vectors`: curated documents to static vectors of words.

In: `documents`, whose training split is read. Out: an artifact `word_vectors`
(`lmtrain.text.word_vectors` says what lies in it), and in its stats what was read,
how the loss fell, and which words came to stand near which. It runs in the calling
process on one thread, which is what makes it repeatable.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.config import Resources
from lmtrain.manifest import Artifact
from lmtrain.removals.entries import open_removals
from lmtrain.removals.resolving import removals_of, removed_documents
from lmtrain.schemas import strings
from lmtrain.text.word_vectors import WordVectors
from lmtrain.watch import Watch
from lmtrain.wordvectors import glove, neighbors
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.corpus import Corpus, read_corpus
from lmtrain.wordvectors.trained import Trained

TRAINERS = {"word2vec": neighbors.train, "fasttext": neighbors.train, "glove": glove.train}

SHARD = "vectors"

TOO_COMMON = 2e-3
"""Words of a larger share of the text, such as articles, aren't shown with what is near them."""

SHOWN_WORDS = 8
SHOWN_NEAR = 5
SHORTEST_SHOWN = 2
"""Characters: single letters and digits tell a reader little."""


def build(
    inputs: dict[str, list[str]], config: WordVectorsConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Train static vectors; return the URL of their manifest.

    Args:
        inputs: `documents`, and `removals`, if any: what they list isn't trained on.
        config: which vectors.
        root: where artifacts lie.
        resources: not used: one thread makes the same bits everywhere.
        watch: told what is read, counted and trained on.

    Raises:
        StageError: there is too little text, or for GloVe too much.
    """

    def work(attempt: Attempt) -> Built:
        result = attempt.finished(SHARD)
        if result is None:
            with attempt.shard(SHARD) as output:
                _train(inputs, config, output, watch)
            result = output.result
            assert result is not None, "just recorded"
        return Built(result.files, result.stats)

    return build_once(config, inputs, root, work)


def _train(
    inputs: dict[str, list[str]], config: WordVectorsConfig, output: ShardOutput, watch: Watch
) -> None:
    started = time.monotonic()
    documents = [Artifact(url) for url in inputs["documents"]]
    listed = removals_of(inputs)
    removed = strings(removed_documents(open_removals(listed), documents)["id"]) if listed else []
    with tempfile.TemporaryDirectory(prefix="lmtrain-") as folder:
        corpus = read_corpus(documents, config, frozenset(removed), Path(folder), watch)
        trained = TRAINERS[config.algorithm](corpus, config, watch)
    vectors = _word_vectors(corpus, trained, config)
    vectors.save(output.path("vectors/vocabulary.json").parent)
    output.add_folder("vectors", "vectors")
    output.stats = {
        "algorithm": config.algorithm,
        "words": len(corpus.words),
        "vector_size": config.vector_size,
        "documents": len(corpus.ends),
        "occurrences": len(corpus.numbers),
        **trained.stats,
        "losses": [float(f"{loss:.6g}") for loss in trained.losses],
        "near": near(vectors),
        "seconds_training": round(time.monotonic() - started, 2),
    }


def _word_vectors(corpus: Corpus, trained: Trained, config: WordVectorsConfig) -> WordVectors:
    return WordVectors(
        words=corpus.words,
        vectors=trained.vectors,
        counts=corpus.counts,
        segmenter=config.segmenter,
        lowercase=config.lowercase,
        ngrams=trained.ngrams,
        min_n=config.min_n,
        max_n=config.max_n,
    )


def near(vectors: WordVectors) -> list[dict[str, Any]]:
    """Return the most frequent words that say something, each with the words nearest to it."""
    most = TOO_COMMON * vectors.counts.sum()
    counts = {
        word: count
        for word, count in zip(vectors.words, vectors.counts.tolist(), strict=True)
        if len(word) >= SHORTEST_SHOWN and word.isalpha()
    }
    telling = [word for word, count in counts.items() if count <= most] or list(counts)
    return [
        {"word": word, "near": [other for other, _ in vectors.nearest(word, SHOWN_NEAR)]}
        for word in telling[:SHOWN_WORDS]
    ]
