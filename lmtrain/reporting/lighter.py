"""Lighter models beside the whole one: what they weigh, how long they take, and what that costs in score.

In: the line's scores. Out: a table for each model and data set of which there are lighter versions.
"""

import statistics
from dataclasses import dataclass

from lmtrain.reporting import humanize
from lmtrain.reporting.line import Line, Scored
from lmtrain.reporting.results import Compared, compared_with, lower_is_better, read_scores, title_of

WHOLE = "whole"
NAMES = {WHOLE: "as it is, fp32", "int8": "weights of eight bits"}


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        name: in words.
        bytes: of its weights as they are stored.
        milliseconds: the median for an example, alone, on one thread of a CPU.
        size: its bytes as a share of the whole model's.
        time: its time as a share of the whole model's, measured in the same minute.
        value: of the headline metric, with its interval from `low` to `high`.
        compared: with the whole model on the same examples; None of that itself.
    """

    name: str
    bytes: int
    milliseconds: float
    size: float
    time: float
    value: float
    low: float
    high: float
    compared: Compared | None


@dataclass(frozen=True)
class Lighter:
    """A model and its lighter versions on one data set."""

    model: str
    dataset: str
    metric: str
    lower: bool
    versions: list[Version]


def lighter_models(line: Line) -> list[Lighter]:
    """Return the tables, in the order of the scores."""
    wholes = {(one.model.url, one.dataset): one for one in line.scored if one.model is not None}
    groups: dict[tuple[str, str], list[Scored]] = {}
    for one in line.scored_lighter:
        assert one.model is not None, "a baseline is never made lighter"
        groups.setdefault((one.model.url, one.dataset), []).append(one)
    return [_table(wholes[key], versions) for key, versions in groups.items() if key in wholes]


def _table(whole: Scored, lighter: list[Scored]) -> Lighter:
    metric = str(whole.artifact.stats["headline"]["metric"])
    assert whole.model is not None, "it has lighter versions"
    gained = [one.artifact.stats["lighter"] for one in lighter]
    first = {
        "bytes": gained[0]["whole_bytes"],
        "milliseconds": statistics.median(one["whole_milliseconds"] for one in gained),
    }
    first |= {f"whole_{name}": value for name, value in first.items()}
    versions = [_version(whole, first, whole, metric)]
    versions += [_version(one, told, whole, metric) for one, told in zip(lighter, gained, strict=True)]
    label = whole.model.address.label
    return Lighter(label, whole.dataset, title_of(metric), lower_is_better(metric), versions)


def _version(scored: Scored, gained: dict[str, float], whole: Scored, metric: str) -> Version:
    row = next(row for row in read_scores(scored) if row["metric"] == metric)
    return Version(
        name=name_of(scored.lighter or WHOLE),
        bytes=int(gained["bytes"]),
        milliseconds=gained["milliseconds"],
        size=gained["bytes"] / gained["whole_bytes"],
        time=gained["milliseconds"] / gained["whole_milliseconds"],
        value=row["value"],
        low=row["low"],
        high=row["high"],
        compared=compared_with(scored, whole, metric) if scored is not whole else None,
    )


def name_of(version: str) -> str:
    """Return a version's name in words: `pruned-30` as `30 % of the weights pruned`."""
    kind, _, share = version.partition("-")
    return (
        f"{share}\u00a0% of the weights pruned"
        if kind == "pruned"
        else NAMES.get(version, humanize.words(version))
    )
