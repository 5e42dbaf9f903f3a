"""What the page shows of a stage, as text: curves as a picture inside Markdown, tables as rows.

Pure functions: from points and manifests' stats to what an artifact holds.
"""

import base64
import html
import io
from typing import Any

from matplotlib.figure import Figure

Curves = dict[str, list[tuple[int, float]]]
"""Points (step, value) of each curve by name."""

Row = dict[str, str | int | float]

COLORS = {"loss": "#2f6fde", "validation_loss": "#e07b39", "validation_bits_per_byte": "#3a9d5d"}


def draw_curves(curves: Curves) -> bytes:
    """Draw curves over the steps; return a PNG.

    The page has a light and a dark face: the ground is transparent and the ink a middle gray.
    """
    figure = Figure(figsize=(7, 3.2), dpi=110)
    axes = figure.subplots()
    for name, points in sorted(curves.items()):
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) < 30 else None
        axes.plot(
            steps, values, label=name.replace("_", " "), color=COLORS.get(name), marker=marker, markersize=3
        )
    axes.set_xlabel("step", color="#808080")
    axes.tick_params(colors="#808080")
    axes.grid(visible=True, alpha=0.3)
    axes.spines[:].set_color("#808080")
    if curves:
        axes.legend(framealpha=0, labelcolor="#808080")
    figure.tight_layout()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", transparent=True)
    return stream.getvalue()


def as_markdown(title: str, curves: Curves, png: bytes) -> str:
    """Return a picture as Markdown that needs no other file, with the newest values below it as a table."""
    newest = [
        f"| {name.replace('_', ' ')} | {points[-1][0]:,} | {points[-1][1]:.4f} |"
        for name, points in sorted(curves.items())
    ]
    picture = f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
    return "\n".join([picture, "", "| curve | step | value |", "| --- | ---: | ---: |", *newest])


def curves_of(metrics: list[dict[str, Any]], names: tuple[str, ...]) -> Curves:
    """Return the curves that a training's `metrics.jsonl` holds."""
    found: Curves = {}
    for row in metrics:
        for name in names:
            if name in row:
                found.setdefault(name, []).append((row["step"], row[name]))
    return found


def funnel_rows(stats: dict[str, Any]) -> list[Row]:
    """Return a row per filter: what was left after it, and what it dropped."""
    first = stats["funnel"][0]
    read = first["documents"] or 1
    return [
        {
            "filter": step["filter"],
            "documents": step["documents"],
            "share": f"{100 * step['documents'] / read:.1f} %",
            "dropped": step.get("dropped", 0),
            "MB": round(step["bytes"] / 1e6, 2),
        }
        for step in stats["funnel"]
    ]


def dropped_rows(stats: dict[str, Any]) -> list[Row]:
    """Return a row per reason for which documents were dropped, the commonest first."""
    counted = sorted(stats["dropped"].items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": reason, "documents": documents} for reason, documents in counted]


def score_rows(scores: list[dict[str, Any]]) -> list[Row]:
    """Return a row per system, set and metric, with its 95 % interval."""
    return [
        {
            "task": row["task"].replace("_", " "),
            "set": f"{row['dataset']} ({row['split']})",
            "system": row["system"],
            "metric": row["metric"].replace("_", " "),
            "value": f"{row['value']:.4f}",
            "95 % interval": f"{row['low']:.4f} to {row['high']:.4f}" if row["low"] is not None else "",
            "samples": row["samples"],
        }
        for row in scores
    ]


def markdown_table(rows: list[Row]) -> str:
    """Return rows as a Markdown table; numbers stand to the right."""
    if not rows:
        return "(nothing)"
    names = list(rows[0])
    sides = ["---:" if isinstance(rows[0][name], int | float) else "---" for name in names]
    lines = [names, sides, *[[_cell(row[name]) for name in names] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: str | int | float) -> str:
    if isinstance(value, str):
        return html.escape(value, quote=False).replace("|", "\\|")
    return f"{value:,}"
