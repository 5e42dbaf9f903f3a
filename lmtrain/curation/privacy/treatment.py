"""What is done about personal data: replaced, reported, or the document dropped.

A text and the config come in; out go the text that is kept, what was found, and
why the document is dropped, if it is.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lmtrain.curation.privacy.config import KINDS, Action, Kind, PrivacyConfig
from lmtrain.curation.privacy.finding import Match, find

PLACEHOLDERS: dict[Kind, str] = {kind: f"<{kind.upper()}>" for kind in KINDS}
"""What is written in place of a match: `<EMAIL>`, `<PHONE>`, `<IP>`, `<CARD>`, `<CHINESE_ID>` and so on."""


@dataclass(frozen=True)
class Treated:
    """A text after treatment.

    Attributes:
        text: with placeholders; as it was, if the document is dropped.
        counts: matches by kind, of those kinds that were found.
        dropped: the kind for which the document is dropped; None if it is kept.
    """

    text: str
    counts: dict[Kind, int]
    dropped: Kind | None = None


def treat(text: str, config: PrivacyConfig, points: np.ndarray | None = None) -> Treated:
    """Treat the personal data of a text as a recipe asks.

    A placeholder may free what stood too close to the match that it replaces
    (two numbers without a space between), so a text is searched until there is
    nothing more to replace: to treat a treated text changes nothing. Each
    round takes something away, and the first one all but such freaks. A text in
    which nothing is replaced is searched once.

    Args:
        text: any string.
        config: what is done about which kind.
        points: `code_points(text)`, for who has it already.
    """
    actions: dict[Kind, Action] = {kind: config.action_of(kind) for kind in KINDS}
    kinds: list[Kind] = [kind for kind in KINDS if actions[kind] != "off"]
    if not kinds:
        return Treated(text, {})
    found = find(text, kinds, points)
    counts: Counter[Kind] = Counter(match.kind for match in found)
    for kind in KINDS:
        if counts[kind] and actions[kind] == "drop":
            return Treated(text, _ordered(counts), kind)
    replaced = text
    while concerned := [match for match in found if actions[match.kind] == "replace"]:
        replaced = replace(replaced, concerned)
        found = find(replaced, kinds)
        counts.update(match.kind for match in found if actions[match.kind] == "replace")
    return Treated(replaced, _ordered(counts))


def replace(text: str, matches: list[Match]) -> str:
    """Return a text with the placeholder of its kind in place of each match."""
    parts, end = [], 0
    for match in matches:
        parts += [text[end : match.start], PLACEHOLDERS[match.kind]]
        end = match.end
    return "".join([*parts, text[end:]])


def _ordered(counts: Counter[Kind]) -> dict[Kind, int]:
    return {kind: counts[kind] for kind in KINDS if counts[kind]}
