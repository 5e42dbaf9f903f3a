"""Classifiers on the test split of a labelled set: a model, static vectors, the majority class, TF-IDF.

In come examples with one label or several, out come predictions and, for each
example, three vectors over the classes (predicted and right, predicted, gold), from
whose sums accuracy and every average of precision, recall and F1 follow.
"""

from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from threadpoolctl import threadpool_limits
from transformers import AutoModelForSequenceClassification

from lmtrain.encoding.rows import Row
from lmtrain.encoding.texts import encode_pair
from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.evaluation.scored import Scored, scored_examples
from lmtrain.evaluation.static_vectors import vectors_of_texts
from lmtrain.manifest import Artifact
from lmtrain.metrics import metrics_of
from lmtrain.text.word_vectors import WEIGHTING, WordVectors

TOKENS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""

MAX_FEATURES = 100_000
"""The most frequent n-grams are kept: more help little and make the regression slow."""

INVERSE_REGULARIZATION = 10.0
"""C of the logistic regression: weaker than the default, which is too strong for TF-IDF's short vectors."""

VECTORS_INVERSE_REGULARIZATION = 0.1
"""C on static vectors: of 0.01 to 10 the best on documentation; Chinese reviews tell none apart."""

BY_CHARACTERS = frozenset({"zh", "ja", "ko"})
"""Languages without spaces between words, and Korean, whose words carry their particles with them."""

TOLERANCE = 1e-3
"""Gradient at which the regression ends: a tenth of that costs twice the time and changes no accuracy."""

SEPARATOR = ", "
"""Between several labels of one example, where they are shown."""

Labels = list[str]
"""Of one example: one of a classification, any number of several."""


def labels_of(example: Example) -> Labels:
    """Return the true labels of an example."""
    return [example["label"]] if "label" in example else list(example["labels"])


def text_of(example: Example) -> str:
    """Return what a classifier of n-grams reads: the text, and its second one if it has one."""
    second = example.get("text_pair")
    return example["text"] if second is None else f"{example['text']}\n{second}"


def statistics_of_predictions(
    predictions: Sequence[Labels], gold: Sequence[Labels], classes: Sequence[str]
) -> np.ndarray:
    """Return the statistics of each example, shape (examples, 3 * classes).

    Args:
        predictions: predicted labels of each.
        gold: true labels of each.
        classes: all labels that occur in either, in the order of the columns.
    """
    predicted, true = (_marks(labels, classes) for labels in (predictions, gold))
    return np.concatenate([predicted * true, predicted, true], axis=1)


def _marks(labels: Sequence[Labels], classes: Sequence[str]) -> np.ndarray:
    column = {label: index for index, label in enumerate(classes)}
    marks = np.zeros((len(labels), len(classes)))
    for row, own in enumerate(labels):
        marks[row, [column[label] for label in own]] = 1
    return marks


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned classifier."""
    examples = labelled_examples(labelled, "test", context.removed)
    loaded = context.load(AutoModelForSequenceClassification, context.weights(system))
    return scored_labels(examples, predict(loaded, examples, context), context)


def predict(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[Labels]:
    """Return the labels of each example, as the model's folder names them.

    Raises:
        StageError: the model doesn't say how long its inputs may be.
    """
    config = loaded.model.config
    several = config.problem_type == "multi_label_classification"
    longest = loaded.params(context.config.task)["max_length"]
    rows = [_row(loaded, example, longest) for example in examples]
    labels: list[Labels] = [[] for _ in rows]

    def work(batch: list[int]) -> None:
        logits = loaded.model(**loaded.batch([rows[index] for index in batch])).logits
        chosen = logits > 0 if several else logits == logits.max(dim=-1, keepdim=True).values
        for index, row in zip(batch, chosen.tolist(), strict=True):
            numbers = [number for number, is_chosen in enumerate(row) if is_chosen]
            labels[index] = [config.id2label[number] for number in (numbers if several else numbers[:1])]

    batches = batches_by_length([row.tokens for row in rows], TOKENS_AT_ONCE)
    run_batches(batches, work, context.watch, "examples", context.threads)
    return labels


def _row(loaded: Loaded, example: Example, longest: int) -> Row:
    arrays = encode_pair(loaded.tokenizer, example["text"], example.get("text_pair"), longest)
    if not len(arrays["input_ids"]):
        arrays = {"input_ids": np.array([loaded.end])}
    return Row(arrays)


def score_majority(labelled: Artifact, context: Context) -> Scored:
    """Score the class that most training examples have; of several the first by name.

    Of several labels those count as found that more than half of the training examples have, or the
    most frequent one if none does.
    """
    training = [labels_of(example) for example in _training(labelled, context)]
    counts = Counter(label for labels in training for label in labels)
    majority = [min(counts, key=lambda label: (-counts[label], label))]
    if context.config.task == "multi_label":
        majority = sorted(label for label in counts if 2 * counts[label] > len(training)) or majority
    examples = labelled_examples(labelled, "test", context.removed)
    return scored_labels(examples, [majority] * len(examples), context)


def score_tfidf(labelled: Artifact, context: Context) -> Scored:
    """Score logistic regression on TF-IDF of words and pairs of words, in Chinese of characters and pairs."""
    training = _training(labelled, context)
    examples = labelled_examples(labelled, "test", context.removed)
    vectorizer = tfidf_vectorizer(context.config.tokens_of)
    texts, asked = ([text_of(example) for example in some] for some in (training, examples))
    predictions = _predict_by_regression(
        vectorizer.fit_transform(texts), training, vectorizer.transform(asked), INVERSE_REGULARIZATION
    )
    recipe = f"ngrams:{vectorizer.analyzer}{vectorizer.ngram_range[0]}-{vectorizer.ngram_range[1]}"
    return scored_labels(
        examples, predictions, context, f"|{recipe}|sklearn:{metadata.version('scikit-learn')}"
    )


def score_word_vectors(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score logistic regression on the weighted mean of the static vectors of a text's words."""
    training = _training(labelled, context)
    examples = labelled_examples(labelled, "test", context.removed)
    vectors = WordVectors.load(system.folder("vectors"))
    features, asked = (
        vectors_of_texts(vectors, [text_of(example) for example in some], context)
        for some in (training, examples)
    )
    scaler = StandardScaler()
    predictions = _predict_by_regression(
        scaler.fit_transform(features), training, scaler.transform(asked), VECTORS_INVERSE_REGULARIZATION
    )
    about = f"|words:mean,{WEIGHTING}|sklearn:{metadata.version('scikit-learn')}"
    return scored_labels(examples, predictions, context, about)


def _predict_by_regression(
    features: Any, training: Sequence[Example], asked: Any, inverse_regularization: float
) -> list[Labels]:
    """Fit logistic regression, one for each label where examples have several; return labels of those asked.

    Args:
        features: of the training examples, shape (examples, features), sparse or not.
        training: examples with labels.
        asked: features of others.
        inverse_regularization: C.
    """
    # lbfgs starts from zero and draws nothing: the same data give the same model
    regression = LogisticRegression(C=inverse_regularization, tol=TOLERANCE, max_iter=1000)
    with threadpool_limits(1):  # the products are too small to share: threads only wait for each other
        if "labels" in training[0]:
            marks = MultiLabelBinarizer()
            targets = marks.fit_transform([labels_of(example) for example in training])
            found = OneVsRestClassifier(regression).fit(features, targets).predict(asked)
            return [list(labels) for labels in marks.inverse_transform(found)]
        regression.fit(features, [example["label"] for example in training])
        return [[label] for label in np.asarray(regression.predict(asked)).tolist()]


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
    training = labelled_examples(labelled, "train", context.removed)
    classes = {label for example in training for label in labels_of(example)}
    if len(classes) < 2:
        raise StageError(
            f"{labelled.address.label}: all training examples are {next(iter(classes), '')!r}; "
            "classification needs two classes"
        )
    return training


def scored_labels(
    examples: Sequence[Example], predictions: Sequence[Labels], context: Context, about: str = ""
) -> Scored:
    """Return the scores of predicted labels; `about` tells in the signature how they came about."""
    gold = [labels_of(example) for example in examples]
    seen = {label for labels in gold for label in labels}
    classes = sorted(seen.union(*predictions))
    signature = f"classes:{len(seen)}{about}"
    averages = ("f1_", "precision_", "recall_")
    return scored_examples(
        examples,
        [SEPARATOR.join(labels) for labels in predictions],
        statistics_of_predictions(predictions, gold, classes),
        {
            metric.name: f"average:{metric.name.rpartition('_')[2]}|{signature}"
            if metric.name.startswith(averages)
            else signature
            for metric in metrics_of(context.config.task)
        },
        classes=classes,
    )
