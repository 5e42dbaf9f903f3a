"""Figures drawn for the page: inline SVG and HTML that take their colors from the page's CSS.

Values in, `Markup` out. Shapes are SVG stretched to the width that there is;
text is HTML beside it, at the size of the page's text on a phone as on a desk.
Every color is a class, so that light, dark and print need no second drawing.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lmtrain.reporting import humanize
from lmtrain.reporting.curves import Series

PLOT_WIDTH = 1000
PLOT_HEIGHT = 400
"""Units of a plot's own coordinates; stretched to the page, with strokes that aren't."""


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return about `wanted` round numbers within [low, high], in steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def bounds(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """Return the least and the greatest value with some air around them."""
    low, high = min(values), max(values)
    air = (high - low) * margin or abs(high) * margin or 1.0
    return low - air, high + air


def tick_text(value: float) -> str:
    """Return an axis label: as few digits as the number needs."""
    if abs(value) >= 1000:
        return humanize.compact(value)
    return f"{value:.6g}".replace("-", humanize.MINUS)


def line_chart(
    lines: Sequence[Series],
    *,
    title: str,
    x_label: str,
    format_y: Callable[[float], str] = tick_text,
    y_range: tuple[float, float] | None = None,
    from_zero: bool = False,
) -> Markup:
    """Draw lines over a common axis.

    Args:
        lines: each with at least one point.
        title: what a person who doesn't see the figure is told.
        x_label: the unit of x.
        format_y: text of a value on the y axis.
        y_range: the y axis; from the values if None.
        from_zero: the y axis begins at zero.
    """
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_low, x_high = min(0.0, *xs), max(xs)
    y_low, y_high = y_range or bounds(ys)
    y_low = 0.0 if from_zero else y_low
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0

    def place(x: float, y: float) -> str:
        inside = min(max(y, y_low), y_high)
        across = (x - x_low) / x_span * PLOT_WIDTH
        return f"{across:.1f},{(y_high - inside) / y_span * PLOT_HEIGHT:.1f}"

    y_ticks = ticks(y_low, y_high, 4)
    x_ticks = ticks(x_low, x_high, 5)
    grid = _grid([(y_high - value) / y_span for value in y_ticks])
    paths = Markup("").join(
        Markup('<polyline class="line line-{}" points="{}"/>').format(
            line.style, " ".join(place(x, y) for x, y in _with_extent(line.points, x_span))
        )
        for line in lines
    )
    drawing = Markup(
        '<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}{}</svg>"
    ).format(PLOT_WIDTH, PLOT_HEIGHT, title, title, grid, paths)
    return _charted(
        _keys([(line.style, line.name) for line in lines]),
        _labels(((y_high - value) / y_span, format_y(value)) for value in y_ticks),
        drawing,
        _labels(((value - x_low) / x_span, tick_text(value)) for value in x_ticks),
        x_label,
    )


@dataclass(frozen=True)
class Dot:
    """One trial, or whatever else has two values; `part` is drawn pale, `ring` with a ring around it."""

    x: float
    y: float
    told: str
    part: bool = False
    ring: bool = False


@dataclass(frozen=True)
class Dots:
    """Dots of one colour."""

    name: str
    dots: list[Dot]


DOT_COLORS = 4
"""Colours that the style sheet has; with more groups they come again."""


def dot_chart(groups: Sequence[Dots], *, title: str, x_label: str) -> Markup:
    """Draw dots over a logarithmic axis.

    Args:
        groups: each with at least one dot, whose x is positive.
        title: what a person who doesn't see the figure is told.
        x_label: the unit of x.
    """
    xs = [math.log10(dot.x) for group in groups for dot in group.dots]
    (x_low, x_high), (y_low, y_high) = bounds(xs), bounds([dot.y for group in groups for dot in group.dots])

    def mark(dot: Dot, style: str) -> Markup:
        across = (math.log10(dot.x) - x_low) / (x_high - x_low) * PLOT_WIDTH
        down = (y_high - dot.y) / (y_high - y_low) * PLOT_HEIGHT
        return Markup('<path class="dot {}" d="M{:.1f},{:.1f}h0"><title>{}</title></path>').format(
            style, across, down, dot.told
        )

    rings = [mark(dot, "dot-ring") for group in groups for dot in group.dots if dot.ring]
    dots = [
        mark(dot, f"dot-{number % DOT_COLORS}{' dot-part' if dot.part else ''}")
        for number, group in enumerate(groups)
        for dot in group.dots
    ]
    y_ticks = [((y_high - value) / (y_high - y_low), value) for value in ticks(y_low, y_high, 4)]
    x_ticks = [((math.log10(value) - x_low) / (x_high - x_low), value) for value in _log_ticks(x_low, x_high)]
    drawing = Markup(
        '<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}{}</svg>"
    ).format(
        PLOT_WIDTH,
        PLOT_HEIGHT,
        title,
        title,
        _grid([at for at, _ in y_ticks]),
        Markup("").join([*rings, *dots]),
    )
    keys = [(str(number % DOT_COLORS), group.name) for number, group in enumerate(groups)]
    return _charted(
        _keys(keys),
        _labels((at, tick_text(value)) for at, value in y_ticks),
        drawing,
        _labels((at, f"{value:g}") for at, value in x_ticks),
        x_label,
    )


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten within 10^low and 10^high, fewer over many powers."""
    factors = (1, 2, 5) if high - low < 2 else (1, 3) if high - low < 3 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    marks = [float(f"{factor}e{power}") for power in powers for factor in factors]
    return [mark for mark in marks if low <= math.log10(mark) <= high]


def _grid(heights: Sequence[float]) -> Markup:
    """Draw lines across the plot at shares of its height, from the top."""
    return Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            PLOT_WIDTH, y=at * PLOT_HEIGHT
        )
        for at in heights
    )


def _charted(legend: Markup, y_labels: Markup, drawing: Markup, x_labels: Markup, x_label: str) -> Markup:
    """Put a drawing and what is written around it together."""
    return Markup(
        '<div class="chart">{}<div class="y-axis" aria-hidden="true">{}</div>'
        '<div class="plot-box">{}</div><div class="x-axis" aria-hidden="true">{}</div>'
        '<div class="x-label" aria-hidden="true">{}</div></div>'
    ).format(legend, y_labels, drawing, x_labels, x_label)


def _with_extent(points: list[tuple[float, float]], x_span: float) -> list[tuple[float, float]]:
    """Give a single point a little length, or a line of it would be invisible."""
    if len(points) > 1:
        return points
    (x, y), half = points[0], x_span * 0.005
    return [(x - half, y), (x + half, y)]


def _keys(named: Iterable[tuple[str, str]]) -> Markup:
    """Write the legend: a style's mark and a name for each."""
    keys = Markup("").join(Markup('<span class="key key-{}">{}</span>').format(*one) for one in named)
    return Markup('<div class="legend">{}</div>').format(keys)


EDGE = 0.04
"""A label nearer to an end of its axis than this share grows inwards, or it would leave the figure."""


def _labels(placed: Iterable[tuple[float, str]]) -> Markup:
    """Write texts at their shares of an axis; the style sheet centers them by `--shift`."""
    spans = []
    for at, text in placed:
        shift = 0 if at < EDGE else -100 if at > 1 - EDGE else -50
        spans.append(Markup('<span style="--at:{:.2f}%;--shift:{}%">{}</span>').format(100 * at, shift, text))
    return Markup("").join(spans)


def length_histogram(edges: Sequence[float], counts: Sequence[int], *, title: str) -> Markup:
    """Draw how many documents have which length.

    Args:
        edges: of the bins in bytes, one more than counts (or as many, where the last bin is open).
        counts: documents in each bin.
        title: what a person who doesn't see the figure is told.
    """

    def mark(index: int) -> str:
        given = index < len(edges) and math.isfinite(edges[index])
        return humanize.size(edges[index]).replace("bytes", "B") if given else ""

    def tell(index: int, number: int) -> str:
        return f"{_bin_text(edges, index)}: {humanize.plural(number, 'document')}"

    return _histogram(counts, title, "length of a document", mark, tell, centered=False)


def cluster_histogram(edges: Sequence[int], counts: Sequence[int], *, title: str) -> Markup:
    """Draw how many clusters have which size.

    Args:
        edges: least documents of a cluster in each bin, and one more.
        counts: clusters in each bin.
        title: what a person who doesn't see the figure is told.
    """

    def mark(index: int) -> str:
        low, high = edges[index], edges[index + 1] - 1
        return humanize.count(low) if low == high else f"{humanize.count(low)}–{humanize.count(high)}"

    def tell(index: int, number: int) -> str:
        return f"{mark(index)} documents: {humanize.plural(number, 'group')}"

    return _histogram(counts, title, "documents in a group", mark, tell, centered=True)


def _histogram(
    counts: Sequence[int],
    title: str,
    x_label: str,
    mark: Callable[[int], str],
    tell: Callable[[int, int], str],
    *,
    centered: bool,
) -> Markup:
    """Draw bins side by side at equal width, as suits edges on a logarithmic scale.

    Args:
        counts: of each bin; empty ones at the ends aren't drawn.
        title: what a person who doesn't see the figure is told.
        x_label: what the bins are bins of.
        mark: text of a bin, or of its lower edge; may be empty.
        tell: text of a bin and its count, shown on hovering.
        centered: whether `mark` is of the bin.
    """
    used = [index for index, number in enumerate(counts) if number]
    first, last = used[0], used[-1]
    shown = counts[first : last + 1]
    highest = max(shown)
    bars = _bars(
        [number / highest for number in shown], [tell(first + n, each) for n, each in enumerate(shown)]
    )
    y_ticks = ticks(0, highest, 4)
    grid = _grid([1 - value / highest for value in y_ticks])
    every = max(1, math.ceil(len(shown) / 4))
    marks = [
        ((index + 0.5 * centered) / len(shown), mark(first + index))
        for index in range(0, len(shown) + (not centered), every)
    ]
    drawing = Markup(
        '<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "<title>{}</title>{}{}</svg>"
    ).format(PLOT_WIDTH, PLOT_HEIGHT, title, title, grid, bars)
    return _charted(
        Markup(""),
        _labels((1 - value / highest, tick_text(value)) for value in y_ticks),
        drawing,
        _labels(marks),
        x_label,
    )


def _bars(heights: Sequence[float], told: Sequence[str]) -> Markup:
    """Return bars side by side, each with what is shown on hovering; heights are shares of the plot's."""
    width = PLOT_WIDTH / len(heights)
    bar = Markup(
        '<rect class="bar" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>'
    )
    return Markup("").join(
        bar.format(
            (index + 0.04) * width, PLOT_HEIGHT * (1 - height), 0.92 * width, PLOT_HEIGHT * height, title
        )
        for index, (height, title) in enumerate(zip(heights, told, strict=True))
    )


def _bin_text(edges: Sequence[float], index: int) -> str:
    if index + 1 < len(edges) and math.isfinite(edges[index + 1]):
        return f"{humanize.size(edges[index])} to {humanize.size(edges[index + 1])}"
    return f"{humanize.size(edges[index])} and more"


def interval_bar(value: float, low: float, high: float, axis: tuple[float, float], style: str) -> Markup:
    """Draw a point with its interval on an axis, as in a forest plot; `style` is a class in the CSS."""
    span = (axis[1] - axis[0]) or 1.0

    def at(number: float) -> float:
        return min(max(100 * (number - axis[0]) / span, 0.0), 100.0)

    return Markup(
        '<span class="interval interval-{}" style="--low:{:.2f}%;--high:{:.2f}%;--at:{:.2f}%" '
        'aria-hidden="true"><i></i><b></b></span>'
    ).format(style, at(low), at(high), at(value))


def zero_line(axis: tuple[float, float]) -> Markup:
    """Draw where zero lies on the axis of a difference."""
    at = 100 * (0 - axis[0]) / ((axis[1] - axis[0]) or 1.0)
    return Markup('<span class="zero" style="--at:{:.2f}%" aria-hidden="true"></span>').format(at)


def axis_labels(axis: tuple[float, float], wanted: int = 4) -> Markup:
    """Write the axis under a column of interval bars."""
    span = (axis[1] - axis[0]) or 1.0
    marks = [((value - axis[0]) / span, tick_text(value)) for value in ticks(*axis, wanted)]
    return Markup('<span class="interval-axis" aria-hidden="true">{}</span>').format(_labels(marks))
