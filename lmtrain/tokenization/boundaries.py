"""At which tokens of a document its sentences and words begin, for objectives that need to know."""

import numpy as np
from tokenizers import Encoding

from lmtrain.text.characters import code_points
from lmtrain.text.segmentation import sentences
from lmtrain.text.spans import word_spans


def starts_of(name: str, text: str, language: str, encoding: Encoding) -> np.ndarray:
    """Return the tokens at which something begins.

    Args:
        name: `sentence_starts` or `word_starts`.
        text: of the document.
        language: ISO 639 code.
        encoding: of the text, without special tokens.

    Returns:
        Rising token positions, without repeats (a token may hold two short words), uint32.
    """
    characters = (
        _sentence_places(text, language) if name == "sentence_starts" else _word_places(text, language)
    )
    ends = np.fromiter((end for _, end in encoding.offsets), np.int64, len(encoding.offsets))
    # A token is the one that holds the character: it may begin with the space before it.
    tokens = np.unique(np.searchsorted(ends, characters, side="right"))
    return tokens[tokens < len(ends)].astype(np.uint32)


def _sentence_places(text: str, language: str) -> np.ndarray:
    places, place = [], 0
    for sentence in sentences(text, language):
        place = text.index(sentence, place)
        places.append(place)
        place += len(sentence)
    return np.array(places, dtype=np.int64)


def _word_places(text: str, language: str) -> np.ndarray:
    return word_spans(code_points(text), text, language).starts
