"""Searches for settings: what each trial came to, and which settings were taken.

In: artifacts of searches. Out: dots to draw, a colour for each batch, and a sentence.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from lmtrain.manifest import Artifact
from lmtrain.reporting import humanize
from lmtrain.reporting.svg import Dot, Dots

STARTS = {"pretrained": "pretrained weights", "random": "random weights"}


@dataclass(frozen=True)
class Searched:
    """A search for the settings of one fine-tuning from one start."""

    name: str
    start: str
    dots: list[Dots]
    told: str


def searched(artifact: Artifact) -> Searched:
    """Return what there is to show of a search."""
    training = artifact.manifest.config["training"]
    (record,) = artifact.files("trials")
    rows = json.loads(artifact.open(record).read_text(encoding="utf-8"))
    taken = artifact.stats["trial"]
    batches = sorted({row["train_batch_size"] for row in rows})
    dots = [
        Dots(
            f"batches of {batch}",
            [
                Dot(
                    row["learning_rate"],
                    row["validation_loss"],
                    _told(row),
                    row["ended"] != "whole",
                    row["trial"] == taken,
                )
                for row in rows
                if row["train_batch_size"] == batch and row["validation_loss"] is not None
            ],
        )
        for batch in batches
    ]
    start = STARTS[training.get("initial", "pretrained")]
    return Searched(training["name"], start, [one for one in dots if one.dots], _summary(rows, taken))


def _told(row: dict[str, Any]) -> str:
    ended = {"stopped": ", given up", "diverged": ", diverged"}.get(row["ended"], "")
    return (
        f"learning rate {row['learning_rate']:.3g}, batches of {row['train_batch_size']}: "
        f"{row['validation_loss']:.4f} at step {row['best_step']}{ended}"
    )


def _summary(rows: list[dict[str, Any]], taken: int) -> str:
    ended, chosen = Counter(row["ended"] for row in rows), rows[taken]
    parts = [humanize.plural(len(rows), "trial")]
    parts += [f"{ended['stopped']} given up early"] if ended["stopped"] else []
    parts += [f"{ended['diverged']} diverged"] if ended["diverged"] else []
    return (
        f"{', '.join(parts)}; taken: learning rate {chosen['learning_rate']:.3g}, "
        f"batches of {chosen['train_batch_size']}"
    )
