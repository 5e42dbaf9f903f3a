"""Personal data in a text: where it stands and of what kind it is.

Texts come in, matches go out. `find` looks only where a match may begin,
`find_plain` defines it: each pattern over the whole text.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lmtrain.curation.privacy.candidates import EMAIL, candidates
from lmtrain.curation.privacy.config import KINDS, Kind
from lmtrain.curation.privacy.folding import folded
from lmtrain.curation.privacy.patterns import RULES, START_OF_EMAIL
from lmtrain.text.characters import code_points

_Found = tuple[int, int, int]
"""Start, number of the rule, end."""


class Match(NamedTuple):
    """Where personal data stands, in characters, and of what kind it is."""

    start: int
    end: int
    kind: Kind


def find(text: str, kinds: Collection[Kind] = KINDS, points: np.ndarray | None = None) -> list[Match]:
    """Find personal data.

    Where two matches overlap, that of the earlier rule in `patterns.RULES`
    stands: API keys, addresses, IBANs, Chinese identity numbers, cards, IPv6,
    IPv4, telephones, addresses spelled out. Matches of one rule are those that a
    search from left to right finds. The time is linear in the text.

    Args:
        text: any string.
        kinds: what to look for; what isn't looked for hides nothing.
        points: `code_points(text)`, for who has it already.

    Returns:
        Matches in the order of the text, without overlaps.
    """
    given = code_points(text) if points is None else points
    searched = folded(text, given)
    rules, places = candidates(given if searched is text else code_points(searched))
    text = searched
    ends = [0] * len(RULES)
    found: list[_Found] = []
    for number, place in zip(rules.tolist(), places.tolist(), strict=True):
        rule = RULES[number]
        start = place if place >= ends[number] else _resumed(text, number, ends[number])
        if rule.kind not in kinds or start is None:
            continue
        match = rule.pattern.match(text, start)
        if match and rule.accepts(match):
            ends[number] = match.end()
            found.append((start, number, match.end()))
    return _without_overlaps(found)


def _resumed(text: str, number: int, end: int) -> int | None:
    """Return where a match that would begin inside the one before it may begin instead, behind that."""
    first = START_OF_EMAIL.search(text, end) if number == EMAIL else None
    return first.start() if first else None


def find_plain(text: str, kinds: Collection[Kind] = KINDS) -> list[Match]:
    """Define `find`: search the text for each rule; what a rule's check refuses hides nothing behind it."""
    text = folded(text, code_points(text))
    numbers = [number for number, rule in enumerate(RULES) if rule.kind in kinds]
    return _without_overlaps([found for number in numbers for found in _searched(text, number)])


def _searched(text: str, number: int) -> Iterator[_Found]:
    rule, place = RULES[number], 0
    while match := rule.pattern.search(text, place):
        accepted = rule.accepts(match)
        if accepted:
            yield match.start(), number, match.end()
        place = match.end() if accepted else match.start() + 1


def _without_overlaps(found: list[_Found]) -> list[Match]:
    """Return matches in order; of those that overlap, the ones of earlier rules."""
    found.sort()
    if any(end > following for (_, _, end), (following, _, _) in pairwise(found)):
        kept: list[_Found] = []
        for match in sorted(found, key=lambda match: match[1]):
            place = bisect_left(kept, match)
            free = place == 0 or kept[place - 1][2] <= match[0]
            if free and (place == len(kept) or match[2] <= kept[place][0]):
                kept.insert(place, match)
        found = kept
    return [Match(start, end, RULES[number].kind) for start, number, end in found]
