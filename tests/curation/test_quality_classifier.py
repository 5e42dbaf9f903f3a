"""The classifier: kernels are what their definitions say, training is exact, and good and bad come apart."""

import random

import numpy as np
import pytest
from good_and_bad import LANGUAGES, bad, good
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from lmtrain.curation import classifier as module
from lmtrain.curation.classifier import (
    Classifier,
    buckets_of,
    buckets_plain,
    examples_of,
    measure,
    roc_auc,
    train,
    train_plain,
)
from lmtrain.errors import CorruptArtifactError

TEXTS = st.text(st.sampled_from("ab 1_,.\n中文字é①Ａ\u0301\U00020000\U000e0100"), max_size=30)
SMALL = {"buckets": 1 << 10, "epochs": 3, "rate": 3.0, "seed": 0}


def trained(texts: list[str], positive: list[bool], **changes: int) -> Classifier:
    ids = [f"{number:05d}" for number in range(len(texts))]
    settings = {"buckets": 1 << 18, "epochs": 20, "rate": 3.0, "seed": 0, **changes}
    examples = examples_of(texts, 2, settings["buckets"])
    return Classifier(*train(examples, ids, np.array(positive), **settings), 2)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 4), st.sampled_from([1 << 10, 1 << 20, 1 << 26]))
def test_buckets_are_what_their_definition_says(text, ngrams, buckets):
    assert buckets_of(text, ngrams, buckets).tolist() == buckets_plain(text, ngrams, buckets)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.integers(1, 4), st.floats(0, 100))
def test_a_score_is_what_its_definition_says(text, ngrams, scale):
    weights = np.random.default_rng(0).normal(scale=scale, size=1 << 10).astype(np.float32)
    one = Classifier(weights, -0.3, ngrams)
    assert one.score(text) == pytest.approx(one.score_plain(text), abs=1e-9)
    assert 0 <= one.score(text) <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=8))
def test_training_is_what_its_definition_says(rows):
    rows = [*rows, ("good 文", True), ("bad 字", False)]
    texts, positive = [text for text, _ in rows], [label for _, label in rows]
    ids = [str(number) for number in range(len(rows))]
    weights, bias = train(examples_of(texts, 2, 1 << 10), ids, np.array(positive), **SMALL)
    expected, expected_bias = train_plain(texts, ids, positive, ngrams=2, **SMALL)
    assert weights.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert bias == pytest.approx(expected_bias, rel=1e-4, abs=1e-5)


def test_training_is_the_same_to_the_bit_in_whatever_order_rows_are_given():
    texts = [
        *good("en")[:60],
        *(bad(text, "en", kind) for kind, text in enumerate(good("en")[:90])),
    ]
    rows = [(text, f"id{number}", number < 60) for number, text in enumerate(texts)]
    found = []
    for seed in (0, 0, 1, 2):
        if seed:
            random.Random(seed).shuffle(rows)
        column = [list(each) for each in zip(*rows, strict=True)]
        examples = examples_of(column[0], 2, 1 << 12)
        settings = SMALL | {"buckets": 1 << 12}
        weights, bias = train(examples, column[1], np.array(column[2]), **settings)
        found.append((weights.tobytes(), bias))
    assert len(set(found)) == 1
    weights, bias = train(examples, column[1], np.array(column[2]), **settings | {"seed": 1})
    assert (weights.tobytes(), bias) not in found


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", range(3), ids=["shuffled", "menus", "keywords"])
def test_good_and_bad_texts_that_were_never_seen_come_apart(language, kind):
    texts = good(language)
    assert len(texts) > 500
    wrong = [bad(text, language, number) for number, text in enumerate(texts)]
    count = len(texts) * 4 // 5
    one = trained([*texts[:count], *wrong[:count]], [True] * count + [False] * count)
    spoiled = [text for number, text in enumerate(wrong[count:], start=count) if number % 3 == kind]
    scores = np.array([one.score(text) for text in [*texts[count:], *spoiled]])
    positive = np.arange(len(scores)) < len(texts) - count
    auc = roc_auc(scores, positive)
    assert auc is not None
    assert auc > 0.95
    assert measure(scores, positive, 0.5).accuracy > 0.9


def test_one_classifier_serves_both_languages():
    rows = [(text, language) for language in ("en", "zh") for text in good(language)[:500]]
    texts = [text for text, _ in rows]
    wrong = [bad(text, language, kind) for kind, (text, language) in enumerate(rows)]
    one = trained([*texts, *wrong], [True] * 1000 + [False] * 1000)
    for language in ("en", "zh"):
        rest = good(language)[500:]
        assert np.mean([one.score(text) >= 0.5 for text in rest]) > 0.9
        spoiled = [bad(text, language, kind) for kind, text in enumerate(rest)]
        assert np.mean([one.score(text) < 0.5 for text in spoiled]) > 0.85


def test_ten_times_as_many_bad_examples_dont_move_the_middle():
    texts = good("en")
    wrong = [bad(text, "en", kind) for text in texts[:300] for kind in (1, 2)]
    one = trained([*texts[:60], *wrong], [True] * 60 + [False] * 600)
    assert np.mean([one.score(text) >= 0.5 for text in texts[400:500]]) > 0.9
    assert (
        np.mean([one.score(bad(text, "en", kind)) < 0.5 for kind in (1, 2) for text in texts[400:500]]) > 0.9
    )


def test_a_text_without_words_scores_nothing_and_teaches_nothing():
    one = trained(["good text", "bad text"], [True, False])
    assert one.score("") == one.score(" \n\t") == 0.0
    with_empty = trained(["good text", "bad text", " "], [True, False, False])
    assert with_empty.score(" ") == 0.0
    assert with_empty.score("good text") > 0.5 > with_empty.score("bad text")


def test_a_classifier_is_saved_in_the_same_bytes_and_read_as_it_was(tmp_path):
    one = trained(["good 文", "bad 字"], [True, False], buckets=1 << 10)
    one.save(tmp_path / "a")
    read = Classifier.load(tmp_path / "a")
    assert read.score("good 文 x") == one.score("good 文 x")
    assert (read.positive, read.negative, read.ngrams) == ("good", "bad", 2)
    read.save(tmp_path / "b")
    for name in (module.WEIGHTS, module.DESCRIPTION):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_weights_for_other_hashes_of_words_are_refused(tmp_path, monkeypatch):
    trained(["good", "bad"], [True, False], buckets=1 << 10).save(tmp_path)
    monkeypatch.setattr(module, "PROBE", ["as if", "words", "hashed otherwise"])
    with pytest.raises(CorruptArtifactError, match="hashes words otherwise: delete its artifact"):
        Classifier.load(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.booleans()), max_size=20))
def test_measures_are_those_of_scikit_learn(rows):
    rows = [*rows, (0.5, True), (0.3, False)]
    scores, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    found = measure(scores, positive, 0.5)
    assert found.precision == pytest.approx(precision_score(positive, scores >= 0.5), abs=1e-6)
    assert found.recall == pytest.approx(recall_score(positive, scores >= 0.5), abs=1e-6)
    assert found.accuracy == pytest.approx(np.mean((scores >= 0.5) == positive), abs=1e-6)
    assert found.kept == pytest.approx(np.mean(scores >= 0.5), abs=1e-6)
    assert roc_auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-6)


def test_what_can_not_be_divided_is_no_measure():
    nothing = measure(np.array([0.1, 0.2]), np.array([False, False]), 0.5)
    assert (nothing.accuracy, nothing.precision, nothing.recall, nothing.kept) == (1.0, None, None, 0.0)
    assert roc_auc(np.array([0.1, 0.2]), np.array([False, False])) is None
