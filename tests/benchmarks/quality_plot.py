"""Draw the curves of `results/quality.json`: bits per byte over the seconds of training."""

import json
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

STYLES = {
    "plain": {"color": "#8a8f98", "label": "plain loop, AdamW"},
    "whole": {"color": "#2463c9", "label": "ours"},
    "part": {"color": "#2463c9", "linestyle": "--", "label": "ours, planned for less time"},
}


def draw(results: Path) -> Path:
    """Write `quality.svg` beside `quality.json`; return where it is."""
    rows = json.loads((results / "quality.json").read_text(encoding="utf-8"))["rows"]
    panels = [row for row in rows if "curves" in row]
    figure = Figure(figsize=(4.6 * len(panels), 3.4), layout="tight")
    axes = figure.subplots(1, len(panels), squeeze=False)
    for axis, row in zip(axes[0], panels, strict=True):
        for name, style in STYLES.items():
            for seed, curve in enumerate(row["curves"][name]):
                points = [(look["seconds"], look["bits_per_byte"]) for look in curve]
                shown = style if seed == 0 else {**style, "label": None}
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.4, **shown)
        axis.set_title(row["measure"].partition(",")[0])
        axis.set_xlabel("seconds of training")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.set_xlim(left=0)
    axes[0][0].set_ylabel("bits per byte, validation")
    axes[0][0].legend(frameon=False)
    path = results / "quality.svg"
    with rc_context({"svg.hashsalt": "lmtrain"}):  # the same curves, the same file
        figure.savefig(path, metadata={"Date": None})
    return path
