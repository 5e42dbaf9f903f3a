"""Words and sentences: what they are, and that the fast spans are the same words."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.errors import RecipeError
from lmtrain.text import segmentation
from lmtrain.text.characters import classes, code_points, is_word_character
from lmtrain.text.segmentation import sentences, words
from lmtrain.text.spans import (
    ALPHABETIC_WORD,
    SYMBOL_WORD,
    count_words,
    hash_words,
    word_spans,
)

TEXTS = st.text(st.sampled_from("ab1_.'’-…# \n\t中文カé①\u0301\u200b\x00\U00020000\U000e0100٣"), max_size=40)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't np.mean(x_y, 3.14)...", ["Don't", "np.mean", "(", "x_y", ",", "3.14", ")", "..."]),
        ("a well-known end.Next", ["a", "well", "-", "known", "end.Next"]),
        ("----- ==!", ["-----", "==", "!"]),
        ("naïve cafe\u0301", ["naïve", "cafe\u0301"]),
        ("", []),
        (" \n\t", []),
    ],
)  # fmt: skip
def test_english_words(text, found):
    assert words(text, "en") == found


def test_chinese_words_by_characters_keep_latin_words_whole():
    assert words("使用TiDB 5.0。", "zh", "characters") == ["使", "用", "TiDB", "5.0", "。"]
    assert words("カタ仮名", "ja") == ["カ", "タ", "仮", "名"]


def test_chinese_words_by_jieba():
    assert words("我们使用 TiDB 数据库。", "zh") == ["我们", "使用", "TiDB", "数据库", "。"]


def test_without_jieba_one_line_says_how_to_get_it(monkeypatch):
    segmentation._jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(RecipeError, match=r"pip install 'lmtrain\[zh\]', or set segmenter: characters"):
        words("中文", "zh")
    segmentation._jieba.cache_clear()


@pytest.mark.parametrize(("language", "segmenter"), [("en", "default"), ("zh", "characters")])
@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_spans_are_the_words(language, segmenter, text):
    spans = word_spans(code_points(text), text, language, segmenter)
    expected = words(text, language, segmenter)
    assert [text[start:end] for start, end in zip(spans.starts, spans.ends, strict=True)] == expected
    assert spans.hashes.tolist() == hash_words(expected).tolist()
    assert [bool(kind & ALPHABETIC_WORD) for kind in spans.kinds] == [
        any(character.isalpha() and ord(character) < 0x40000 for character in word) for word in expected
    ]


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.sampled_from("我们使用数据库 TiDB5.0。\n\t，的"), max_size=30))
def test_spans_of_jieba_are_its_words(text):
    spans = word_spans(code_points(text), text, "zh")
    assert [text[start:end] for start, end in zip(spans.starts, spans.ends, strict=True)] == words(text, "zh")


def test_symbol_words_are_of_punctuation_alone():
    spans = word_spans(code_points("a . … ** 中 7"), "a . … ** 中 7", "en")
    assert [bool(kind & SYMBOL_WORD) for kind in spans.kinds] == [False, True, True, True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["the", "The", "a1", "7", ".", "…", "中文", "of"]), max_size=20))
def test_words_are_counted_by_kind(given_words):
    text = " ".join(given_words)
    spans = word_spans(code_points(text), text, "en")
    symbols = {".", "…"}
    assert count_words(spans) == (
        sum(word not in symbols for word in given_words),
        sum(len(word) for word in given_words if word not in symbols),
        sum(any(character.isalpha() for character in word) for word in given_words),
    )


def test_a_text_without_words_has_none_of_any_kind():
    assert count_words(word_spans(code_points(""), "", "en")) == (0, 0, 0)


def test_a_text_of_one_letter_words_has_room_for_all():
    text = "! a " * 500
    assert len(word_spans(code_points(text), text, "en").starts) == 1000


def test_the_table_of_characters_says_what_its_functions_say():
    for point in (*range(0x300), 0x4E00, 0x20000, 0x3FFFF, 0x40000, 0xE0100, sys.maxunicode):
        assert bool(classes()[point] & 1) == is_word_character(chr(point))


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("en", "It works. Really?! Yes", ["It works.", "Really?!", "Yes"]),
        ("en", "Cf. e.g. J. Doe, Fig. 3. Then stop.", ["Cf. e.g. J. Doe, Fig. 3.", "Then stop."]),
        ("en", 'He said "go." Then 3.14 of np.mean.', ['He said "go."', "Then 3.14 of np.mean."]),
        ("en", "wrapped\nin the middle. New\n\nparagraph", ["wrapped\nin the middle.", "New", "paragraph"]),
        ("zh", "天气好。“去吧！”他说。\n第二行", ["天气好。", "“去吧！”", "他说。", "第二行"]),
        ("ja", "行く？はい。", ["行く？", "はい。"]),
        ("en", "", []),
    ],
)  # fmt: skip
def test_sentences(language, text, found):
    assert sentences(text, language) == found


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("ab. !?。！”\n"), max_size=30), st.sampled_from(["en", "zh"]))
def test_sentences_lose_nothing_but_spaces(text, language):
    assert "".join("".join(sentences(text, language)).split()) == "".join(text.split())


def test_a_long_text_is_cut_in_linear_time():
    assert len(words("word, " * 20_000, "en")) == 40_000
    assert len(sentences("One. " * 20_000, "en")) == 20_000
    assert np.array_equal(hash_words([]), np.empty(0, np.uint64))
