"""The graph of a run: boxes in rows, each below all that it is made of, joined by curves.

Boxes in, one inline SVG out. The layout is the layered one (Sugiyama, Tagawa
and Toda 1981): a curve that passes a row gets a narrow place of its own in it,
so no curve runs behind a box, and rows are ordered to cross little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

BOX_WIDTH = 164
BOX_HEIGHT = 52
PASS_WIDTH = 10
GAP = 16
ROW_GAP = 40
SWEEPS = 6
NAME_CHARACTERS = 19


@dataclass
class Box:
    """One box.

    Attributes:
        key: names it in `needs`.
        kind: the artifact's kind; a class for its color.
        stage: the verb, in small letters above the name.
        name: the artifact's label, cut if it is long.
        told: all there is to say, shown on hovering.
        needs: keys of the boxes that it is made of.
    """

    key: str
    kind: str
    stage: str
    name: str
    told: str
    needs: list[str]


Slot = tuple[str, int]
"""A place in a row: a box's key and the row. In rows below the box's own it is where its curves pass."""


def stage_graph(boxes: Sequence[Box], title: str) -> Markup:
    """Draw the graph.

    Args:
        boxes: each after those that it needs.
        title: what a person who doesn't see the figure is told.
    """
    level = levels(boxes)
    rows, links = _rows(boxes, level)
    _order(rows, links)
    centers = _centers(rows, level)
    width = max(x + _width(slot, level) / 2 for slot, x in centers.items())
    height = len(rows) * (BOX_HEIGHT + ROW_GAP) - ROW_GAP
    edges = Markup("").join(_edge(upper, lower, centers, level) for upper, lower in links)
    drawn = Markup("").join(_drawn(box, centers[box.key, level[box.key]], level[box.key]) for box in boxes)
    return Markup(
        '<svg class="graph" width="{w:.0f}" height="{h:.0f}" viewBox="-2 -2 {w:.0f} {h:.0f}" role="img" '
        'aria-label="{t}"><title>{t}</title>{}{}</svg>'
    ).format(edges, drawn, w=width + 4, h=height + 4, t=title)


def levels(boxes: Sequence[Box]) -> dict[str, int]:
    """Return each box's row: one below the lowest that it needs."""
    level: dict[str, int] = {}
    for box in boxes:
        level[box.key] = max((level[need] + 1 for need in box.needs), default=0)
    return level


def _rows(boxes: Sequence[Box], level: dict[str, int]) -> tuple[list[list[Slot]], list[tuple[Slot, Slot]]]:
    """Return the slots of each row, and the links from row to row; curves of one box share their passes."""
    slots: dict[Slot, None] = {(box.key, level[box.key]): None for box in boxes}
    links: dict[tuple[Slot, Slot], None] = {}
    for box in boxes:
        for need in box.needs:
            for row in range(level[need] + 1, level[box.key]):
                slots[need, row] = None
                links[(need, row - 1), (need, row)] = None
            links[(need, level[box.key] - 1), (box.key, level[box.key])] = None
    rows: list[list[Slot]] = [[] for _ in range(max(level.values()) + 1)]
    for slot in slots:
        rows[slot[1]].append(slot)
    return rows, list(links)


def _order(rows: list[list[Slot]], links: list[tuple[Slot, Slot]]) -> None:
    """Sort each row by the mean place of what its slots are linked to, downwards and upwards in turn."""
    above: dict[Slot, list[Slot]] = {}
    below: dict[Slot, list[Slot]] = {}
    for upper, lower in links:
        above.setdefault(lower, []).append(upper)
        below.setdefault(upper, []).append(lower)
    for sweep in range(SWEEPS):
        near = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            place = {slot: (index + 0.5) / len(full) for full in rows for index, slot in enumerate(full)}
            row.sort(key=lambda slot: fmean([place[other] for other in near.get(slot, [slot])]))


def _width(slot: Slot, level: dict[str, int]) -> int:
    return BOX_WIDTH if level[slot[0]] == slot[1] else PASS_WIDTH


def _centers(rows: list[list[Slot]], level: dict[str, int]) -> dict[Slot, float]:
    """Return the horizontal centers of slots, every row in the middle of the widest."""
    spans = [sum(_width(slot, level) for slot in row) + GAP * (len(row) - 1) for row in rows]
    centers = {}
    for row, span in zip(rows, spans, strict=True):
        x = (max(spans) - span) / 2
        for slot in row:
            width = _width(slot, level)
            centers[slot] = x + width / 2
            x += width + GAP
    return centers


def _edge(upper: Slot, lower: Slot, centers: dict[Slot, float], level: dict[str, int]) -> Markup:
    start = upper[1] * (BOX_HEIGHT + ROW_GAP) + BOX_HEIGHT
    end = start + ROW_GAP
    passes = f"V{end + BOX_HEIGHT}" if level[lower[0]] != lower[1] else ""
    return Markup('<path class="edge" d="M{a:.0f} {}C{a:.0f} {m} {b:.0f} {m} {b:.0f} {}{}"/>').format(
        start, end, passes, a=centers[upper], b=centers[lower], m=(start + end) // 2
    )


def _drawn(box: Box, center: float, row: int) -> Markup:
    name = box.name if len(box.name) <= NAME_CHARACTERS else box.name[: NAME_CHARACTERS - 1] + "…"
    y = row * (BOX_HEIGHT + ROW_GAP)
    return Markup(
        '<g class="box box-{}"><title>{}</title>'
        '<rect x="{:.0f}" y="{}" width="{}" height="{}" rx="7"/>'
        '<text class="box-kind" x="{x:.0f}" y="{}">{}</text>'
        '<text class="box-name" x="{x:.0f}" y="{}">{}</text></g>'
    ).format(
        box.kind,
        box.told,
        center - BOX_WIDTH / 2,
        y,
        BOX_WIDTH,
        BOX_HEIGHT,
        y + 20,
        box.stage,
        y + 38,
        name,
        x=center,
    )
