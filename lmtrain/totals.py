"""Documents, bytes, words and tokens by source and licence.

In: tables of documents, one row each, wherever a stage has them at hand. Out:
counts that add up over shards and stand in manifests under
`by_source_and_license`, and rows with subtotals for who shows them. Stages that
count other things of the same documents meet in these keys: shards know tokens,
documents know words.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

Totals = dict[str, dict[str, dict[str, int]]]
"""Counts by source and licence: `{"manuals": {"MIT": {"documents": 2, "bytes": 70}}}`."""

BY_SOURCE_AND_LICENSE = "by_source_and_license"
"""The entry of a manifest's stats: `Totals` by what was done: `read`, `dropped`, `kept`, `tokenized`."""

UNKNOWN = "unknown"


def totals_of(documents: pa.Table, **numbers: Any) -> Totals:
    """Count documents, and add up numbers, by source and licence.

    Args:
        documents: columns `source` and `license`; what has none counts as `unknown`.
        numbers: for each name a number of each document, shape (documents,).
    """
    columns: dict[str, Any] = {name: documents[name].cast(pa.string()) for name in ("source", "license")}
    columns |= {name: pa.array(given, pa.int64()) for name, given in numbers.items()}
    wanted: Any = [([], "count_all"), *((name, "sum") for name in numbers)]
    grouped = pa.table(columns).group_by(["source", "license"]).aggregate(wanted)
    return added(
        {row["source"] or UNKNOWN: {row["license"] or UNKNOWN: _counts(row, numbers)}}
        for row in grouped.to_pylist()
    )


def _counts(row: dict[str, Any], names: Iterable[str]) -> dict[str, int]:
    return {"documents": row["count_all"], **{name: row[f"{name}_sum"] for name in names}}


def added(many: Iterable[Totals]) -> Totals:
    """Add up totals, with sorted keys."""
    whole: dict[str, dict[str, Counter[str]]] = {}
    for totals in many:
        for source, by_license in totals.items():
            for name, counts in by_license.items():
                whole.setdefault(source, {}).setdefault(name, Counter()).update(counts)
    return {
        source: {name: dict(by_license[name]) for name in sorted(by_license)}
        for source, by_license in sorted(whole.items())
    }


@dataclass
class Row:
    """A line of the table of totals.

    Attributes:
        source: of its documents; empty in the line of all sources.
        license: of its documents; empty in a line of several licences.
        counts: by what was done and then by unit, `counts["kept"]["bytes"]`.
        parts: a source's lines by licence, where it has several.
    """

    source: str
    license: str = ""
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    parts: list["Row"] = field(default_factory=list)

    def add(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Count what another line counts, too."""
        for done, units in counts.items():
            self.counts.setdefault(done, Counter()).update(units)

    @property
    def bytes(self) -> int:
        """What it is ranked by: of what was read, or else of what there is."""
        return max((units["bytes"] for units in self.counts.values()), default=0)


def table(given: Mapping[str, Totals], sources: int = 20, licenses: int = 10) -> tuple[list[Row], Row]:
    """Join totals of several kinds into lines, the largest in bytes first.

    Args:
        given: totals by what was done.
        sources: at most so many lines of sources; the smallest are one line together.
        licenses: at most so many lines of licences in a source, likewise.

    Returns:
        A line for each source, and the line of all.
    """
    joined: dict[str, dict[str, Row]] = {}
    for done, totals in given.items():
        for source, by_license in totals.items():
            for name, counts in by_license.items():
                row = joined.setdefault(source, {}).setdefault(name, Row(source, name))
                row.add({done: counts})
    lines = [_of_source(source, list(rows.values()), licenses) for source, rows in joined.items()]
    return _largest(lines, sources, "source"), _sum(Row(""), lines)


def _of_source(source: str, rows: list[Row], licenses: int) -> Row:
    if len(rows) == 1:
        return rows[0]
    return _sum(Row(source, parts=_largest(rows, licenses, "license")), rows)


def _largest(rows: list[Row], limit: int, named_by: str) -> list[Row]:
    """Return rows in the order of their size, the smallest as one where there are too many."""
    ranked = sorted(rows, key=lambda row: (-row.bytes, row.source, row.license))
    if len(ranked) <= limit:
        return ranked
    shown, rest = ranked[: limit - 1], ranked[limit - 1 :]
    others = Row(rest[0].source)
    setattr(others, named_by, f"{len(rest)} others")
    return [*shown, _sum(others, rest)]


def _sum(whole: Row, rows: Iterable[Row]) -> Row:
    for row in rows:
        whole.add(row.counts)
    return whole
