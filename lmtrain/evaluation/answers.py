"""Whether an answer is the right one: the rules of SQuAD 2.0, and for Chinese those of CMRC 2018.

English (Rajpurkar et al. 2018): lower case, no punctuation, no articles; F1 over words. A true
answer of which nothing is left doesn't count, and where none counts, nothing is right. Chinese
(Cui et al. 2019): lower case, no punctuation of the script's list; F1 over the longest run of
units that both share, a unit being a Chinese character or a word of NLTK's tokenizer. (Kana are
units too, for Japanese: the script would take a run of them for one word.) Of several true answers
the best counts. Where there is no answer, only none is right.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from nltk.tokenize.destructive import NLTKWordTokenizer

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = frozenset(string.punctuation)
CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Single characters of the list of CMRC 2018's script; its double ellipsis never meets one."""

CMRC_PIECE = re.compile("[\u4e00-\u9fa5\u3040-\u30ff]|[^\u4e00-\u9fa5\u3040-\u30ff]+")
"""A Chinese character or kana, or what stands between two."""

WORDS = NLTKWordTokenizer()

BY_CHARACTERS = frozenset({"zh", "ja"})


def answer_scores(prediction: str, answers: Sequence[str], language: str) -> tuple[float, float]:
    """Return exact match and F1 of an answer.

    Args:
        prediction: empty for no answer.
        answers: the true ones; none where there is no answer.
        language: ISO 639 code.
    """
    if not answers and language in BY_CHARACTERS:
        right = float(not prediction.strip())
        return right, right
    units, normal = _rules(language)
    if language not in BY_CHARACTERS:
        answers = [answer for answer in answers if normal(answer)] or [""]
    exact = max(float(normal(prediction) == normal(answer)) for answer in answers)
    overlap = _longest_run if language in BY_CHARACTERS else _common
    return exact, max(_f1(units(prediction), units(answer), overlap) for answer in answers)


def squad_words(text: str) -> list[str]:
    """Return the words of an answer by SQuAD's rules."""
    kept = "".join(character for character in text.lower() if character not in PUNCTUATION)
    return ARTICLES.sub(" ", kept).split()


def cmrc_units(text: str) -> list[str]:
    """Return the units of an answer by CMRC's rules: Chinese characters, and words of all else."""
    pieces = CMRC_PIECE.findall(cmrc_normal(text))
    return [unit for piece in pieces for unit in ([piece] if len(piece) == 1 else WORDS.tokenize(piece))]


def cmrc_normal(text: str) -> str:
    """Return an answer in lower case without the punctuation of CMRC's list."""
    return "".join(character for character in text.lower().strip() if character not in CMRC_PUNCTUATION)


Overlap = Callable[[Sequence[str], Sequence[str]], int]


def _rules(language: str) -> tuple[Callable[[str], list[str]], Callable[[str], str]]:
    if language in BY_CHARACTERS:
        return cmrc_units, cmrc_normal
    return squad_words, lambda text: " ".join(squad_words(text))


def _f1(ours: Sequence[str], theirs: Sequence[str], overlap: Overlap) -> float:
    same = overlap(ours, theirs)
    if not ours and not theirs:  # SQuAD's script says right, CMRC's not
        return float(overlap is _common)
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


def _common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    return (Counter(ours) & Counter(theirs)).total()


def _longest_run(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the length of the longest run of units that stands in both."""
    best, row = 0, [0] * (len(theirs) + 1)
    for one in ours:
        before = 0
        for place, other in enumerate(theirs, 1):
            before, row[place] = row[place], before + 1 if one == other else 0
            best = max(best, row[place])
    return best
