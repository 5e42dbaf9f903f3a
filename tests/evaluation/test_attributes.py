"""Errors told apart by an attribute: values by hand, gaps, and the way from a file to the scores."""

import json

import numpy as np
import pytest
from test_evaluation_stage import rows_for, score, settings_for

from lmtrain.evaluation.attributes import LEAST, scores_by_attribute
from lmtrain.evaluation.classification import statistics_of_predictions
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact

CLASSES = ["no", "yes"]


def scored_of(cases: list[tuple[str | None, str, str]]) -> Scored:
    """Return the scores of examples, each with its attribute, what was said and what is true."""
    said, gold = ([[case[place]] for case in cases] for place in (1, 2))
    ids = [f"e{number}" for number in range(len(cases))]
    statistics = statistics_of_predictions(said, gold, CLASSES)
    attributes = [case[0] for case in cases]
    return Scored(ids, ids, [""] * len(ids), statistics, {}, attributes, stats={"classes": CLASSES})


BOOKS = [("books", "yes", "yes")] * 30 + [("books", "no", "no")] * 10
FILMS = [("films", "yes", "yes")] * 10 + [("films", "yes", "no")] * 20 + [("films", "no", "yes")] * 10
FEW = [("songs", "no", "yes")] * (LEAST - 1)


def told(cases, **more):
    rows = scores_by_attribute(scored_of(cases), "classification", "accuracy", 300, 0)
    values = {row["value"]: row for row in rows if "value" in row}
    return values, {(row["gap"], row["label"]): row for row in rows if "gap" in row}


def test_values_and_gaps_by_hand():
    values, gaps = told(BOOKS + FILMS + [(None, "no", "yes")] * 5)
    assert {name: row["score"] for name, row in values.items()} == {"books": 1.0, "films": 0.25}
    assert {name: row["samples"] for name, row in values.items()} == {"books": 40, "films": 40}
    gap = gaps["accuracy", None]
    assert (gap["score"], gap["between"]) == (0.75, ["books", "films"])
    assert gap["low"] < 0.75 < gap["high"]
    assert gap["low"] > 0.5
    assert ("selection_rate", "yes") not in gaps, "both say yes to three of four"
    assert gaps["true_positive_rate", "yes"]["score"] == pytest.approx(0.5)
    assert gaps["false_positive_rate", "yes"]["score"] == pytest.approx(1.0)
    assert gaps["false_positive_rate", "no"]["between"] == ["films", "books"]


def test_few_examples_are_told_and_not_compared():
    values, gaps = told(BOOKS + FILMS + FEW)
    assert values["songs"] == {
        "value": "songs", "samples": LEAST - 1, "score": None, "low": None, "high": None,
    }  # fmt: skip
    assert not any("songs" in gap["between"] for gap in gaps.values())
    values, gaps = told(BOOKS + FEW)
    assert values["books"]["score"] == 1.0
    assert not gaps


def test_a_rate_that_only_one_value_has_is_no_gap():
    never = [("films", "no", "no")] * 40  # where yes is never true, nobody can find it
    gaps = told(BOOKS + never)[1]
    assert ("true_positive_rate", "yes") not in gaps
    assert ("false_positive_rate", "yes") not in gaps
    assert ("selection_rate", "yes") in gaps


def test_without_an_attribute_there_is_nothing_to_tell():
    assert told([(None, "yes", "yes")] * 40) == ({}, {})


def test_of_one_distribution_the_gap_is_chance():
    random = np.random.default_rng(0)
    cases = [(str(random.choice(["a", "b"])), "yes", str(random.choice(CLASSES))) for _ in range(2000)]
    gap = told(cases)[1]["accuracy", None]
    assert gap["score"] < 0.06
    assert gap["low"] < 0.02


@pytest.mark.parametrize("task", ["classification", "similarity"])
def test_the_scores_of_any_task_tell_them(line, task):
    texts = line.texts * 8
    rows = [row | {"attribute": "甲" if n % 2 else "乙"} for n, row in enumerate(rows_for(task, texts))]
    data = line.labelled(task, rows, f"{task}-by-attribute")
    model = line.tuned(task, rows_for(task, line.texts), **settings_for(task))
    found = Artifact(score(line, data, task, model=model))
    (record,) = found.files("attributes")
    told = json.loads(found.open(record).read_text(encoding="utf-8"))
    values = [row for row in told if "value" in row]
    assert [row["value"] for row in values] == ["乙", "甲"]
    assert sum(row["samples"] for row in values) == found.stats["samples"]
    assert all(row["low"] <= row["high"] for row in values)
    names = {row["gap"] for row in told if "gap" in row}
    rates = {"selection_rate", "true_positive_rate", "false_positive_rate"}
    assert names == {found.stats["headline"]["metric"]} | (rates if task == "classification" else set())
