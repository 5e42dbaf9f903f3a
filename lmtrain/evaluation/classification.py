"""Classifiers on the test split of a labelled set: a model of ours, the majority class, TF-IDF.

In come examples with one label or several, out come predictions and, for each
example, three vectors over the classes (predicted and right, predicted, gold), from
whose sums accuracy and every average of precision, recall and F1 follow.
"""

from collections import Counter
from collections.abc import Sequence
from importlib import metadata

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from threadpoolctl import threadpool_limits
from transformers import AutoModelForSequenceClassification

from lmtrain.encoding.rows import Row
from lmtrain.encoding.texts import encode_pair
from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, load, run_batches
from lmtrain.evaluation.scored import Scored, scored_examples
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
    loaded = load(AutoModelForSequenceClassification, system.folder("weights"), context.device)
    return _scored(examples, predict(loaded, examples, context), context)


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
    return _scored(examples, [majority] * len(examples), context)


def score_tfidf(labelled: Artifact, context: Context) -> Scored:
    """Score logistic regression on TF-IDF of words and pairs of words, in Chinese of characters and pairs."""
    training = _training(labelled, context)
    examples = labelled_examples(labelled, "test", context.removed)
    vectorizer = tfidf_vectorizer(context.config.tokens_of)
    # lbfgs starts from zero and draws nothing: the same data give the same model
    regression = LogisticRegression(C=INVERSE_REGULARIZATION, tol=TOLERANCE, max_iter=1000)
    texts, asked = ([text_of(example) for example in some] for some in (training, examples))
    with threadpool_limits(1):  # the products are too small to share: threads only wait for each other
        if context.config.task == "multi_label":
            marks = MultiLabelBinarizer()
            targets = marks.fit_transform([labels_of(example) for example in training])
            model = make_pipeline(vectorizer, OneVsRestClassifier(regression)).fit(texts, targets)
            found = marks.inverse_transform(model.predict(asked))
            predictions = [list(labels) for labels in found]
        else:
            model = make_pipeline(vectorizer, regression)
            model.fit(texts, [example["label"] for example in training])
            predictions = [[label] for label in model.predict(asked).tolist()]
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
    training = labelled_examples(labelled, "train", context.removed)
    classes = {label for example in training for label in labels_of(example)}
    if len(classes) < 2:
        raise StageError(
            f"{labelled.address.label}: all training examples are {next(iter(classes), '')!r}; "
            "classification needs two classes"
        )
    return training


def _scored(
    examples: Sequence[Example], predictions: Sequence[Labels], context: Context, about: str = ""
) -> Scored:
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
