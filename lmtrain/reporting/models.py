"""What there is to tell about models: how they learned, how fast, and what they write.

In: model, word vectors and scores artifacts. Out: curves, facts and samples to show.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from lmtrain.manifest import Artifact
from lmtrain.reporting import curves, humanize
from lmtrain.reporting.curves import Series
from lmtrain.reporting.line import Line, initial_of
from lmtrain.reporting.searches import Searched, searched
from lmtrain.reporting.svg import bounds

STEEP = 0.985
"""Share of the points that the axis of the loss holds; the others lie above it."""

GENERATED_SHOWN = 8
GENERATED_CHARACTERS = 900


@dataclass
class Pretraining:
    """A pretrained model and how it got there."""

    name: str
    stats: dict[str, Any]
    config: dict[str, Any]
    loss: list[Series] = field(default_factory=list)
    bits_per_byte: list[Series] = field(default_factory=list)
    throughput: list[Series] = field(default_factory=list)
    learning_rate: list[Series] = field(default_factory=list)
    usual_speed: float | None = None
    usual_mfu: float | None = None

    @property
    def loss_range(self) -> tuple[float, float]:
        """The y axis of the loss: the settled part fills it, the first steep steps may leave it."""
        values = sorted(y for line in self.loss for _, y in line.points)
        return bounds([values[0], values[math.ceil(STEEP * (len(values) - 1))]])


@dataclass
class Tuning:
    """A fine-tuning and its control from random weights: both curves on one axis."""

    name: str
    task: str
    column: str
    lines: list[Series] = field(default_factory=list)
    facts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    searches: list[Searched] = field(default_factory=list)


@dataclass(frozen=True)
class Vectors:
    """Static vectors of words, and which words they put near each other.

    Attributes:
        name: the label, `glove-wide`.
        stats: the stage's.
        near: a word, its language tag, and the words nearest to it.
    """

    name: str
    stats: dict[str, Any]
    near: list[tuple[str, str | None, list[str]]]


@dataclass(frozen=True)
class Generated:
    """A continuation that the model wrote."""

    prompt: str
    continuation: str

    @property
    def lang(self) -> str | None:
        """The language tag of the text, where it isn't the page's."""
        return humanize.language_tag(self.prompt + self.continuation)


def pretrainings(line: Line) -> list[Pretraining]:
    """Return the curves and facts of each pretrained model."""
    return [_pretraining(model) for model in line.pretrained]


def _pretraining(model: Artifact) -> Pretraining:
    rows = curves.read_metrics(model)
    loss = curves.series(rows, "loss", "training loss", "train")
    held_out = curves.series(rows, "validation_loss", "validation loss", "validation")
    bits = curves.series(rows, "validation_bits_per_byte", "validation", "validation")
    speed = curves.series(rows, "tokens_per_second", "tokens per second", "train")
    rate = curves.series(rows, "learning_rate", "learning rate", "train")
    use = curves.series(rows, "mfu", "MFU", "train")
    return Pretraining(
        name=model.address.label,
        stats=model.stats,
        config=model.manifest.config,
        loss=_smooth_beside(loss) + ([held_out] if held_out else []),
        bits_per_byte=[bits] if bits else [],
        throughput=[speed] if speed else [],
        learning_rate=[rate] if rate else [],
        usual_speed=curves.usual(speed.points) if speed else None,
        usual_mfu=curves.usual(use.points) if use else None,
    )


MANY_POINTS = 40


def _smooth_beside(loss: Series | None) -> list[Series]:
    """Return the loss; where it is many points, pale, with its running mean over it."""
    if loss is None:
        return []
    if len(loss.points) < MANY_POINTS:
        return [loss]
    return [
        Series("each step", "pale", loss.points),
        Series(loss.name, "train", curves.smoothed(loss.points)),
    ]


LEARNING_COLUMNS = ("validation_accuracy", "validation_loss")


def tunings(line: Line) -> list[Tuning]:
    """Return the fine-tunings, each with its control."""
    found: dict[tuple[str, str], Tuning] = {}
    for model in line.finetuned:
        rows = curves.read_metrics(model)
        column = next((name for name in LEARNING_COLUMNS if any(name in row for row in rows)), "loss")
        name = str(model.manifest.config.get("name", model.address.label))
        task = str(model.stats.get("task", ""))
        tuning = found.setdefault((name, task), Tuning(name, task, column))
        initial = initial_of(model)
        style, told = ("train", "pretrained") if initial == "pretrained" else ("control", "random weights")
        curve = curves.series(rows, tuning.column, told, style)
        if curve:
            tuning.lines.append(curve)
        tuning.facts.append((told, model.stats))
    searches = [searched(artifact) for artifact in line["searches"]]
    for tuning in found.values():
        tuning.searches = [one for one in searches if one.name == tuning.name]
    return list(found.values())


def word_vectors(line: Line) -> list[Vectors]:
    """Return the static vectors with the nearest words of frequent ones."""
    return [
        Vectors(
            name=vectors.address.label,
            stats=vectors.stats,
            near=[
                (row["word"], humanize.language_tag(row["word"]), row["near"])
                for row in vectors.stats["near"]
            ],
        )
        for vectors in line["word_vectors"]
    ]


def generated(line: Line) -> list[Generated]:
    """Return what the models wrote when they were asked to go on."""
    rows = [
        row
        for scored in line.scored
        for record in scored.artifact.files("generated")
        for row in json.loads(scored.artifact.open(record).read_text(encoding="utf-8"))
    ]
    return [
        Generated(
            humanize.excerpt(row["prompt"], GENERATED_CHARACTERS),
            humanize.excerpt(row["continuation"], GENERATED_CHARACTERS),
        )
        for row in rows[:GENERATED_SHOWN]
    ]
