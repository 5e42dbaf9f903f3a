"""Near-duplicates of known similarity: real texts, some of whose words are replaced.

The words go in runs at places spread over the text, as an editor's changes do.
Nothing is drawn but by a seed and the number of a text.
"""

import random
import re
from collections.abc import Sequence

import numpy as np

from lmtrain.text import similarity
from lmtrain.text.segmentation import UNSPACED

SHINGLE_WORDS = 5


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
    units = re.findall(r"\w|\W+" if language in UNSPACED else r"\w+|\W+", text)
    words = [place for place, unit in enumerate(units) if unit[0].isalnum()]
    count = round(len(words) * (1 - close) / (1 + close) / SHINGLE_WORDS)
    for place in drawn.sample(words, min(count, len(words))):
        units[place] = chr(drawn.randrange(0x4E00, 0x9FFF)) if language in UNSPACED else _word(drawn)
    return "".join(units)


def _word(drawn: random.Random) -> str:
    return "".join(drawn.choices("abcdefghijklmnopqrstuvwxyz", k=drawn.randint(4, 10)))


def similarities(pairs: Sequence[tuple[str, str]], language: str) -> np.ndarray:
    """Return the true Jaccard index of each pair of texts, shape (pairs,)."""
    return np.array(
        [
            similarity.jaccard(*(similarity.shingles(text, SHINGLE_WORDS, language) for text in pair))
            for pair in pairs
        ]
    )
