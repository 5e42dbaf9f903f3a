"""Documents in another language than the preset's, or not surely in it."""

from lmtrain.curation.document import Document
from lmtrain.curation.filters.rules import Reason, Rule, Thresholds, Verdict


def score(document: Document) -> float:
    """Return how sure it is that the text is in the document's language: 0 if another is likelier."""
    language, found = document.identified
    return found if language == document.language else 0.0


RULES = (Rule("language_score", "min_language_score", score),)


def language(document: Document, thresholds: Thresholds) -> Verdict:
    """Drop a document whose likeliest language isn't the preset's, or whose score is too low.

    The detail of the reason is the likeliest language.
    """
    threshold = thresholds.get("min_language_score")
    found, value = document.identified
    if threshold is None or score(document) >= threshold:
        return True
    name = "language_score" if found == document.language else "other_language"
    return False, Reason(name, value, threshold, found)
