"""Classifiers on the test split of a labelled set: a model of ours, the majority class, TF-IDF.

In come examples with labels, out come predictions and, for each example, three
one-hot vectors over the classes (predicted and right, predicted, gold), from
whose sums accuracy and every average of F1 follow.
"""

from collections import Counter
from collections.abc import Sequence
from importlib import metadata

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits
from transformers import AutoModelForSequenceClassification

from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, load, padded, run_batches
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.statistics import metrics_of

TOKENS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""

MAX_FEATURES = 100_000
"""The most frequent n-grams are kept: more help little and make the regression slow."""

INVERSE_REGULARIZATION = 10.0
"""C of the logistic regression: weaker than the default, which is too strong for TF-IDF's short vectors."""

BY_CHARACTERS = frozenset({"zh", "ja", "ko"})
"""Languages without spaces between words, and Korean, whose words carry their particles with them."""

TOLERANCE = 1e-3
"""Gradient at which the regression ends: a tenth of that costs twice the time and changes no accuracy."""


def statistics_of_predictions(
    predictions: Sequence[str], gold: Sequence[str], classes: Sequence[str]
) -> np.ndarray:
    """Return the statistics of each example, shape (examples, 3 * classes).

    Args:
        predictions: predicted labels.
        gold: true labels.
        classes: all labels that occur in either, in the order of the columns.
    """
    column = {label: index for index, label in enumerate(classes)}
    predicted = np.eye(len(classes))[[column[label] for label in predictions]]
    true = np.eye(len(classes))[[column[label] for label in gold]]
    return np.concatenate([predicted * true, predicted, true], axis=1)


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned classifier."""
    examples = labelled_examples(labelled, "classification", "test", context.removed)
    loaded = load(AutoModelForSequenceClassification, system.folder("weights"), context.device)
    predictions = predict(loaded, [example.text for example in examples], context)
    return _scored(examples, predictions, context)


def predict(loaded: Loaded, texts: Sequence[str], context: Context) -> list[str]:
    """Return the label of each text, as the model's folder names it.

    Raises:
        StageError: the model doesn't say how long its inputs may be.
    """
    config = loaded.model.config
    settings = (getattr(config, "task_specific_params", None) or {}).get("classification", {})
    longest = settings.get("max_length") or getattr(config, "max_position_embeddings", None)
    if not longest:
        raise StageError("the classifier's config names no max_length: task_specific_params.classification")
    rows = [row or [loaded.end] for row in loaded.encode(texts, truncation=True, max_length=longest)]
    labels: list[str] = [""] * len(rows)

    def work(batch: list[int]) -> None:
        ids, mask = padded([rows[index] for index in batch], loaded.pad, "right")
        logits = loaded.model(input_ids=ids.to(loaded.device), attention_mask=mask.to(loaded.device)).logits
        for index, label in zip(batch, logits.argmax(dim=-1).tolist(), strict=True):
            labels[index] = config.id2label[label]

    batches = batches_by_length([*map(len, rows)], TOKENS_AT_ONCE)
    run_batches(batches, work, context.watch, "examples", context.threads)
    return labels


def score_majority(labelled: Artifact, context: Context) -> Scored:
    """Score the class that most training examples have; of several the first by name."""
    counts = Counter(example.target for example in _training(labelled, context))
    majority = min(counts, key=lambda label: (-counts[label], label))
    examples = labelled_examples(labelled, "classification", "test", context.removed)
    return _scored(examples, [majority] * len(examples), context)


def score_tfidf(labelled: Artifact, context: Context) -> Scored:
    """Score logistic regression on TF-IDF of words and pairs of words, in Chinese of characters and pairs."""
    training = _training(labelled, context)
    examples = labelled_examples(labelled, "classification", "test", context.removed)
    vectorizer = tfidf_vectorizer(context.config.tokens_of)
    # lbfgs starts from zero and draws nothing: the same data give the same model
    regression = LogisticRegression(C=INVERSE_REGULARIZATION, tol=TOLERANCE, max_iter=1000)
    model = make_pipeline(vectorizer, regression)
    with threadpool_limits(1):  # the products are too small to share: threads only wait for each other
        model.fit([example.text for example in training], [example.target for example in training])
    predictions = model.predict([example.text for example in examples]).tolist()
    recipe = f"ngrams:{vectorizer.analyzer}{vectorizer.ngram_range[0]}-{vectorizer.ngram_range[1]}"
    return _scored(examples, predictions, context, f"|{recipe}|sklearn:{metadata.version('scikit-learn')}")


def tfidf_vectorizer(language: str) -> TfidfVectorizer:
    """Return the vectorizer of a language; the units of Chinese, Japanese and Korean are characters."""
    shared = {"ngram_range": (1, 2), "sublinear_tf": True, "max_features": MAX_FEATURES}
    if language in BY_CHARACTERS:
        return TfidfVectorizer(analyzer="char", **shared)
    words = {"token_pattern": r"\w+"}  # words of one letter too, which the default leaves out
    return TfidfVectorizer(**words, **shared)


def _training(labelled: Artifact, context: Context) -> list[Example]:
    """Return the training examples.

    Raises:
        StageError: they hold one class only.
    """
    training = labelled_examples(labelled, "classification", "train", context.removed)
    if len({example.target for example in training}) < 2:
        only = training[0].target
        raise StageError(
            f"{labelled.address.label}: all training examples are {only!r}; classification needs two classes"
        )
    return training


def _scored(
    examples: Sequence[Example], predictions: Sequence[str], context: Context, about: str = ""
) -> Scored:
    gold = [example.target for example in examples]
    classes = sorted({*gold, *predictions})
    signature = f"classes:{len(set(gold))}{about}"
    return Scored(
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=predictions,
        statistics=statistics_of_predictions(predictions, gold, classes),
        signatures={
            metric.name: f"average:{metric.name.removeprefix('f1_')}|{signature}"
            if metric.name.startswith("f1_")
            else signature
            for metric in metrics_of(context.config.task)
        },
        stats={"classes": classes},
    )
