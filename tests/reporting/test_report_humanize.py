"""Numbers and names as people read them."""

import pytest

from lmtrain.reporting import humanize


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (12, "12"),
        (999, "999"),
        (1_000, "1 k"),
        (3_444_000, "3.44 M"),
        (999_999, "1 M"),
        (2e9, "2 B"),
    ],
)
def test_compact(number, text):
    assert humanize.compact(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (13_200_000, "13.2 MB"), (999_999, "1 MB")],
)
def test_size(number, text):
    assert humanize.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (312.4, "5 min 12 s"),
        (7_384, "2 h 3 min"),
    ],
)
def test_duration(seconds, text):
    assert humanize.duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0 %"),
        (0, 9, "0 %"),
        (9, 9, "100 %"),
        (1, 3, "33.3 %"),
        (1, 10**6, "< 0.1 %"),
        (99_999, 100_000, "99.9 %"),
    ],
)
def test_a_share_is_nothing_or_all_only_if_it_is(part, whole, text):
    assert humanize.share(part, whole) == text


def test_an_interval_has_the_digits_of_its_value():
    assert [humanize.score(end, 12.3) for end in (9.876, 12.3, 13.1)] == ["9.88", "12.30", "13.10"]


def test_a_difference_has_a_sign_unless_it_rounds_to_nothing():
    assert [humanize.signed(value) for value in (0.0312, -0.0312, 0.0001, -0.0001)] == [
        "+0.031",
        "−0.031",
        "0.000",
        "0.000",
    ]


def test_an_excerpt_is_cut_between_words_and_says_so():
    assert humanize.excerpt("one two three", 20) == "one two three"
    assert humanize.excerpt("one two three four", 8) == "one two …"
    assert humanize.excerpt("春眠不觉晓处处闻啼鸟", 5) == "春眠不觉晓 …"


def test_chinese_text_is_tagged_and_english_isnt():
    assert humanize.language_tag("夜来风雨声") == "zh-Hans"
    assert humanize.language_tag("Return the indices of 风 among many other words of English text") is None


def test_lists_read_as_sentences():
    assert [humanize.joined(list(names)) for names in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
