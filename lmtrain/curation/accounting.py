"""What is told of documents that are dropped: how much each rule took, and which of them are shown.

In: judged rows of a part. Out: sums and a few smallest ids, small enough to be
returned by a task and added up over all parts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Any

import pyarrow as pa

from lmtrain.curation.columns import values
from lmtrain.curation.removal import REMOVAL

EXAMPLES = 20
"""Dropped documents of each reason whose text is kept: those of the smallest ids, which are hashes."""

Volumes = dict[str, Counter[str]]
"""Documents, bytes and words by `filter/reason`; what is kept stands under the empty name."""


def account(judged: pa.Table) -> dict[str, Any]:
    """Return what there is to tell of judged rows: `taken`, as `Volumes`, and `smallest` of those to show."""
    names = names_of(judged)
    taken: Volumes = {}
    for name, size, words in zip(names, values(judged["bytes"]), values(judged["words"]), strict=True):
        taken.setdefault(name, Counter()).update(documents=1, bytes=size, words=words)
    ids = values(judged["id"])
    shown = [row for row, name in enumerate(names) if name and not name.startswith(f"{REMOVAL}/")]
    return {
        "taken": {name: dict(volume) for name, volume in taken.items()},
        "smallest": smallest([ids[row] for row in shown], [names[row] for row in shown], shown),
    }


def names_of(judged: pa.Table) -> list[str]:
    """Return `filter/reason` of each row, empty where it is kept."""
    columns = (values(judged[name]) for name in ("filter", "reason"))
    return [f"{name}/{reason}" if name else "" for name, reason in zip(*columns, strict=True)]


def smallest(ids: Iterable[str], names: Iterable[str], places: Iterable[int]) -> str:
    """Return of each name the `EXAMPLES` smallest ids, each with its place.

    As JSON in one string: the driver holds one of each part, and Python's objects are ten times as large.
    """
    by_name: dict[str, list[tuple[str, int]]] = {}
    for identity, name, place in zip(ids, names, places, strict=True):
        by_name.setdefault(name, []).append((identity, place))
    return json.dumps({name: nsmallest(EXAMPLES, by_name[name]) for name in sorted(by_name)})


def volumes_of(tables: Iterable[Mapping[str, Mapping[str, int]]]) -> Volumes:
    """Add up `taken` of several parts."""
    total: Volumes = {}
    for table in tables:
        for name, volume in table.items():
            total.setdefault(name, Counter()).update(volume)
    return total


def chosen(judged: Sequence[str], copies: Iterable[str], row_bits: int) -> list[frozenset[int]]:
    """Choose for each part the rows whose text is kept: of each reason the smallest ids of all parts.

    Args:
        judged: `smallest` of each part, with rows.
        copies: `smallest` of copies, with numbers of documents: of the part and, in `row_bits`, the row.
        row_bits: so many.
    """
    by_name: dict[str, list[tuple[str, int]]] = {}

    def take_in(given: str, first: int) -> None:
        for name, entries in json.loads(given).items():
            found = [(identity, first + place) for identity, place in entries]
            by_name[name] = nsmallest(EXAMPLES, [*by_name.get(name, []), *found])

    for part, given in enumerate(judged):
        take_in(given, part << row_bits)
    for given in copies:
        take_in(given, 0)
    rows: list[set[int]] = [set() for _ in judged]
    for entries in by_name.values():
        for _, document in entries:
            rows[document >> row_bits].add(document & ((1 << row_bits) - 1))
    return [frozenset(one) for one in rows]
