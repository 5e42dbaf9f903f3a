"""Documents without end: real ones with controlled edits, among them near-duplicates of known similarity.

Nothing is drawn but by the number of a document: any of them can be made again,
by whichever process, and is the same.
"""

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmtrain.text import nearness, similarity
from lmtrain.text.segmentation import UNSPACED

SHINGLE_WORDS = 5
COPIED = 5
"""Every so many documents, one is a near copy."""
CLOSE = 0.7, 1.0
"""Jaccard indices of copies: each is as likely as any other between them."""
ORIGINAL_SHARE = 0.25
"""Words that an original has of its own: of the 5-grams of its base, one in four stays."""


class Cut(NamedTuple):
    """A text in pieces, words and what stands between; and the places of the words."""

    language: str
    pieces: list[str]
    words: list[int]


def cut(text: str, language: str) -> Cut:
    """Cut a text: at words, or in Chinese and Japanese at characters."""
    pieces = re.findall(r"\w|\W+" if language in UNSPACED else r"\w+|\W+", text)
    return Cut(language, pieces, [place for place, piece in enumerate(pieces) if piece[0].isalnum()])


def with_changed(given: Cut, count: int, drawn: random.Random) -> str:
    """Return the text with so many of its words replaced, at places all over it."""
    pieces = given.pieces.copy()
    for place in drawn.sample(given.words, min(count, len(given.words))):
        pieces[place] = _word(given.language, drawn)
    return "".join(pieces)


def _word(language: str, drawn: random.Random) -> str:
    if language in UNSPACED:
        return chr(drawn.randrange(0x4E00, 0x9FA0))
    return f"{drawn.getrandbits(30):x}".translate(_LETTERS)


_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def edited(text: str, close: float, language: str, drawn: random.Random) -> str:
    """Return a text whose Jaccard index with the given one is about so much.

    A changed word changes the `SHINGLE_WORDS` shingles that hold it: of n words
    k changed ones leave n - 5k of n shingles in common, and the index is
    (n - 5k) / (n + 5k).

    Args:
        text: any text.
        close: Jaccard index that is wanted, 0 to 1.
        language: by whose words; in `zh` each character is one.
        drawn: draws places and words.
    """
    given = cut(text, language)
    return with_changed(given, round(len(given.words) * (1 - close) / (1 + close) / SHINGLE_WORDS), drawn)


class Documents:
    """As many documents as are wanted, by number: originals, and copies of those before."""

    def __init__(self, bases: Sequence[tuple[str, str]]) -> None:
        """Take real texts, each with its language, in an order in which languages are mixed."""
        self.bases = [cut(text, language) for text, language in bases]

    def is_copy(self, number: int) -> bool:
        """Tell whether a document is a near copy of another."""
        return number % COPIED == COPIED - 1

    def original_of(self, number: int) -> int:
        """Return the number of the document that a copy was made of."""
        assert self.is_copy(number)
        found = random.Random(number).randrange(number)
        return found - self.is_copy(found)

    def text(self, number: int) -> str:
        """Return a document."""
        drawn = random.Random(f"text {number}")
        if self.is_copy(number):
            original = self.original_of(number)
            return edited(self.text(original), drawn.uniform(*CLOSE), self.language(original), drawn)
        base = self._base(number)
        return with_changed(base, round(ORIGINAL_SHARE * len(base.words)), drawn)

    def language(self, number: int) -> str:
        """Return the language of an original."""
        return self._base(number).language

    def _base(self, number: int) -> Cut:
        return self.bases[number * 7919 % len(self.bases)]

    def similarity(self, number: int) -> float:
        """Return the true Jaccard index of a copy and its original."""
        original = self.original_of(number)
        language = self.language(original)
        sets = [similarity.shingles(self.text(one), SHINGLE_WORDS, language) for one in (number, original)]
        return nearness.jaccard(*sets)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return by which power of the size the time grows: the slope of a line through their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
