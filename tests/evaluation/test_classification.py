"""Averages of F1, the two baselines, and what a model's folder says."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score
from tiny_line import CONTEXT
from transformers import AutoModelForSequenceClassification

from lmtrain.errors import StageError
from lmtrain.evaluation import classification
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import load
from lmtrain.manifest import Artifact
from lmtrain.metrics import TASK_METRICS
from lmtrain.statistics import metric_from_statistics
from lmtrain.watch import SilentWatch


def context(language="en"):
    config = EvaluateConfig(task="classification", system="model", dataset="set", language=language)
    return Context(config, torch.device("cpu"), SilentWatch())


def scores(gold, predicted):
    classes = sorted({*gold, *predicted})
    statistics = classification.statistics_of_predictions(
        [*map(list, predicted)], [*map(list, gold)], classes
    )
    return {name: metric_from_statistics(name, statistics) for name in TASK_METRICS["classification"]}


def test_f1_of_a_small_case_by_hand():
    """Gold 0 1 0 1 0, said 0 0 1 1 0: F1 is 2/3 for class 0 and 1/2 for class 1."""
    found = scores("01010", "00110")
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["f1_weighted"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 5)
    assert found["f1_micro"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("seed", range(5))
def test_every_average_is_that_of_scikit_learn(seed):
    """On unbalanced classes, where averages differ; some labels are predicted and never right."""
    random = np.random.default_rng(seed)
    gold = random.choice(["a", "b", "c", "d"], 80, p=[0.7, 0.2, 0.08, 0.02]).tolist()
    predicted = random.choice(["a", "b", "c", "x"], 80, p=[0.8, 0.1, 0.05, 0.05]).tolist()
    found, macro = scores(gold, predicted), {"average": "macro", "zero_division": 0}
    assert found["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    for average in ("macro", "micro", "weighted"):
        expected = f1_score(gold, predicted, average=average, zero_division=0)
        assert found[f"f1_{average}"] == pytest.approx(expected)
    assert found["precision_macro"] == pytest.approx(precision_score(gold, predicted, **macro))
    assert found["recall_macro"] == pytest.approx(recall_score(gold, predicted, **macro))
    assert found["mcc"] == pytest.approx(matthews_corrcoef(gold, predicted))
    assert len({round(found[name], 6) for name in ("f1_macro", "f1_micro", "f1_weighted")}) == 3


def rows(texts_and_labels, repeats=6):
    return [
        {"text": text, "text_pair": None, "label": label}
        for _ in range(repeats)
        for text, label in texts_and_labels
    ]


def test_majority_says_the_most_frequent_training_label(english):
    train = [{"text": "x", "label": label, "split": "train"} for label in "abb"]
    test = [{"text": "x", "label": label, "split": "test"} for label in "aaaab"]
    data = Artifact(english.labelled("classification", train + test, "majority"))
    assert classification.score_majority(data, context()).predictions == ["b"] * 5


@pytest.mark.parametrize(
    ("language", "pairs"),
    [
        ("en", [("a very good film", "pro"), ("a very bad film", "con"), ("good", "pro"), ("bad", "con")]),
        ("zh", [("这部电影很好看", "pro"), ("这部电影很难看", "con"), ("很好", "pro"), ("很难", "con")]),
    ],
)
def test_tfidf_learns_words_and_in_chinese_characters(lines, language, pairs):
    data = Artifact(lines[language].labelled("classification", rows(pairs), "tfidf"))
    scored = classification.score_tfidf(data, context(language))
    assert metric_from_statistics("accuracy", scored.statistics) == 1
    unit = "char1-2" if language == "zh" else "word1-2"
    assert f"ngrams:{unit}" in scored.signatures["accuracy"]


def test_a_model_predicts_the_names_of_its_folder_whatever_else_is_in_the_batch(line):
    """Padding must not change a prediction."""
    folder = Artifact(line.classifier(["left", "right", "middle"])).folder("weights")
    loaded = load(AutoModelForSequenceClassification, folder, torch.device("cpu"))
    texts = [text[: 3 + 5 * (index % 7)] for index, text in enumerate(line.texts)]
    examples = [{"text": text} for text in texts]
    together = classification.predict(loaded, examples, context())
    alone = [classification.predict(loaded, [example], context())[0] for example in examples]
    assert together == alone
    found = {label for [label] in together}
    assert found <= {"left", "right", "middle"}
    assert len(found) > 1


def test_long_texts_are_cut_to_the_length_of_the_training(english):
    folder = Artifact(english.classifier(["left", "right"])).folder("weights")
    loaded = load(AutoModelForSequenceClassification, folder, torch.device("cpu"))
    long = "the cat looks over the wall " * 30
    cut = loaded.tokenizer.decode(loaded.encode([long])[0][:CONTEXT])
    whole, short = (classification.predict(loaded, [{"text": text}], context()) for text in (long, cut))
    assert whole == short


def test_an_empty_text_has_a_prediction_too(english):
    folder = Artifact(english.classifier(["left", "right"])).folder("weights")
    loaded = load(AutoModelForSequenceClassification, folder, torch.device("cpu"))
    [[label], _] = classification.predict(loaded, [{"text": ""}, {"text": "cat"}], context())
    assert label in {"left", "right"}


def test_several_labels_are_scored_one_by_one():
    """Gold {a} {a b} {} said {a} {b} {c}: right a and b once each."""
    predicted, gold = [["a"], ["b"], ["c"]], [["a"], ["a", "b"], []]
    statistics = classification.statistics_of_predictions(predicted, gold, ["a", "b", "c"])
    assert metric_from_statistics("f1_micro", statistics) == pytest.approx(2 * 2 / (3 + 3))
    assert metric_from_statistics("f1_macro", statistics) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_weights_that_are_not_safetensors_are_refused(english, tmp_path):
    torch.save({}, tmp_path / "pytorch_model.bin")
    english.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(StageError, match="can't load a model"):
        load(AutoModelForSequenceClassification, tmp_path, torch.device("cpu"))
