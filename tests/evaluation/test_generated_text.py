"""BLEU, chrF and ROUGE by way of statistics agree with the packages that define them."""

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmtrain.evaluation.generated_text import WordsAndCharacters, signatures_of_texts, statistics_of_texts
from lmtrain.statistics import metric_from_statistics

ENGLISH = [
    ("hello there general kenobi", "hello there !"),
    ("on our way to ankh morpork", "goodbye ankh morpork"),
    ("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog"),
    ("", "An empty prediction."),
    ("Return the sum of all elements.", "Return the sum of all elements."),
]
JAPANESE = [
    ("今日はとても良い天気です。", "今日は良い天気です。"),
    ("図書館で本を読む。", "図書館で本を読む。"),
]
KOREAN = [
    ("오늘은 날씨가 아주 좋다.", "오늘 날씨가 좋다."),
    ("도서관에서 책을 읽는다.", "도서관에서 책을 읽는다."),
]
CHINESE = [
    ("今天天气很好。", "今天天气非常好。"),
    ("他在北京大学学习 Python 编程。", "他在北京学习 Python。"),
    ("我们去图书馆看书。", "我们去图书馆看书。"),
]


def value(metric, pairs, language):
    predictions, references = zip(*pairs, strict=True)
    return metric_from_statistics(
        metric, statistics_of_texts(predictions, [[one] for one in references], language)
    )


@pytest.mark.parametrize(
    ("pairs", "language", "tokenizer"),
    [
        (ENGLISH, "en", "13a"),
        (CHINESE, "zh", "zh"),
        (ENGLISH, "zh", "zh"),
        (JAPANESE, "ja", "char"),
        (KOREAN, "ko", "char"),
    ],
)
def test_bleu_and_chrf_are_those_of_sacrebleu(pairs, language, tokenizer):
    predictions, references = map(list, zip(*pairs, strict=True))
    bleu = BLEU(tokenize=tokenizer).corpus_score(predictions, [references])
    chrf = CHRF().corpus_score(predictions, [references])
    assert value("bleu", pairs, language) == pytest.approx(bleu.score, abs=1e-9)
    assert value("chrf", pairs, language) == pytest.approx(chrf.score, abs=1e-9)


def test_rouge_lsum_goes_by_sentences():
    """The sentences of one are those of the other in another order: each is found whole."""
    one, other = "The cat sat. A dog ran off.", "A dog ran off. The cat sat."
    assert value("rougeLsum", [(one, other)], "en") == pytest.approx(1.0)
    assert value("rougeL", [(one, other)], "en") < 0.8
    assert value("rougeLsum", [("今天下雨。我们看书。", "我们看书。今天下雨。")], "zh") == pytest.approx(1.0)


def test_bleu_and_chrf_of_several_references_are_those_of_sacrebleu():
    predictions = ["hello there general kenobi", "on our way to ankh morpork"]
    references = [["hello there general kenobi", "hello there !"], ["goodbye ankh morpork", "ankh morpork"]]
    statistics = statistics_of_texts(predictions, references, "en")
    streams = [list(stream) for stream in zip(*references, strict=True)]
    bleu = BLEU().corpus_score(predictions, streams).score
    assert bleu == pytest.approx(39.76353643835252, abs=1e-9), "what its README says"
    assert metric_from_statistics("bleu", statistics) == pytest.approx(bleu, abs=1e-9)
    chrf = CHRF().corpus_score(predictions, streams).score
    assert metric_from_statistics("chrf", statistics) == pytest.approx(chrf, abs=1e-9)


def test_of_several_references_rouge_counts_the_best():
    statistics = statistics_of_texts(["今天下雨"], [["昨天晴", "今天下雨"]], "zh")
    assert metric_from_statistics("rouge1", statistics) == 1.0
    assert metric_from_statistics("rougeLsum", statistics) == 1.0


def test_of_several_references_answers_count_the_best():
    statistics = statistics_of_texts(["the cat"], [["a dog", "cat"]], "en")
    assert metric_from_statistics("exact_match", statistics) == 1.0


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_on_english_is_that_of_rouge_score(name):
    scorer = RougeScorer([name])
    expected = [scorer.score(reference, prediction)[name].fmeasure for prediction, reference in ENGLISH]
    assert value(name, ENGLISH, "en") == pytest.approx(sum(expected) / len(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("hello goodbye", "goodbye", 2 / 3),
        ("ankh morpork", "general kenobi", 0.0),
        ("hello there", "hello there", 1.0),
    ],
)
def test_rouge_of_public_cases(prediction, reference, expected):
    assert value("rouge1", [(prediction, reference)], "en") == pytest.approx(expected)


def test_identical_chinese_texts_score_full_marks_in_everything():
    """rouge-score's own tokenizer gives 0, and BLEU's 13a sees one word, too short for 4-grams."""
    text = "我们去图书馆看书"
    assert RougeScorer(["rouge1"]).score(text, text)["rouge1"].fmeasure == 0
    assert BLEU(tokenize="13a").corpus_score([text], [[text]]).score == 0
    for metric in ("rouge1", "rouge2", "rougeL"):
        assert value(metric, [(text, text)], "zh") == 1
    for metric in ("bleu", "chrf"):
        assert value(metric, [(text, text)], "zh") == pytest.approx(100)


def test_chinese_rouge_counts_characters():
    assert value("rouge1", [("今天天气好", "明天天气好")], "zh") == pytest.approx(4 / 5)
    assert WordsAndCharacters("zh").tokenize("用 NumPy 2 计算，很快！") == [
        "用", "numpy", "2", "计", "算", "很", "快",
    ]  # fmt: skip


@pytest.mark.parametrize(("pairs", "language"), [(JAPANESE, "ja"), (KOREAN, "ko")])
def test_identical_japanese_and_korean_texts_score_full_marks_and_others_less(pairs, language):
    (changed, reference), (same, _) = pairs
    for metric, best in (("rouge1", 1), ("rougeL", 1), ("bleu", 100), ("chrf", 100)):
        assert value(metric, [(same, same)], language) == pytest.approx(best)
        assert 0.2 * best < value(metric, [(changed, reference)], language) < best


def test_korean_rouge_counts_syllables_and_japanese_characters():
    assert WordsAndCharacters("ko").tokenize("날씨가 NumPy 좋다.") == ["날", "씨", "가", "numpy", "좋", "다"]
    assert WordsAndCharacters("ja").tokenize("カードを見る") == ["カ", "ー", "ド", "を", "見", "る"]


def test_bleu_names_its_tokenizer():
    once = [["a"], ["b"]]
    assert "tok:13a" in signatures_of_texts(once, "en")["bleu"]
    assert "tok:zh" in signatures_of_texts(once, "zh")["bleu"]
    assert "tok:char" in signatures_of_texts(once, "ko")["bleu"]
    assert "nrefs:1" in signatures_of_texts(once, "zh")["chrf"]
    assert "nrefs:2" in signatures_of_texts([["a", "b"], ["c", "d"]], "zh")["bleu"]
    assert "nrefs:var" in signatures_of_texts([["a", "b"], ["c"]], "zh")["bleu"]
