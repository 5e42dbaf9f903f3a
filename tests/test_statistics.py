"""Metrics from sums of statistics, their intervals, and paired differences."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmtrain.errors import RecipeError, StageError
from lmtrain.metrics import BLEU_COLUMNS, CHRF_COLUMNS, METRICS, ROUGE_COLUMNS, TASK_METRICS, TEXT_STATISTICS
from lmtrain.schemas import SAMPLES
from lmtrain.statistics import bootstrap_interval, metric_from_statistics, paired_difference, statistics_of


def samples(statistics, ids=None, groups=None):
    ids = ids or [f"e{index}" for index in range(len(statistics))]
    columns = {
        "example_id": ids,
        "group": groups or ids,
        "prediction": [None] * len(ids),
        "statistics": [list(map(float, row)) for row in statistics],
    }
    return pa.table(columns, schema=SAMPLES)


def right_or_wrong(right):
    """Statistics of a two-class set of gold class 0."""
    return np.array([[float(hit), 0, float(hit), float(not hit), 1, 0] for hit in right])


def test_bits_per_byte_and_perplexity_are_of_the_corpus_and_not_means_of_documents():
    statistics = np.array([[2 * np.log(2), 2, 1], [6 * np.log(2), 6, 7]])
    assert metric_from_statistics("bits_per_byte", statistics) == pytest.approx(1.0)
    assert metric_from_statistics("perplexity", statistics) == pytest.approx(2.0)


counts = st.integers(min_value=0, max_value=9)


@given(st.lists(counts, min_size=10, max_size=10))
def test_bleu_from_counts_is_that_of_sacrebleu(columns):
    hypothesis, reference, *rest = columns
    matched = [min(pair) for pair in zip(rest[:4], rest[4:], strict=True)]
    row = np.zeros((1, TEXT_STATISTICS))
    row[0, BLEU_COLUMNS] = [hypothesis, reference, *matched, *rest[4:]]
    expected = BLEU.compute_bleu([*matched], rest[4:], hypothesis, reference, smooth_method="exp").score
    if hypothesis == 0 and any(matched):
        return  # matches in an empty hypothesis don't occur
    assert metric_from_statistics("bleu", row) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.lists(counts, min_size=18, max_size=18))
def test_chrf_from_counts_is_that_of_sacrebleu(columns):
    for order in range(6):
        columns[3 * order + 2] = min(columns[3 * order : 3 * order + 3])
    row = np.zeros((1, TEXT_STATISTICS))
    row[0, CHRF_COLUMNS] = columns
    expected = CHRF()._compute_score_from_stats(columns).score
    assert metric_from_statistics("chrf", row) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ROUGE_COLUMNS)
def test_rouge_is_the_mean_over_examples(name):
    rows = np.zeros((4, TEXT_STATISTICS))
    rows[:, 0] = 1
    rows[:, ROUGE_COLUMNS[name]] = [0.0, 0.5, 0.5, 1.0]
    assert metric_from_statistics(name, rows) == 0.5


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match="no metric 'acuracy'; there are: bits_per_byte"):
        metric_from_statistics("acuracy", np.ones((1, 6)))


def test_no_examples_have_no_metric():
    with pytest.raises(StageError, match="at least one example"):
        metric_from_statistics("accuracy", np.ones((0, 6)))


def test_the_interval_is_that_of_the_normal_approximation_where_that_is_good():
    right = np.random.default_rng(0).random(2000) < 0.7
    interval = bootstrap_interval("accuracy", right_or_wrong(right), [*map(str, range(2000))], 2000, 1)
    error = np.sqrt(right.mean() * (1 - right.mean()) / 2000)
    assert interval.value == right.mean()
    assert interval.low == pytest.approx(right.mean() - 1.96 * error, abs=0.003)
    assert interval.high == pytest.approx(right.mean() + 1.96 * error, abs=0.003)


def test_groups_are_resampled_and_not_examples():
    right = np.repeat(np.arange(50) % 2 == 0, 20)
    together = [str(index // 20) for index in range(1000)]
    alone = [str(index) for index in range(1000)]
    grouped = bootstrap_interval("accuracy", right_or_wrong(right), together, 500, 0)
    single = bootstrap_interval("accuracy", right_or_wrong(right), alone, 500, 0)
    assert grouped.high - grouped.low > 3 * (single.high - single.low)


def test_the_order_of_examples_does_not_matter():
    random = np.random.default_rng(0)
    right, groups = random.random(60) < 0.5, [f"g{number}" for number in random.integers(0, 9, 60)]
    order = random.permutation(60)
    one = bootstrap_interval("f1_macro", right_or_wrong(right), groups, 100, 3)
    other = bootstrap_interval(
        "f1_macro", right_or_wrong(right[order]), [groups[index] for index in order], 100, 3
    )
    assert one == other


def test_the_seed_decides_the_interval():
    statistics = right_or_wrong(np.random.default_rng(0).random(50) < 0.5)
    groups = [*map(str, range(50))]
    assert bootstrap_interval("accuracy", statistics, groups, 100, 0) == bootstrap_interval(
        "accuracy", statistics, groups, 100, 0
    )
    assert bootstrap_interval("accuracy", statistics, groups, 100, 0) != bootstrap_interval(
        "accuracy", statistics, groups, 100, 1
    )


@pytest.mark.parametrize("metric", METRICS)
def test_resamples_agree_with_one_call_for_each(metric):
    random = np.random.default_rng(0)
    if metric in TASK_METRICS["classification"]:
        eye = np.eye(3)
        gold, said = eye[random.integers(0, 3, 12)], eye[random.integers(0, 3, 12)]
        statistics = np.concatenate([gold * said, said, gold], axis=1)
    else:
        statistics = random.integers(1, 9, (12, TEXT_STATISTICS)).astype(float)
    stacked = np.stack([statistics[random.integers(0, 12, 12)] for _ in range(20)])
    at_once = METRICS[metric].from_sums(stacked.sum(axis=1))
    one_by_one = [metric_from_statistics(metric, resample) for resample in stacked]
    assert at_once == pytest.approx(one_by_one, rel=1e-12)


def test_a_system_does_not_differ_from_itself():
    table = samples(right_or_wrong([True, False, True]))
    assert paired_difference(table, table, "accuracy", 50) == (0.0, 0.0, 0.0)


def test_pairs_join_on_the_example_and_not_on_the_place():
    table = samples(right_or_wrong([True, False, True, False]))
    assert paired_difference(table, table.take([3, 0, 2, 1]), "accuracy", 50) == (0.0, 0.0, 0.0)


def test_a_difference_that_holds_for_every_example_is_certain_where_the_scores_are_not():
    random = np.random.default_rng(0)
    nats = random.gamma(1.0, 100.0, 40)
    worse = samples(np.stack([nats, nats, nats], axis=1))
    better = samples(np.stack([nats * 0.9, nats, nats], axis=1))
    found = paired_difference(better, worse, "bits_per_byte", 200)
    assert found == pytest.approx([-0.1 / np.log(2)] * 3)


def test_a_small_gain_of_chance_is_not_told_as_one():
    random = np.random.default_rng(1)
    a = samples(right_or_wrong(random.random(100) < 0.5))
    b = samples(right_or_wrong(random.random(100) < 0.5))
    found = paired_difference(a, b, "accuracy", 500)
    assert found.low < 0 < found.high


def test_different_examples_are_refused():
    a, b = samples(right_or_wrong([True, False])), samples(right_or_wrong([True, False]), ["e0", "x"])
    with pytest.raises(StageError, match=r"different examples \(1 only in the first, 1 only in the second\)"):
        paired_difference(a, b, "accuracy")


def test_an_example_twice_is_refused():
    twice = samples(right_or_wrong([True, False]), ["e0", "e0"])
    with pytest.raises(StageError, match="occurs twice"):
        paired_difference(twice, twice, "accuracy")


def test_the_same_examples_in_other_groups_are_refused():
    a = samples(right_or_wrong([True, False]))
    b = samples(right_or_wrong([True, False]), groups=["g", "g"])
    with pytest.raises(StageError, match="different groups"):
        paired_difference(a, b, "accuracy")


def test_statistics_of_unlike_length_are_refused():
    with pytest.raises(StageError, match="different lengths"):
        statistics_of(samples([[1, 2, 3], [1]]))


def test_a_class_that_a_resample_lacks_does_not_count_in_its_macro_f1():
    """As in scikit-learn, whose average is over the labels that occur."""
    right_of_two = [1, 0, 0, 1, 0, 0, 1, 0, 0]
    wrong_of_two = [0, 0, 0, 0, 1, 0, 1, 0, 0]
    assert metric_from_statistics("f1_macro", np.array([right_of_two])) == 1
    found = metric_from_statistics("f1_macro", np.array([right_of_two, wrong_of_two]))
    assert found == pytest.approx((2 / 3 + 0) / 2)
