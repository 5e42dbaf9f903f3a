"""Whether an answer is the right one: SQuAD's rules, and for Chinese those of CMRC 2018.

English (Rajpurkar et al. 2016): lower case, no punctuation, no articles; F1 over
words. Chinese (Cui et al. 2019): no punctuation, Chinese or ASCII; F1 over the
longest run of characters that both share, words of Latin letters and digits being
one character each. Of several true answers the best counts. No answer is right where
there is none, and only there.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = frozenset(string.punctuation)
CHINESE_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》……·、「」（）－～『』" + string.punctuation)
"""As CMRC 2018's script has it, and ASCII's."""

BY_CHARACTERS = frozenset({"zh", "ja"})


def answer_scores(prediction: str, answers: Sequence[str], language: str) -> tuple[float, float]:
    """Return exact match and F1 of an answer.

    Args:
        prediction: empty for no answer.
        answers: the true ones; none where there is no answer.
        language: ISO 639 code.
    """
    if not answers:
        right = float(not prediction.strip())
        return right, right
    units, normal = _rules(language)
    exact = max(float(normal(prediction) == normal(answer)) for answer in answers)
    overlap = _longest_run if language in BY_CHARACTERS else _common
    return exact, max(_f1(units(prediction), units(answer), overlap) for answer in answers)


def squad_words(text: str) -> list[str]:
    """Return the words of an answer by SQuAD's rules."""
    kept = "".join(character for character in text.lower() if character not in PUNCTUATION)
    return ARTICLES.sub(" ", kept).split()


def cmrc_units(text: str) -> list[str]:
    """Return the characters of an answer by CMRC's rules, words of Latin letters and digits as one each."""
    kept = "".join(" " if character in CHINESE_PUNCTUATION else character for character in text.lower())
    return re.findall(r"[a-z0-9]+|[^\sa-z0-9]", kept)


Overlap = Callable[[Sequence[str], Sequence[str]], int]


def _rules(language: str) -> tuple[Callable[[str], list[str]], Callable[[str], str]]:
    if language in BY_CHARACTERS:
        return cmrc_units, lambda text: "".join(cmrc_units(text))
    return squad_words, lambda text: " ".join(squad_words(text))


def _f1(ours: Sequence[str], theirs: Sequence[str], overlap: Overlap) -> float:
    same = overlap(ours, theirs)
    if not ours and not theirs:
        return 1.0
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
