"""Vectors of texts on the test split: how well their cosine tells what means the same, or answers what.

A text's vector is a model's, or the mean of its words' static vectors. Baselines are cosines of TF-IDF
vectors, learned on the training texts.
"""

from collections.abc import Sequence
from importlib import metadata

import numpy as np
import torch
from scipy.stats import rankdata
from transformers import AutoModel

from lmtrain.encoding.rows import Row
from lmtrain.encoding.texts import encode_text
from lmtrain.evaluation.classification import tfidf_vectorizer
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.evaluation.scored import Scored, scored_examples
from lmtrain.evaluation.static_vectors import vectors_of_texts
from lmtrain.manifest import Artifact
from lmtrain.metrics import RECALL_DEPTHS, TASK_METRICS
from lmtrain.modeling.pooling import pooled
from lmtrain.text.word_vectors import WEIGHTING, WordVectors

TOKENS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""

COLUMNS = {"similarity": ("sentence1", "sentence2"), "retrieval": ("query", "passage")}
"""The two texts of an example, by task."""


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a model that was fine-tuned for vectors, or any encoder as it is (then its tokens' mean)."""
    examples = labelled_examples(labelled, "test", context.removed)
    loaded = context.load(AutoModel, context.weights(system))
    first, second = _texts(examples, context)
    vectors = vectors_of(loaded, [*first, *second], context)
    return _scored(examples, vectors[: len(first)], vectors[len(first) :], context)


def vectors_of(loaded: Loaded, texts: Sequence[str], context: Context) -> np.ndarray:
    """Return the vector of each text, of length 1, shape (texts, width)."""
    own = (getattr(loaded.model.config, "task_specific_params", None) or {}).get(context.config.task, {})
    longest = own.get("max_length") or min(512, loaded.model.config.max_position_embeddings)
    pooling = own.get("pooling", "mean")
    rows = [
        Row({"input_ids": np.array(encode_text(loaded.tokenizer, text, longest) or [loaded.pad])})
        for text in texts
    ]
    found = np.zeros((len(texts), loaded.model.config.hidden_size))

    def work(batch: list[int]) -> None:
        given = loaded.batch([rows[index] for index in batch])
        hidden = loaded.model(**given).last_hidden_state
        vectors = pooled(hidden, given["attention_mask"], pooling).float()
        found[batch] = torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()

    batches = batches_by_length([row.tokens for row in rows], TOKENS_AT_ONCE)
    run_batches(batches, work, context.watch, "texts", context.threads)
    return found


def score_word_vectors(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score cosines of the weighted means of static vectors; a text without known words is like none."""
    examples = labelled_examples(labelled, "test", context.removed)
    vectors = WordVectors.load(system.folder("vectors"))
    first, second = (
        _of_length_one(vectors_of_texts(vectors, texts, context)) for texts in _texts(examples, context)
    )
    return _scored(examples, first, second, context, f"|words:mean,{WEIGHTING}")


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return vectors / np.where(lengths, lengths, 1)


def score_tfidf_cosine(labelled: Artifact, context: Context) -> Scored:
    """Score cosines of TF-IDF vectors of words, in Chinese of characters, and their pairs."""
    training = labelled_examples(labelled, "train", context.removed)
    examples = labelled_examples(labelled, "test", context.removed)
    vectorizer = tfidf_vectorizer(context.config.tokens_of)
    vectorizer.fit([text for texts in _texts(training, context) for text in texts])
    first, second = (vectorizer.transform(texts) for texts in _texts(examples, context))
    about = f"|sklearn:{metadata.version('scikit-learn')}"
    return _scored(examples, first, second, context, about)


def _texts(examples: Sequence[Example], context: Context) -> tuple[list[str], list[str]]:
    first, second = COLUMNS[context.config.task]
    return [example[first] for example in examples], [example[second] for example in examples]


def similarity_statistics(scores: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the statistics of each pair, shape (pairs, 11); see `lmtrain.metrics`.

    Ranks are those among all pairs: in a resample they'd differ by what is drawn twice, which the interval
    of Spearman's correlation leaves out.
    """
    rows = [np.ones(len(scores))]
    for x, y in ((scores, true), (rankdata(scores), rankdata(true))):
        x, y = (x - x.mean(), y - y.mean())  # no digits are lost in the squares
        rows += [x, y, x * y, x * x, y * y]
    return np.stack(rows, axis=1)


def retrieval_statistics(ranks: np.ndarray) -> np.ndarray:
    """Return the statistics of each query, shape (queries, 5).

    Args:
        ranks: of each query's passage among all, from 1.
    """
    found = [ranks <= depth for depth in RECALL_DEPTHS]
    return np.stack([np.ones(len(ranks)), 1 / ranks, *found], axis=1).astype(np.float64)


def ranks_of(similar: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the rank of each query's passage, from 1; what is as near stands before it.

    Args:
        similar: of each query and passage, shape (queries, passages).
        own: which passage is a query's, shape (queries,).
    """
    mine = similar[np.arange(len(similar)), own][:, None]
    return (similar >= mine).sum(axis=1)


def _scored(examples: Sequence[Example], first, second, context: Context, about: str = "") -> Scored:
    task = context.config.task
    if task == "similarity":
        cosines = np.asarray(
            (first.multiply(second) if hasattr(first, "multiply") else first * second).sum(axis=1)
        )
        return scored_similarities(examples, cosines.reshape(-1), f"cosine{about}")
    passages = list(dict.fromkeys(example["passage"] for example in examples))
    number = {passage: place for place, passage in enumerate(passages)}
    own = np.array([number[example["passage"]] for example in examples])
    where = np.array([int(np.flatnonzero(own == place)[0]) for place in range(len(passages))])
    similar = first @ second[where].T
    similar = similar.toarray() if hasattr(similar, "toarray") else similar
    ranks = ranks_of(similar, own)
    signatures = dict.fromkeys(TASK_METRICS[task], f"cosine|passages:{len(passages)}{about}")
    return scored_examples(examples, [str(rank) for rank in ranks], retrieval_statistics(ranks), signatures)


def scored_similarities(examples: Sequence[Example], scores: np.ndarray, signature: str) -> Scored:
    """Return the scores of what a system says of pairs, shape (pairs,), on any scale."""
    statistics = similarity_statistics(scores, np.array([example["score"] for example in examples]))
    return scored_examples(
        examples,
        [f"{score:.4f}" for score in scores],
        statistics,
        dict.fromkeys(TASK_METRICS["similarity"], signature),
    )
