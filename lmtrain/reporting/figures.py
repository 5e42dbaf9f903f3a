"""The main figures as PNG files, for a README, a message or a slide: what the page draws, in matplotlib.

In: what the page gathered. Out: a file name and a function that draws for each figure that
has something to show. No global state: each figure is an object with a canvas
of its own, so figures may be drawn in any thread and without a display.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lmtrain.reporting import humanize
from lmtrain.reporting.corpus import Corpus
from lmtrain.reporting.curves import Series
from lmtrain.reporting.models import Pretraining
from lmtrain.reporting.results import Metric, Result

PAPER, INK, SOFT, RULE = "#fbfaf7", "#1b2126", "#56606a", "#e4e0d7"
COLORS = {
    "train": "#1c5c8a",
    "ours": "#1c5c8a",
    "pale": "#b9cfe0",
    "validation": "#b0521c",
    "control": "#b0521c",
    "baseline": "#6d747b",
}
MARKERS = {"ours": "o", "control": "D", "baseline": "s"}
STYLE: dict[Any, Any] = {
    "font.family": [
        "DejaVu Sans"
    ],  # comes with matplotlib; aliases and filters, all that is written, are ASCII
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": RULE,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlepad": 12,
    "figure.facecolor": PAPER,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": RULE,
    "legend.frameon": False,
}
DPI = 160

Drawing = Callable[[], Figure]


def drawings(corpus: Corpus, models: list[Pretraining], scored: list[Result]) -> dict[str, Drawing]:
    """Return what to draw, by file name."""
    found: dict[str, Drawing] = {}
    if corpus.stages:
        found["funnel.png"] = partial(funnel, corpus)
    if corpus.lengths:
        found["lengths.png"] = partial(lengths, corpus)
    for place, model in enumerate(models):
        suffix = f"-{place + 1}" if place else ""
        if model.loss:
            found[f"loss{suffix}.png"] = partial(loss, model)
        if model.throughput:
            found[f"throughput{suffix}.png"] = partial(throughput, model)
    if any(result.headline for result in scored):
        found["scores.png"] = partial(scores, scored)
    return found


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG: the same bytes for the same figure."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


def _layout() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.14)  # inches


def _figure(width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout=_layout())
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)
    return figure, [row[0] for row in axes]


def funnel(corpus: Corpus) -> Figure:
    """Draw the documents that remain after each step."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(8, 0.8 + 0.42 * len(corpus.stages))
        stages = corpus.stages[::-1]
        bars = axes.barh(
            [stage.name for stage in stages],
            [stage.documents for stage in stages],
            color=COLORS["ours"],
            height=0.62,
        )
        axes.bar_label(bars, [humanize.count(stage.documents) for stage in stages], padding=5, color=INK)
        axes.set_title("Documents that remain after each step")
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.12)
    return figure


def lengths(corpus: Corpus) -> Figure:
    """Draw the histogram of document lengths."""
    assert corpus.lengths is not None
    edges, counts = corpus.lengths.edges, corpus.lengths.counts
    used = [place for place, number in enumerate(counts) if number]
    shown = range(used[0], used[-1] + 1)
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(8, 3.4)
        axes.bar(
            range(len(shown)),
            [counts[place] for place in shown],
            width=0.92,
            align="edge",
            color=COLORS["ours"],
        )
        marks = [place for place in (*shown, shown[-1] + 1) if place < len(edges)]
        every = max(1, len(marks) // 8)
        axes.set_xticks(
            [place - shown[0] for place in marks[::every]],
            [humanize.size(edges[place]).replace("bytes", "B") for place in marks[::every]],
        )
        _quiet_grid(axes)
        axes.set_title("Document lengths")
        axes.set_ylabel("documents")
    return figure


def loss(model: Pretraining) -> Figure:
    """Draw training and validation loss, and validation bits per byte below."""
    with matplotlib.rc_context(STYLE):
        figure, panels = _figure(8, 5.6 if model.bits_per_byte else 3.4, 2 if model.bits_per_byte else 1)
        _lines(panels[0], model.loss, "Loss, in nats per token")
        panels[0].set_ylim(*model.loss_range)
        if model.bits_per_byte:
            _lines(panels[1], model.bits_per_byte, "Validation bits per byte")
        panels[-1].set_xlabel("optimizer steps")
    return figure


def throughput(model: Pretraining) -> Figure:
    """Draw tokens per second over steps."""
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(8, 3.2)
        _lines(axes, model.throughput, "Throughput, tokens per second over all workers")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: humanize.compact(value))
        axes.set_xlabel("optimizer steps")
    return figure


def scores(scored: list[Result]) -> Figure:
    """Draw every system's headline value with its interval, one panel for each data set."""
    metrics = [(result, metric) for result in scored if (metric := result.headline) is not None]
    heights = [0.9 + 0.36 * len(metric.rows) for _, metric in metrics]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, sum(heights)), layout=_layout())
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(metrics), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for (axes,), (result, metric) in zip(panels, metrics, strict=True):
            _forest(axes, result, metric)
    return figure


def _forest(axes: Axes, result: Result, metric: Metric) -> None:
    for place, row in enumerate(metric.rows):
        color = COLORS[row.style]
        axes.plot([row.low, row.high], [place, place], color=color, alpha=0.45, linewidth=3)
        axes.plot([row.value], [place], MARKERS[row.style], color=color, markersize=7)
        axes.annotate(
            humanize.score(row.value),
            (row.value, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            size=8,
        )
    axes.set_yticks(range(len(metric.rows)), [row.name for row in metric.rows])
    axes.set_ylim(len(metric.rows) - 0.5, -0.7)
    axes.set_xlim(*metric.axis)
    sense = "lower" if metric.lower else "higher"
    axes.set_title(f"{metric.name} on {result.dataset} ({sense} is better)")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _lines(axes: Axes, lines: list[Series], title: str) -> None:
    for line in lines:
        axes.plot(
            *zip(*line.points, strict=True),
            color=COLORS[line.style],
            linewidth=0.8 if line.style == "pale" else 1.8,
            marker="o" if len(line.points) == 1 else None,
            label=line.name,
        )
    _quiet_grid(axes)
    axes.set_title(title)
    if len(lines) > 1:
        axes.legend(loc="upper right")


def _quiet_grid(axes: Axes) -> None:
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
