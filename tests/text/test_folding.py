"""Texts as they are compared: the table by characters equals Unicode's forms of whole texts."""

import random

import numpy as np
import pytest

from lmtrain.text import similarity
from lmtrain.text.characters import PLANES, is_word_character
from lmtrain.text.folding import IN_CONTEXT, as_they_are, folded, normalized

CONTEXT = "\u0130\u03a3\u0301\u3099\uff9e\u1161\u11a8\u00b4½ﬁ™"


def by_characters(text):
    """Return a text's word characters by the table, other characters as spaces; None if it can't tell."""
    points = [int(folded()[ord(character)]) for character in text]
    return None if IN_CONTEXT in points else "".join(chr(point) if point else " " for point in points)


def words_of(text):
    return "".join(character if is_word_character(character) else " " for character in text).split()


def test_every_character_alone_is_as_unicode_and_python_have_it():
    for point in range(PLANES):
        found = by_characters(chr(point))
        assert found is None or found.split() == words_of(normalized(chr(point))), hex(point)


def test_characters_of_all_scripts_beside_each_other_are_as_in_the_whole_text():
    drawn = random.Random(0)
    simple = [chr(point) for point in np.flatnonzero(folded() != IN_CONTEXT) if point < PLANES]
    for _ in range(300):
        text = "".join(drawn.choices(simple, k=500))
        assert by_characters(text).split() == words_of(normalized(text))


@pytest.mark.parametrize("character", CONTEXT)
def test_what_goes_by_its_neighbours_is_left_to_the_whole_text(character):
    assert by_characters(character) is None
    for text in (f"a{character}", f"か{character} カ", f"\u1112{character}b", f"{character}a b{character}"):
        for language in ("en", "zh"):
            expected = similarity.shingles_plain(text, 2, language)
            assert similarity.shingles(text, 2, language).tolist() == expected


def test_what_is_common_needs_no_second_look():
    for text in (
        "don’t—“quote”… 3 km², 5 °C",
        "今天３月，天气很好。",
        "ガ カ",
        "한국어",
        "Ünïcödé ÀÉÎ",
        "нет",
    ):
        assert by_characters(text) is not None, text


def test_a_normalized_text_is_taken_as_it_is():
    table = as_they_are()
    assert [table[ord(character)] for character in "aé 中\u0301."] == [
        *map(ord, "aé"),
        0,
        ord("中"),
        0x301,
        0,
    ]
