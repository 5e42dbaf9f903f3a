"""What filters took out of texts that they kept: C4's lines, lines that recur, personal data.

In: the stats of curation. Out: for each filter how much, and of what kind.
"""

from dataclasses import dataclass
from typing import Any

from lmtrain.reporting import humanize


@dataclass(frozen=True)
class Rewrite:
    """What one filter took out of texts.

    Attributes:
        name: the filter in words.
        kinds: what was taken out, how often, and that as a share of the most frequent kind.
        unit: what `kinds` are counted in, one of it.
    """

    name: str
    documents: int
    bytes: int
    words: int
    unit: str
    kinds: list[tuple[str, int, float]]


UNITS = {"privacy": "place", "recurring": "piece"}
"""What a filter counts, where it isn't lines."""


def rewrites(stats: dict[str, Any]) -> list[Rewrite]:
    """Return what each filter took out, the one that took most first."""
    found = [
        _rewrite(name, given) for name, given in stats.get("rewritten", {}).items() if given["documents"]
    ]
    return sorted(found, key=lambda one: (-one.bytes, one.name))


def _rewrite(name: str, given: dict[str, Any]) -> Rewrite:
    removed = sorted(given["removed"].items(), key=lambda item: (-item[1], item[0]))
    most = max((number for _, number in removed), default=0)
    return Rewrite(
        name=humanize.words(name),
        documents=given["documents"],
        bytes=given["bytes"],
        words=given["words"],
        unit=UNITS.get(name, "line"),
        kinds=[(humanize.words(kind), number, number / most) for kind, number in removed if number],
    )
