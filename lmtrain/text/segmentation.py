"""What a word and a sentence are, in each language: one definition of each, for every stage.

Curation counts with them and evaluation scores with them. Where a language
writes spaces a word follows from its characters alone; Chinese is cut by jieba
(the extra `zh`) or taken character by character. `lmtrain.text.spans` gives the
same words as positions, fast.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from lmtrain import storage
from lmtrain.errors import RecipeError
from lmtrain.text.characters import JOINERS, SENTENCE_ENDS, is_word_character, stands_alone

Segmenter = Literal["default", "jieba", "characters"]

UNSPACED = frozenset({"zh", "ja"})
"""Languages that write no spaces between words."""

CLOSERS = "\"'”’»)]}）】」』》〉"
"""What may stand between the end of a sentence and the space after it."""

UNSPACED_ENDS = frozenset("。！？｡．")
"""Ends of sentences after which no space is written."""

ABBREVIATIONS = frozenset(
    {"al", "approx", "cf", "dr", "e.g", "eq", "eqs", "etc", "fig", "figs", "i.e", "mr", "mrs", "ms"}
    | {"no", "p", "pp", "prof", "resp", "sec", "st", "vol", "vs"}
)
"""English words whose full stop doesn't end a sentence; single letters are initials and don't either."""


def words(text: str, language: str, segmenter: Segmenter = "default") -> list[str]:
    """Cut a text into words.

    A word is a run of letters, digits and marks; a single `.`, `'`, `’` or `_`
    between two of them doesn't part it. A run of one other character, such as
    `...` or `----`, is a word too: what is punctuation is for the caller to
    say. Spaces belong to no word. (A simple form of Unicode's UAX #29.)

    Args:
        text: any text.
        language: ISO 639 code.
        segmenter: `default` is jieba for `zh`, characters for `ja`, and the
            rule above elsewhere. `characters` is that rule with each Han
            character and kana as a word of its own.

    Raises:
        RecipeError: jieba is asked for and isn't installed.
    """
    if resolved(segmenter, language) == "jieba":
        return [word for word in jieba_pieces(text) if not word.isspace()]
    alone = resolved(segmenter, language) == "characters"
    found, start = [], 0
    while start < len(text):
        end = _end_of_word(text, start, alone)
        if not text[start].isspace():
            found.append(text[start:end])
        start = end
    return found


def resolved(segmenter: Segmenter, language: str) -> Literal["spaces", "jieba", "characters"]:
    """Return how a language is cut: what `default` stands for, and jieba for Chinese only."""
    if language not in UNSPACED:
        return "spaces"
    if language == "zh" and segmenter in ("default", "jieba"):
        return "jieba"
    return "characters"


def _end_of_word(text: str, start: int, alone: bool) -> int:
    first, end = text[start], start + 1
    if not is_word_character(first):
        while end < len(text) and text[end] == first:
            end += 1
        return end
    if alone and stands_alone(first):
        return end
    while True:
        if _goes_on(text, end, alone):
            end += 1
        elif end < len(text) and text[end] in JOINERS and _goes_on(text, end + 1, alone):
            end += 2
        else:
            return end


def _goes_on(text: str, place: int, alone: bool) -> bool:
    """Tell whether a word that has begun has this place too."""
    if place >= len(text) or not is_word_character(text[place]):
        return False
    return not (alone and stands_alone(text[place]))


def jieba_pieces(text: str) -> list[str]:
    """Cut a text by jieba; the pieces, spaces among them, joined are the text.

    Raises:
        RecipeError: jieba isn't installed.
    """
    return _jieba().lcut(text)


@cache
def _jieba() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its string escapes and its pkg_resources are of an older Python
        try:
            import jieba
        except ImportError as error:
            raise RecipeError(
                "Chinese words need jieba: pip install 'lmtrain[zh]', or set segmenter: characters"
            ) from error
    jieba.setLogLevel(logging.WARNING)
    tokenizer: Any = jieba.Tokenizer()
    folder = storage.cache_folder() / "jieba"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.tmp_dir = str(folder)  # its dictionary, marshalled; the default is a shared /tmp
    tokenizer.initialize()
    return tokenizer


def sentences(text: str, language: str) -> list[str]:
    """Cut a text into sentences, without the spaces around them.

    A sentence ends at an empty line, and at a run of sentence ends (`.`, `?`,
    `。` and their like in other scripts) with the closing quotes and brackets
    after it, if then comes a space, the end, or, after a sign of a script
    without spaces (`。！？`), anything. In Chinese and Japanese each line ends
    one too. A single full stop doesn't end a sentence before a small letter,
    after an initial, or after an English abbreviation.

    Args:
        text: any text.
        language: ISO 639 code.
    """
    block = r"\n" if language in UNSPACED else r"\n\s*\n"
    return [
        sentence
        for paragraph in re.split(block, text)
        for sentence in _sentences_of_paragraph(paragraph.strip(), language)
    ]


_END = re.compile(
    rf"(?P<signs>[{re.escape(''.join(sorted(SENTENCE_ENDS)))}…]+)[{re.escape(CLOSERS)}]*(?P<gap>\s*)(?P<next>\S?)"
)


def _sentences_of_paragraph(paragraph: str, language: str) -> Iterator[str]:
    start, place = 0, 0
    while end := _END.search(paragraph, place):
        place = end.start("next")
        if _ends_sentence(end, paragraph[start : end.start()], language):
            yield paragraph[start : end.start("gap")].strip()
            start = place
    if paragraph[start:].strip():
        yield paragraph[start:].strip()


def _ends_sentence(end: re.Match[str], before: str, language: str) -> bool:
    signs, following = end["signs"], end["next"]
    if signs[-1] in UNSPACED_ENDS or not following:
        return True
    if not end["gap"]:
        return False
    if signs != ".":
        return True
    last = before.rsplit(maxsplit=1)[-1:]
    word = last[0].lstrip("(\"'“‘[").lower() if last else ""
    initial = len(word) == 1 and word.isalpha() and language not in UNSPACED
    return not (following.islower() or initial or (language == "en" and word in ABBREVIATIONS))
