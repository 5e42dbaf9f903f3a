"""Answers by SQuAD's rules, and Chinese ones by CMRC's."""

import pytest

from lmtrain.evaluation.answers import answer_scores, cmrc_units, squad_words
from lmtrain.evaluation.question_answering import nearest_sentence


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("The Cat.", ["cat"], 1.0, 1.0),
        ("a black cat", ["the cat"], 0.0, 2 / 3),
        ("dog", ["cat", "a dog"], 1.0, 1.0),
        ("cat cat", ["cat"], 0.0, 2 / 3),
        ("", ["cat"], 0.0, 0.0),
        ("cat", [], 0.0, 0.0),
        ("", [], 1.0, 1.0),
        ("the", ["a"], 1.0, 1.0),
        ("café", ["CAFÉ!"], 1.0, 1.0),
    ],
)
def test_english_by_words_without_case_articles_and_punctuation(prediction, answers, exact, f1):
    assert answer_scores(prediction, answers, "en") == pytest.approx((exact, f1))


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("北京。", ["北京"], 1.0, 1.0),
        ("在北京市", ["北京"], 0.0, 2 * 2 / (4 + 2)),
        ("1998年", ["1998 年"], 0.0, 1.0),
        ("Python语言", ["python"], 0.0, 2 * 1 / (3 + 1)),
        ("上海", ["北京", "上海市"], 0.0, 2 * 2 / (2 + 3)),
        ("京北", ["北京"], 0.0, 2 * 1 / 4),
        ("", ["北京"], 0.0, 0.0),
    ],
)
def test_chinese_by_the_longest_run_of_characters(prediction, answers, exact, f1):
    assert answer_scores(prediction, answers, "zh") == pytest.approx((exact, f1))


def test_units_of_both_rules():
    assert squad_words("The  quick, (brown) fox's a") == ["quick", "brown", "foxs"]
    assert cmrc_units("GPT-3是《模型》，2020年") == ["gpt3", "是", "模", "型", "2020", "年"]


@pytest.mark.parametrize(
    ("question", "context", "language", "expected"),
    [
        (
            "Who wrote the program?",
            "It rained. Ada wrote the program. It ended.",
            "en",
            "Ada wrote the program.",
        ),
        ("谁写了程序？", "今天下雨。阿达写了程序。", "zh", "阿达写了程序。"),
    ],
)
def test_the_nearest_sentence_shares_most_with_the_question(question, context, language, expected):
    assert nearest_sentence(question, context, language) == expected
