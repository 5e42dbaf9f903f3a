"""How much text there is of each source and licence: read, dropped, kept, and as tokens.

In: the line's artifacts, whose manifests hold these totals, so that no document
is read again. Out: lines of a table with subtotals.

Documents know licences, shards know tokens. Shards' manifests tell tokens by
source and licence, joined document by document where a document is encoded.
"""

from dataclasses import dataclass

from lmtrain.reporting.line import Line
from lmtrain.totals import BY_SOURCE_AND_LICENSE, Row, Totals, added, table


@dataclass(frozen=True)
class Volume:
    """One line of the table.

    Attributes:
        source: what the line begins with; empty in the line of all.
        license: the licence, where the line is of one.
        is_part: it is one licence of the source above it.
        figures: by unit (`documents`, `bytes`, `words`, `tokens`) and then by what was done
            (`read`, `dropped`, `kept`); what isn't known isn't there.
        read: bytes that were read, as a share of the largest line's.
        kept: bytes that were kept, likewise.
    """

    source: str
    license: str
    is_part: bool
    figures: dict[str, dict[str, int]]
    read: float
    kept: float


def totals(line: Line) -> dict[str, Totals]:
    """Return all that the manifests tell by source and licence, by what was done."""
    given = [
        artifact.stats[BY_SOURCE_AND_LICENSE]
        for role in ("documents", "shards")
        for artifact in line[role]
        if BY_SOURCE_AND_LICENSE in artifact.stats
    ]
    if not any("read" in one for one in given):
        given.append({"read": _of_corpora(line)})
    return {
        done: added(one.get(done, {}) for one in given)
        for done in ("read", "dropped", "kept", "tokenized")
        if any(one.get(done) for one in given)
    }


def _of_corpora(line: Line) -> Totals:
    """Return documents and bytes as they were ingested; a corpus has one source."""
    return added(
        {source: corpus.stats.get("by_license", {})}
        for corpus in line["corpora"]
        for source in corpus.stats.get("by_source", {})
    )


def volumes(line: Line) -> list[Volume]:
    """Return the lines: each source, below it its licences if it has several, and all at the end."""
    rows, whole = table(totals(line))
    if not rows:
        return []
    largest = max(row.bytes for row in rows) or 1
    lines = []
    for row in rows:
        lines += [_volume(row, largest, False), *(_volume(part, largest, True) for part in row.parts)]
    return [*lines, _volume(whole, whole.bytes or 1, False)] if len(rows) > 1 else lines


def _volume(row: Row, largest: int, is_part: bool) -> Volume:
    figures: dict[str, dict[str, int]] = {}
    for done, counts in sorted(row.counts.items(), key=lambda item: item[0] == "tokenized"):
        for unit, number in counts.items():
            of_unit = figures.setdefault(unit, {})
            if done == "tokenized":  # the documents that were kept, which have told the rest
                of_unit.setdefault("kept", number)
            else:
                of_unit[done] = number
    of_bytes = figures.get("bytes", {})
    read, kept = (of_bytes.get(done, 0) / largest for done in ("read", "kept"))
    return Volume(row.source, row.license, is_part, figures, read, kept)
