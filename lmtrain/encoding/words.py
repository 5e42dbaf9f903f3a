"""Words that are labelled one by one, as tokens: each word's first token stands for it.

Words are tokenized apart, so that no token belongs to two: a tokenizer would
else join Chinese characters that have labels of their own. Between words that are
written apart each is given the space before it.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

CJK = ((0x2E80, 0x9FFF), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
"""Ranges of characters that are written without spaces between words (Hangul's words are given as words)."""


PROBE = "a"
"""A text that every tokenizer knows."""


def encode_words(
    tokenizer: PreTrainedTokenizerBase, words: Sequence[str], longest: int
) -> tuple[list[int], list[int]]:
    """Return the tokens of words in their frame, and where each word's first token stands.

    Args:
        tokenizer: of the model.
        words: of a sentence.
        longest: tokens at most; words beyond are left out.

    Returns:
        Token ids, shape (tokens,); places, shape (words that fit,): -1 for a word without tokens.
    """
    spelled = [f" {word}" if _is_apart(words, at) else word for at, word in enumerate(words)]
    pieces: Any = (
        tokenizer(spelled, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if spelled
        else []
    )
    opening, closing = frame_of(tokenizer)
    room = longest - len(opening) - len(closing)
    body: list[int] = []
    places: list[int] = []
    for piece in pieces:
        if len(body) + len(piece) > room:
            break
        places.append(len(opening) + len(body) if piece else -1)
        body += piece
    return [*opening, *body, *closing], places


def frame_of(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the tokens that a tokenizer puts before and behind a text."""
    framed: Any = tokenizer(PROBE)["input_ids"]
    bare: Any = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    place = next(at for at in range(len(framed)) if framed[at : at + len(bare)] == bare)
    return framed[:place], framed[place + len(bare) :]


def _is_apart(words: Sequence[str], at: int) -> bool:
    """Tell whether a word is written with a space before it."""
    return at > 0 and not (is_cjk(words[at - 1][-1:]) or is_cjk(words[at][:1]))


def is_cjk(character: str) -> bool:
    """Tell whether a character is one that is written without spaces around."""
    return bool(character) and any(low <= ord(character) <= high for low, high in CJK)
