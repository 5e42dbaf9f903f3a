"""Characters by number, and what sort each is: text as kernels read it.

A text comes in; out go its code points, and a table that says of each code
point what it may be part of. The functions are the definitions, the table is
made from them.
"""

import sys
import unicodedata
from functools import cache

import numpy as np

PLANES = 0x40000
"""Characters beyond the first four planes of Unicode (tags, private use) are symbols of no known sort."""

WORD, JOINER, SPACE, ALONE, ALPHABETIC, PUNCTUATION = 1, 2, 4, 8, 16, 32
"""Bits of `classes`."""

JOINERS = frozenset(".'’_")
"""Between two word characters these don't part a word: 3.14, don't, numpy.array, min_samples."""

_SENTENCE_ENDS = (
    "21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 "
    "17d4-17d6 17d9-17da 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f "
    "203c-203d 2047-2049 2e2e 2e3c 2e53-2e54 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f "
    "a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 10f55-10f59 "
    "10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c "
    "112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c "
    "11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88"
)


def _characters(ranges: str) -> frozenset[str]:
    """Return the characters of ranges of hexadecimal code points, `21 2e 61d-61f`."""
    bounds = [[int(point, 16) for point in part.split("-")] for part in ranges.split()]
    return frozenset(
        chr(point) for first, *last in bounds for point in range(first, (last or [first])[0] + 1)
    )


SENTENCE_ENDS = _characters(_SENTENCE_ENDS)
"""What ends a sentence in any script: Unicode's Sentence_Terminal, as datatrove 0.10.1 has it."""

PUNCTUATION_MARKS = frozenset(
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～"
) | _characters("0-8 b-c d-1f 7f-9f")
"""CCNet's punctuation (Wenzek et al. 2020) and control characters, as in datatrove 0.10.1."""


def code_points(text: str) -> np.ndarray:
    """Return a text as Unicode code points, shape (characters,), uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def is_word_character(character: str) -> bool:
    """Tell whether a character is part of a word: a letter, a digit, or a mark on one."""
    return ord(character) < PLANES and (character.isalnum() or unicodedata.category(character)[0] == "M")


def stands_alone(character: str) -> bool:
    """Tell whether a character is a word of its own where no segmenter cuts: Han characters and kana."""
    point = ord(character)
    return (
        0x3400 <= point <= 0x4DBF
        or 0x4E00 <= point <= 0x9FFF
        or 0xF900 <= point <= 0xFAFF
        or 0x20000 <= point < PLANES
        or 0x3041 <= point <= 0x30FF
        or 0x31F0 <= point <= 0x31FF
    ) and is_word_character(character)


def is_punctuation(character: str) -> bool:
    """Tell whether a character makes a word of its kind a symbol: a word of these alone isn't counted."""
    return character in PUNCTUATION_MARKS or character in SENTENCE_ENDS


def class_of(character: str) -> int:
    """Return what a character may be, as bits."""
    return (
        WORD * is_word_character(character)
        | JOINER * (character in JOINERS)
        | SPACE * character.isspace()
        | ALONE * stands_alone(character)
        | ALPHABETIC * character.isalpha()
        | PUNCTUATION * is_punctuation(character)
    )


@cache
def classes() -> np.ndarray:
    """Return `class_of` as a table by code point, shape (sys.maxunicode + 1,), uint8."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    table[:PLANES] = [class_of(chr(point)) for point in range(PLANES)]
    return table
