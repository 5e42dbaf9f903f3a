"""Scores as a reader wants them: by task and data set, beside the baselines, with what pretraining bought.

In: the line's scores. Out: tables of rows with intervals, paired differences,
and for each comparison a sentence that says no more than its interval does.
"""

import json
import statistics
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lmtrain.errors import StageError
from lmtrain.labelled import KNOWN_BY, REFERENCE
from lmtrain.manifest import Artifact
from lmtrain.metrics import METRICS
from lmtrain.reporting import humanize
from lmtrain.reporting.attributes import ByAttribute, by_attribute
from lmtrain.reporting.line import Line, Scored
from lmtrain.reporting.privacy import guarantee, with_epsilon
from lmtrain.statistics import Interval, paired_difference

OURS = ("model", "pretrained")
CONTROL = "random"
TASK_TITLES = {
    "language_modeling": "Language modelling",
    "masked_language_modeling": "Masked tokens",
    "classification": "Classification",
    "multi_label": "Classification with several labels",
    "token_classification": "Labels of words",
    "question_answering": "Answers found in a text",
    "generative_qa": "Answers in free words",
    "summarization": "Summarization",
    "translation": "Translation",
    "generation": "Responses",
    "dialogue": "Dialogue",
    "similarity": "Similarity of sentences",
    "retrieval": "Retrieval",
    "bias": "Expectations of gender",
    "memorization": "Memorization of canaries",
}
"""What a page calls a task; tasks stand in this order."""

TASK_ORDER = tuple(TASK_TITLES)


@dataclass(frozen=True)
class Row:
    """One system's value of one metric, with its 95\u00a0% interval."""

    system: str
    name: str
    style: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """One metric of one data set: every system's row on a common axis."""

    metric: str
    name: str
    lower: bool
    signature: str
    rows: list[Row]
    axis: tuple[float, float]


@dataclass(frozen=True)
class Compared:
    """How far our model is from another system on the same examples; positive is better for ours."""

    metric: str
    name: str
    lower: bool
    system: str
    other: str
    value: float
    low: float
    high: float

    @property
    def tone(self) -> str:
        """`better`, `worse`, or `even` where the interval holds zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "even"

    @property
    def axis(self) -> tuple[float, float]:
        """An axis with zero in its middle that holds the interval."""
        reach = 1.06 * max(abs(self.low), abs(self.high)) or 1.0
        return -reach, reach

    @property
    def unit(self) -> str:
        """The metric as it stands in a sentence."""
        return self.name if self.name[:2].isupper() or "F1" in self.name else self.name.lower()

    @property
    def interval(self) -> str:
        """The interval in words, on the side where positive is better."""
        return f"{humanize.signed(self.low)} to {humanize.signed(self.high)}"

    @property
    def amount(self) -> str:
        """The difference as the metric itself has it: below zero where less is better and ours is less."""
        sign = -1 if self.lower else 1
        low, high = sorted((sign * self.low, sign * self.high))
        interval = f"{humanize.signed(low)} to {humanize.signed(high)}"
        return f"{humanize.signed(sign * self.value)} {self.unit} (95\u00a0% interval {interval})"

    @property
    def told(self) -> str:
        """What the difference says, in one sentence that claims no more than the interval does."""
        if self.system == CONTROL:
            return {
                "better": f"Pretraining bought {self.amount}.",
                "worse": f"Pretraining cost {self.amount}: random weights did better.",
                "even": f"Pretraining made no difference that the test set could show: {self.amount}.",
            }[self.tone]
        return {
            "better": f"Beats {self.other}: {self.amount}.",
            "worse": f"Falls short of {self.other}: {self.amount}.",
            "even": f"No difference from {self.other} that the test set could show: {self.amount}.",
        }[self.tone]


@dataclass(frozen=True)
class Seeds:
    """The headline metric of one system over fine-tunings that differ in their seed alone.

    Attributes:
        system: as a page names it.
        values: one of each training.
    """

    system: str
    values: list[float]

    @property
    def told(self) -> str:
        """Mean and standard deviation (of a sample) in words."""
        mean, deviation = statistics.mean(self.values), statistics.stdev(self.values)
        seeds = humanize.plural(len(self.values), "seed")
        return f"{self.system}: {humanize.score(mean)} ± {humanize.score(deviation)} over {seeds}"


@dataclass
class Result:
    """All that is known about one data set.

    Attributes:
        compared: the headline metric against every other system.
        bought: every metric against the same fine-tuning from random weights.
        seeds: the headline metric over several trainings, where there were.
        incomparable: systems whose samples are not of the same examples.
        guarantee: what the epsilon of private trainings means, where there are any.
        by_attribute: our model's errors by an attribute of the examples, where they have one.
    """

    task: str
    title: str
    dataset: str
    split: str
    samples: int
    metrics: list[Metric] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    bought: list[Compared] = field(default_factory=list)
    seeds: list[Seeds] = field(default_factory=list)
    incomparable: list[str] = field(default_factory=list)
    guarantee: str = ""
    by_attribute: ByAttribute | None = None

    @property
    def headline(self) -> Metric | None:
        """The metric that stands at the top of the page."""
        return self.metrics[0] if self.metrics else None

    @property
    def ours(self) -> Row | None:
        """Our model's row of the headline."""
        rows = self.headline.rows if self.headline else []
        return next((row for row in rows if row.system in OURS), None)

    @property
    def by_system(self) -> list[tuple[Row, dict[str, Row]]]:
        """Each system's first row, and all its rows by metric."""
        found: dict[str, dict[str, Row]] = {}
        for metric in self.metrics:
            for row in metric.rows:
                found.setdefault(row.system, {})[metric.metric] = row
        return [(next(iter(rows.values())), rows) for rows in found.values()]


def results(line: Line) -> list[Result]:
    """Return the results by task and data set, language modelling first."""
    groups: dict[tuple[str, str], list[Scored]] = {}
    for scored in line.scored:
        groups.setdefault((scored.task, scored.dataset), []).append(scored)
    order = {task: place for place, task in enumerate(TASK_ORDER)}
    keys = sorted(groups, key=lambda key: order.get(key[0], len(order)))
    found = [_result(groups[key]) for key in keys]
    for result in found:
        result.seeds = _seeds(line, result)
    return found


def read_scores(scored: Scored) -> list[dict[str, Any]]:
    """Return the rows of a scores artifact."""
    return [
        row
        for record in scored.artifact.files("scores")
        for row in json.loads(scored.artifact.open(record).read_text(encoding="utf-8"))
    ]


def _result(group: list[Scored]) -> Result:
    group = sorted(group, key=_rank)
    rows = {scored.system: read_scores(scored) for scored in group}
    first = next((row for of_system in rows.values() for row in of_system), {})
    result = Result(
        task=group[0].task,
        title=TASK_TITLES.get(group[0].task, humanize.words(group[0].task).capitalize()),
        dataset=group[0].dataset,
        split=first.get("split", "test"),
        samples=first.get("samples", 0),
        guarantee=guarantee([row for of_system in rows.values() for row in of_system]),
    )
    headline = next(
        (s.artifact.stats["headline"]["metric"] for s in group if "headline" in s.artifact.stats), ""
    )
    names = dict.fromkeys([headline, *(row["metric"] for of_system in rows.values() for row in of_system)])
    metrics = [_metric(name, rows) for name in names if name]
    result.metrics = [metric for metric in metrics if metric.rows]
    ours = next((scored for scored in group if scored.system in OURS), None)
    if ours is not None and result.metrics:
        _compare(result, ours, [scored for scored in group if scored is not ours])
        result.by_attribute = by_attribute(ours, result.metrics[0].name)
    return result


def _seeds(line: Line, result: Result) -> list[Seeds]:
    headline = result.headline
    values: dict[str, list[float]] = {}
    for scored in line.scored_with_every_seed:
        if (scored.task, scored.dataset) == (result.task, result.dataset) and headline is not None:
            for row in read_scores(scored):
                if row["metric"] == headline.metric:
                    values.setdefault(scored.system, []).append(row["value"])
    return [Seeds(humanize.system_name(name), found) for name, found in values.items() if len(found) > 1]


def _rank(scored: Scored) -> int:
    return 0 if scored.system in OURS else 1 if scored.system == CONTROL else 2


def _style(system: str) -> str:
    return "ours" if system in OURS else "control" if system == CONTROL else "baseline"


def _metric(name: str, rows: dict[str, list[dict[str, Any]]]) -> Metric:
    found = [
        (system, row) for system, of_system in rows.items() for row in of_system if row["metric"] == name
    ]
    told = [
        Row(
            system=system,
            name=with_epsilon(humanize.system_name(system), row),
            style=_style(system),
            value=row["value"],
            low=row["value"] if row.get("low") is None else row["low"],
            high=row["value"] if row.get("high") is None else row["high"],
        )
        for system, row in found
    ]
    signature = next((row["signature"] for _, row in found if row.get("signature")), "")
    low = min((row.low for row in told), default=0.0)
    high = max((row.high for row in told), default=1.0)
    air = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    return Metric(name, title_of(name), lower_is_better(name), signature, told, (low - air, high + air))


def _compare(result: Result, ours: Scored, others: list[Scored]) -> None:
    headline = result.metrics[0].metric
    for other in others:
        names = [metric.metric for metric in result.metrics] if other.system == CONTROL else [headline]
        for name in names:
            found = _difference(ours, other, name)
            if found is None:
                if name == headline:
                    result.incomparable.append(humanize.system_name(other.system))
                continue
            compared = _compared(name, other.system, found)
            if name == headline:
                result.compared.append(compared)
            if other.system == CONTROL:
                result.bought.append(compared)


def _difference(ours: Scored, other: Scored, metric: str) -> Interval | None:
    """Return ours minus other with its interval; None where the two can't be compared."""
    if metric not in METRICS:
        return None
    a, b = _samples(ours.artifact), _samples(other.artifact)
    if a is None or b is None:
        return None
    config = ours.artifact.manifest.config
    try:
        return paired_difference(a, b, metric, config.get("bootstrap_samples", 1000), config.get("seed", 0))
    except StageError:  # other examples, other statistics: the page names the system as not comparable
        return None


def compared_with(ours: Scored, other: Scored, metric: str) -> Compared | None:
    """Return how far one system is from another; None where the two can't be compared."""
    found = _difference(ours, other, metric)
    return None if found is None else _compared(metric, other.system, found)


def _samples(artifact: Artifact) -> pa.Table | None:
    tables = list(artifact.tables("samples", columns=["example_id", "group", "statistics"]))
    return pa.concat_tables(tables) if tables else None


def title_of(metric: str) -> str:
    """Return a metric's usual name."""
    return METRICS[metric].title if metric in METRICS else humanize.words(metric).capitalize()


def lower_is_better(metric: str) -> bool:
    """Tell whether a smaller value of this metric is the better one."""
    return metric in METRICS and not METRICS[metric].higher_is_better


def _compared(metric: str, system: str, found: Interval) -> Compared:
    """Turn ours minus other into a difference whose positive side is better for ours."""
    lower = lower_is_better(metric)
    low, value, high = (found.low, found.value, found.high)
    if lower:
        low, value, high = -high, -value, -low
    return Compared(
        metric, title_of(metric), lower, system, humanize.system_in_a_sentence(system), value, low, high
    )


EXAMPLES_SHOWN = 4
EXAMPLE_CHARACTERS = 600


@dataclass(frozen=True)
class Predicted:
    """A test example beside what each system made of it."""

    text: str
    reference: str
    predictions: list[tuple[str, str, str]]

    @property
    def lang(self) -> str | None:
        """The language tag of the text, where it isn't the page's."""
        return humanize.language_tag(self.text)


def predicted(line: Line, result: Result) -> list[Predicted]:
    """Return a few test examples with every system's prediction, the same examples for all."""
    labelled = line.labelled_set(result.dataset)
    if labelled is None or result.task not in KNOWN_BY:
        return []
    group = sorted(
        (s for s in line.scored if (s.task, s.dataset) == (result.task, result.dataset)), key=_rank
    )
    predictions = {scored: _predictions(scored) for scored in group if scored.artifact.files("samples")}
    shared = [
        identifier
        for identifier in next(iter(predictions.values()), {})
        if all(identifier in given for given in predictions.values())
    ][:EXAMPLES_SHOWN]
    gold = _examples(labelled, result, shared)
    return [
        Predicted(
            text=humanize.excerpt(gold[identifier][0], EXAMPLE_CHARACTERS),
            reference=humanize.excerpt(gold[identifier][1], EXAMPLE_CHARACTERS),
            predictions=[
                (humanize.system_name(s.system), _style(s.system), humanize.excerpt(p[identifier], 300))
                for s, p in predictions.items()
            ],
        )
        for identifier in shared
        if identifier in gold
    ]


def _predictions(scored: Scored) -> dict[str, str]:
    """Return a system's predictions by example."""
    return {
        row["example_id"]: row["prediction"] or ""
        for table in scored.artifact.tables("samples", columns=["example_id", "prediction"])
        for row in table.to_pylist()
    }


def _examples(labelled: Any, result: Result, wanted: list[str]) -> dict[str, tuple[str, str]]:
    given, right = KNOWN_BY[result.task], REFERENCE[result.task]
    return {
        row["id"]: (given(row), right(row))
        for table in labelled.tables("labelled", split=result.split)
        for row in table.to_pylist()
        if row["id"] in wanted
    }
