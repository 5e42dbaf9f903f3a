"""Tasks told as text: what is to be written, and what is written read as an answer again."""

import pytest
import torch

from lmtrain.encoding.told import answer_in, label_in, labels_in, rounded, score_in, told
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.told import READERS
from lmtrain.modeling.fitting import TOLD_TASKS
from lmtrain.statistics import metric_from_statistics
from lmtrain.watch import SilentWatch

ABOUT = "|written|beams:1"


def read(task, examples, texts, params):
    config = EvaluateConfig(task=task, system="model", dataset="set", part="set")
    context = Context(config, torch.device("cpu"), SilentWatch())
    given = [{"id": f"e{place}", "group": f"g{place}", **one} for place, one in enumerate(examples)]
    return READERS[task](given, texts, params, context, ABOUT)


def value(metric, scored):
    return float(metric_from_statistics(metric, scored.statistics))


@pytest.mark.parametrize(
    ("score", "step", "expected"),
    [
        (3.75, 0.2, "3.8"), (2.5, 0.2, "2.4"), (0.3, 0.2, "0.4"), (5, 0.2, "5.0"), (0.0, 0.2, "0.0"),
        (-0.04, 0.2, "0.0"), (0.62, 0.05, "0.60"), (2.6, 1.0, "3.0"),
    ],
)  # fmt: skip
def test_scores_are_rounded_as_t5_rounds_them(score, step, expected):
    assert rounded(score, step) == expected


@pytest.mark.parametrize(
    ("task", "example", "source", "target"),
    [
        ("classification", {"text": "good", "text_pair": None, "label": "yes"}, "good", "yes"),
        ("classification", {"text": "你好", "text_pair": "再见", "label": "不同"}, "你好\n再见", "不同"),
        ("multi_label", {"text": "t", "labels": ["b", "a"]}, "t", "a, b"),
        ("multi_label", {"text": "t", "labels": []}, "t", "none"),
        ("question_answering", {"question": "谁", "context": "我", "answers": ["我"]}, "谁\n我", "我"),
        ("question_answering", {"question": "Q", "context": "C", "answers": []}, "Q\nC", "no answer"),
        ("similarity", {"sentence1": "a", "sentence2": "b", "score": 4.41}, "a\nb", "4.4"),
        ("summarization", {"document": "long", "summary": "short"}, "long", "short"),
    ],
)  # fmt: skip
def test_an_example_as_text(task, example, source, target):
    assert task in TOLD_TASKS
    prompt = told(task, 0.2)
    assert (prompt.source(example), prompt.targets(example)[0]) == (source, target)


def test_what_is_written_is_read():
    assert label_in(" not  there ", ["there", "not there"]) == "not there"
    assert label_in("nothing of it", ["there", "not there"]) is None
    assert label_in("图书馆", ["图书馆"]) == "图书馆"
    assert labels_in("b, a", ["a", "b"]) == (["a", "b"], True)
    assert labels_in("b, x", ["a", "b"]) == (["b"], False)
    assert labels_in("none", ["a", "b"]) == ([], True)
    assert labels_in("", ["a", "b"]) == ([], False)
    assert score_in("3.4", 0.0, 5.0) == 3.4
    assert score_in("7", 0.0, 5.0) == 5.0
    assert score_in("-1.0", 0.0, 5.0) == 0.0
    assert [score_in(text, 0.0, 5.0) for text in ("", "three", "nan", "3.4.4")] == [None] * 4
    assert answer_in("no answer") == ""
    assert answer_in("老师") == "老师"


def test_a_text_that_is_no_label_counts_as_wrong():
    examples = [{"text": "t", "label": label} for label in "aabb"]
    scored = read("classification", examples, ["a", "x", "b", "a"], {"labels": ["a", "b"]})
    assert value("accuracy", scored) == pytest.approx(2 / 4)
    assert scored.predictions == ["a", None, "b", "a"]
    assert scored.stats["unread"] == 1
    assert scored.signatures["accuracy"] == "classes:2|written|beams:1"


def test_numbers_are_compared_by_value_and_no_number_is_the_lowest():
    examples = [{"sentence1": "a", "sentence2": "b", "score": score} for score in (0.0, 1.0, 2.0, 4.0)]
    texts = ["what", "1.2", "2.0", "9"]
    scored = read("similarity", examples, texts, {"range": [0.0, 5.0]})
    assert scored.predictions == [None, "1.2000", "2.0000", "5.0000"]
    assert value("spearman", scored) == pytest.approx(1.0)
    x, y = torch.tensor([[0.0, 1.2, 2.0, 5.0], [0.0, 1.0, 2.0, 4.0]], dtype=torch.float64)
    assert value("pearson", scored) == pytest.approx(float(torch.corrcoef(torch.stack([x, y]))[0, 1]))


def test_answers_and_several_labels_are_scored_as_those_of_a_head():
    asked = [
        {"question": "q", "context": "Ada wrote", "answers": ["Ada"], "answer_starts": [0]},
        {"question": "q", "context": "c", "answers": [], "answer_starts": []},
    ]
    assert value("exact_match", read("question_answering", asked, ["Ada", "no answer"], {})) == 1.0
    assert value("exact_match", read("question_answering", asked, ["no answer", "Ada"], {})) == 0.0
    assert value("f1", read("question_answering", asked, ["Bob", "Bob"], {})) == 0.0
    several = [{"text": "t", "labels": ["a", "b"]}, {"text": "t", "labels": []}]
    scored = read("multi_label", several, ["a, b", "none"], {"labels": ["a", "b"]})
    assert value("f1_micro", scored) == pytest.approx(1.0)
    assert scored.stats["unread"] == 0
