"""Metrics as functions of summed statistics: what each task is measured by.

Every scored example leaves a vector of statistics that add up over examples, and every metric is a
function of such a sum, of any part of the test set or of any resample of it (`lmtrain.statistics`).
Stages that make scores and stages that show them meet here.

The statistics of one example, by task:

    language_modeling   nats, tokens, bytes, words
    masked_language_modeling  nats, tokens, right tokens
    bias                whether the stereotype is likelier, 1
    classification      three vectors over the classes in their sorted order, joined: predicted and
    multi_label         right, predicted, gold (of one label each with a single 1, or none)
    token_classification  for each type of entity in order three counts, right, predicted and gold,
                        by seqeval's default mode; the same by its strict mode; right words, and words
    question_answering  1, exact match, F1
    texts               (summaries, translations, answers, responses) 1, then for BLEU: lengths of
                        hypothesis and reference, matched n-grams (n = 1 to 4), n-grams of the
                        hypothesis (n = 1 to 4), then for chrF: n-grams of hypothesis, of reference,
                        matched (for each n = 1 to 6), then the F of ROUGE-1, ROUGE-2, ROUGE-L and
                        ROUGE-Lsum, exact match, and F1 of the words
    similarity          1; of the system's score and the true one: both, their product, their squares;
                        the same of their ranks
    memorization        for each number of repetitions (`canaries.TIMES`, behind 0): exposure, 1
    retrieval           1, 1 / rank of the passage, whether it is the first, among 5, among 10
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmtrain.canaries import TIMES
from lmtrain.errors import RecipeError

Array = np.ndarray

BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2
BLEU_COLUMNS = slice(1, 3 + 2 * BLEU_ORDER)
CHRF_COLUMNS = slice(BLEU_COLUMNS.stop, BLEU_COLUMNS.stop + 3 * CHRF_ORDER)
ROUGE_COLUMNS = {
    "rouge1": CHRF_COLUMNS.stop,
    "rouge2": CHRF_COLUMNS.stop + 1,
    "rougeL": CHRF_COLUMNS.stop + 2,
    "rougeLsum": CHRF_COLUMNS.stop + 3,
}
TEXT_STATISTICS = CHRF_COLUMNS.stop + len(ROUGE_COLUMNS) + 2
PAIR_COLUMNS = slice(1, 6)
RANK_COLUMNS = slice(6, 11)
RECALL_DEPTHS = (1, 5, 10)
EXPOSURES = {f"exposure_{times}": times for times in (0, *TIMES)}
"""Metrics of canaries by how often these stand in the training text."""


@dataclass(frozen=True)
class Metric:
    """A corpus metric.

    Attributes:
        name: as it stands in the scores.
        from_sums: sums of statistics, shape (..., statistics), to values, shape (...).
        higher_is_better: the sense in which one system beats another.
        scale: the best value of a bounded metric, 1 or 100; None for an unbounded one.
        title: how people call it.
    """

    name: str
    from_sums: Callable[[Array], Array]
    higher_is_better: bool
    scale: float | None
    title: str


def _bits_per_byte(sums: Array) -> Array:
    return sums[..., 0] / (sums[..., 2] * np.log(2))


def _perplexity(sums: Array) -> Array:
    return np.exp(sums[..., 0] / sums[..., 1])


def _word_perplexity(sums: Array) -> Array:
    with np.errstate(over="ignore"):  # a model that knows little of long words has no finite one
        return np.exp(sums[..., 0] / sums[..., 3])


def _masked_accuracy(sums: Array) -> Array:
    return sums[..., 2] / sums[..., 1]


def _first_by_second(sums: Array) -> Array:
    return sums[..., 0] / sums[..., 1]


def _mean_exposure(places: list[int]) -> Callable[[Array], Array]:
    """Return the mean exposure of the canaries of some numbers of repetitions, by their places."""

    def mean(sums: Array) -> Array:
        bits = sums[..., [2 * place for place in places]].sum(-1)
        count = sums[..., [2 * place + 1 for place in places]].sum(-1)
        return np.divide(bits, count, out=np.zeros_like(bits), where=count > 0)

    return mean


def _by_class(sums: Array) -> tuple[Array, Array, Array]:
    """Return right, predicted and gold counts, each of shape (..., classes)."""
    classes = sums.shape[-1] // 3
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes :]


def _accuracy(sums: Array) -> Array:
    right, _, gold = _by_class(sums)
    return right.sum(-1) / gold.sum(-1)


def _f1_of_classes(sums: Array) -> tuple[Array, Array]:
    """Return F1 of each class, 0 where nothing is to be found, and which classes occur at all."""
    right, predicted, gold = _by_class(sums)
    occurrences = predicted + gold
    return 2 * right / np.maximum(occurrences, 1), occurrences > 0


def _f1_macro(sums: Array) -> Array:
    """Mean F1 of the classes that occur, in gold or prediction: scikit-learn's default."""
    f1, occurs = _f1_of_classes(sums)
    return f1.sum(-1) / occurs.sum(-1)


def _f1_weighted(sums: Array) -> Array:
    f1, _ = _f1_of_classes(sums)
    gold = _by_class(sums)[2]
    return (f1 * gold).sum(-1) / gold.sum(-1)


def _f1_micro(sums: Array) -> Array:
    right, predicted, gold = _by_class(sums)
    return 2 * right.sum(-1) / (predicted.sum(-1) + gold.sum(-1))


def _bleu(sums: Array) -> Array:
    """BLEU in percent (Papineni et al. 2002) with exponential smoothing, as sacrebleu computes it."""
    columns = sums[..., BLEU_COLUMNS]
    hypothesis, reference = columns[..., 0], columns[..., 1]
    matched, total = columns[..., 2 : 2 + BLEU_ORDER], columns[..., 2 + BLEU_ORDER :]
    brevity = np.exp(np.minimum(0.0, 1 - reference / np.maximum(hypothesis, 1)))
    halvings = np.cumsum(matched == 0, axis=-1)  # each order without a match counts half as much again
    numerator = np.where(matched == 0, 0.5**halvings, matched)
    precisions = numerator / np.maximum(total, 1)
    score = 100 * brevity * np.exp(np.log(precisions).mean(-1))
    defined = (matched.sum(-1) > 0) & (total > 0).all(-1)
    return np.where(defined, score, 0.0)


def _chrf(sums: Array) -> Array:
    """Compute chrF2 in percent (Popović 2015) over the orders that both sides have, as sacrebleu does."""
    columns = sums[..., CHRF_COLUMNS].reshape(*sums.shape[:-1], CHRF_ORDER, 3)
    hypothesis, reference, matched = columns[..., 0], columns[..., 1], columns[..., 2]
    orders = ((hypothesis > 0) & (reference > 0)).sum(-1)
    present = (hypothesis > 0) & (reference > 0)
    precision = np.where(present, matched / np.maximum(hypothesis, 1), 0).sum(-1) / np.maximum(orders, 1)
    recall = np.where(present, matched / np.maximum(reference, 1), 0).sum(-1) / np.maximum(orders, 1)
    denominator = CHRF_BETA**2 * precision + recall
    score = 100 * (1 + CHRF_BETA**2) * precision * recall
    return np.divide(score, denominator, out=np.zeros_like(score), where=denominator > 0)


def _mean_of(column: int) -> Callable[[Array], Array]:
    return lambda sums: sums[..., column] / sums[..., 0]


def _precision_macro(sums: Array) -> Array:
    """Mean precision of the classes that occur; 0 of those that are never predicted."""
    right, predicted, gold = _by_class(sums)
    return (right / np.maximum(predicted, 1)).sum(-1) / (predicted + gold > 0).sum(-1)


def _recall_macro(sums: Array) -> Array:
    """Mean recall of the classes that occur; 0 of those that are only predicted."""
    right, predicted, gold = _by_class(sums)
    return (right / np.maximum(gold, 1)).sum(-1) / (predicted + gold > 0).sum(-1)


def _mcc(sums: Array) -> Array:
    """Matthews' correlation of several classes (Gorodkin 2004), as scikit-learn computes it."""
    right, predicted, gold = _by_class(sums)
    samples, all_right = gold.sum(-1), right.sum(-1)
    above = all_right * samples - (predicted * gold).sum(-1)
    below = (samples**2 - (predicted**2).sum(-1)) * (samples**2 - (gold**2).sum(-1))
    return np.divide(above, np.sqrt(below), out=np.zeros_like(above), where=below > 0)


def _entities(sums: Array, mode: int) -> tuple[Array, Array, Array]:
    """Return right, predicted and gold entities of each type, by seqeval's mode (0 default, 1 strict)."""
    types = (sums.shape[-1] - 2) // 6
    own = sums[..., mode * 3 * types : (mode + 1) * 3 * types].reshape(*sums.shape[:-1], types, 3)
    return own[..., 0], own[..., 1], own[..., 2]


def _entity_precision(sums: Array) -> Array:
    right, predicted, _ = (counts.sum(-1) for counts in _entities(sums, 0))
    return right / np.maximum(predicted, 1)


def _entity_recall(sums: Array) -> Array:
    right, _, gold = (counts.sum(-1) for counts in _entities(sums, 0))
    return right / np.maximum(gold, 1)


def _entity_f1(mode: int) -> Callable[[Array], Array]:
    def f1(sums: Array) -> Array:
        right, predicted, gold = (counts.sum(-1) for counts in _entities(sums, mode))
        return 2 * right / np.maximum(predicted + gold, 1)

    return f1


def _entity_f1_macro(sums: Array) -> Array:
    """Mean F1 of the types that occur in gold, as seqeval's macro average in its default mode."""
    right, predicted, gold = _entities(sums, 0)
    occurs = gold > 0
    f1 = 2 * right / np.maximum(predicted + gold, 1)
    return (f1 * occurs).sum(-1) / np.maximum(occurs.sum(-1), 1)


def _word_accuracy(sums: Array) -> Array:
    return sums[..., -2] / np.maximum(sums[..., -1], 1)


def _correlation(columns: slice) -> Callable[[Array], Array]:
    """Return Pearson's correlation from sums of x, y, xy, x² and y²."""

    def correlation(sums: Array) -> Array:
        count = sums[..., 0]
        x, y, product, x_squares, y_squares = np.moveaxis(sums[..., columns], -1, 0)
        above = count * product - x * y
        below = (count * x_squares - x**2) * (count * y_squares - y**2)
        return np.divide(above, np.sqrt(np.maximum(below, 0)), out=np.zeros_like(above), where=below > 1e-12)

    return correlation


_TEXT_METRICS = ("rougeL", "rouge1", "rouge2", "rougeLsum", "bleu", "chrf")

TASK_METRICS: dict[str, tuple[str, ...]] = {
    "language_modeling": ("bits_per_byte", "perplexity", "word_perplexity"),
    "masked_language_modeling": ("pseudo_perplexity", "masked_accuracy"),
    "classification": (
        "accuracy", "f1_macro", "f1_micro", "f1_weighted", "precision_macro", "recall_macro", "mcc",
    ),
    "multi_label": ("f1_micro", "f1_macro", "f1_weighted", "precision_macro", "recall_macro"),
    "token_classification": (
        "entity_f1", "entity_precision", "entity_recall", "entity_f1_macro", "entity_f1_strict",
        "word_accuracy",
    ),
    "question_answering": ("f1", "exact_match"),
    "generative_qa": ("f1", "exact_match", *_TEXT_METRICS),
    "summarization": _TEXT_METRICS,
    "translation": ("bleu", "chrf"),
    "generation": _TEXT_METRICS,
    "dialogue": _TEXT_METRICS,
    "similarity": ("spearman", "pearson"),
    "bias": ("stereotype_share",),
    "memorization": ("exposure", *EXPOSURES),
    "retrieval": ("mrr", *(f"recall_at_{depth}" for depth in RECALL_DEPTHS)),
}  # fmt: skip
"""The metrics of each task, the headline's first."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("bits_per_byte", _bits_per_byte, False, None, "Bits per byte"),
        Metric("perplexity", _perplexity, False, None, "Perplexity per token"),
        Metric("word_perplexity", _word_perplexity, False, None, "Perplexity per word"),
        Metric("pseudo_perplexity", _perplexity, False, None, "Pseudo-perplexity"),
        Metric("masked_accuracy", _masked_accuracy, True, 1.0, "Accuracy at masks"),
        Metric("accuracy", _accuracy, True, 1.0, "Accuracy"),
        Metric("f1_macro", _f1_macro, True, 1.0, "Macro F1"),
        Metric("f1_micro", _f1_micro, True, 1.0, "Micro F1"),
        Metric("f1_weighted", _f1_weighted, True, 1.0, "Weighted F1"),
        Metric("precision_macro", _precision_macro, True, 1.0, "Macro precision"),
        Metric("recall_macro", _recall_macro, True, 1.0, "Macro recall"),
        Metric("mcc", _mcc, True, 1.0, "Matthews' correlation"),
        Metric("entity_f1", _entity_f1(0), True, 1.0, "Entity F1"),
        Metric("entity_precision", _entity_precision, True, 1.0, "Entity precision"),
        Metric("entity_recall", _entity_recall, True, 1.0, "Entity recall"),
        Metric("entity_f1_macro", _entity_f1_macro, True, 1.0, "Macro entity F1"),
        Metric("entity_f1_strict", _entity_f1(1), True, 1.0, "Entity F1, strict"),
        Metric("word_accuracy", _word_accuracy, True, 1.0, "Accuracy of words"),
        Metric("f1", _mean_of(-1), True, 1.0, "F1 of answers"),
        Metric("exact_match", _mean_of(-2), True, 1.0, "Exact match"),
        *(
            Metric(name, _mean_of(column), True, 1.0, title)
            for (name, column), title in zip(
                ROUGE_COLUMNS.items(), ("ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"), strict=True
            )
        ),
        Metric("bleu", _bleu, True, 100.0, "BLEU"),
        Metric("chrf", _chrf, True, 100.0, "chrF"),
        Metric("spearman", _correlation(RANK_COLUMNS), True, 1.0, "Spearman's correlation"),
        Metric("pearson", _correlation(PAIR_COLUMNS), True, 1.0, "Pearson's correlation"),
        Metric("stereotype_share", _first_by_second, False, 1.0, "Share of stereotypes"),
        Metric("exposure", _mean_exposure([*range(1, len(EXPOSURES))]), False, None, "Exposure in bits"),
        *(
            Metric(name, _mean_exposure([place]), False, None, f"Exposure after {times} times, in bits")
            for place, (name, times) in enumerate(EXPOSURES.items())
        ),
        Metric("mrr", _mean_of(1), True, 1.0, "Mean reciprocal rank"),
        *(
            Metric(f"recall_at_{depth}", _mean_of(2 + place), True, 1.0, f"Recall at {depth}")
            for place, depth in enumerate(RECALL_DEPTHS)
        ),
    )
}
"""All metrics by name."""


def metrics_of(task: str) -> list[Metric]:
    """Return the metrics of a task, the headline's first."""
    return [METRICS[name] for name in TASK_METRICS[task]]


def metric_named(name: str) -> Metric:
    """Return a metric.

    Raises:
        RecipeError: there is none of that name; the text lists those that are.
    """
    if name not in METRICS:
        raise RecipeError(f"no metric {name!r}; there are: {', '.join(METRICS)}")
    return METRICS[name]
