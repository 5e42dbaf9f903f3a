"""Characters as texts are compared: compatible, composed, in lower case, and nothing but words.

Unicode's normal form and lower case of a text are nearly always those of its
characters one by one. A table holds these; where a character's form depends on
its neighbours, the table says so, and the whole text must be normalized.
"""

import sys
import unicodedata
from functools import cache

import numpy as np

from lmtrain.text.characters import PLANES, WORD, classes, is_word_character

IN_CONTEXT = 0xFFFFFFFF
"""Stands in `folded` for a character whose form depends on its neighbours, or is more than one character."""

_SIGMA = "\u03a3"
"""Has one lower case at the end of a word, and another elsewhere."""

_JAMO = frozenset(map(chr, (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))))
"""Vowels and finals of Korean, which join the letter before."""


def normalized(text: str) -> str:
    """Return a text as it is compared: Unicode's compatible composed form (NFKC), in lower case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower()


@cache
def folded() -> np.ndarray:
    """Return each character as `normalized` has it, wherever it stands.

    Returns:
        By code point: a word character's, 0 for what parts words, or `IN_CONTEXT`;
        shape (sys.maxunicode + 1,), uint32.
    """
    joining = _joining()
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint32)
    table[:PLANES] = [_folded(chr(point), joining) for point in range(PLANES)]
    return table


@cache
def as_they_are() -> np.ndarray:
    """Return each word character's own code point, for a text that is normalized; else as `folded`."""
    return np.where(classes() & WORD, np.arange(sys.maxunicode + 1), 0).astype(np.uint32)


def _folded(character: str, joining: frozenset[str]) -> int:
    form = unicodedata.normalize("NFKC", character)
    if _SIGMA in form or any(unicodedata.combining(part) or part in joining for part in form):
        return IN_CONTEXT
    lowered = form.lower()
    if not any(map(is_word_character, lowered)):
        return 0
    return ord(lowered) if len(lowered) == 1 else IN_CONTEXT


def _joining() -> frozenset[str]:
    """Return the characters that may become one with the character before."""
    pairs = (unicodedata.decomposition(chr(point)).split() for point in range(PLANES))
    return _JAMO | {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and pair[0][0] != "<"}
