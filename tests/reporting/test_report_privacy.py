"""The report says what private training spent beside its scores, and what canaries show of memorization."""

import pytest
from made_line import RECIPE, make_line

from lmtrain.reporting import page
from lmtrain.reporting.line import Line
from lmtrain.reporting.privacy import exposures, guarantee
from lmtrain.reporting.results import results


@pytest.fixture(scope="module")
def line(tmp_path_factory, own_cache):
    tuned = {
        task: [{**given, "differential_privacy": {"target_epsilon": 4.0}} for given in many]
        for task, many in RECIPE["finetune"].items()
        if task == "classification"
    }
    tokenize = {**RECIPE["tokenize"], "canaries": {"repetitions": [4, 64], "sets": 53}}
    recipe = {**RECIPE, "tokenize": tokenize, "finetune": tuned}
    return Line.open(make_line(recipe, str(tmp_path_factory.mktemp("private"))))


def test_epsilon_stands_with_the_systems_that_have_one(line):
    result = next(one for one in results(line) if one.task == "classification")
    names = [row.name for row in result.headline.rows]
    assert names[:2] == [
        "pretrained, then fine-tuned, ε = 3.99", "fine-tuned from random weights, ε = 3.99",
    ]  # fmt: skip
    assert not any("ε" in name for name in names[2:])
    assert "δ = 0.0001" in result.guarantee
    assert guarantee([{"value": 1.0}]) == ""
    html = page.render(page.gather(line, "private"))
    assert result.guarantee in html
    assert "ε = 3.99" in html


def test_exposure_is_shown_by_repetitions(line):
    result = next(one for one in results(line) if one.task == "memorization")
    assert result.title == "Memorization of canaries"
    assert [row.system for row in result.headline.rows] == ["model"]
    shown = exposures(result.metrics)
    assert [times for times, _, _ in shown] == ["never", "4", "64"]
    assert [row.value for _, row, _ in shown] == pytest.approx([1.44, 4.459, 9.269], abs=1e-3)
    assert all(axis == shown[0][2] and axis[1] > 9.27 for _, _, axis in shown)
    others = next(one for one in results(line) if one.task == "language_modeling")
    assert exposures(others.metrics) == []
    html = page.render(page.gather(line, "private"))
    assert html.count("Exposure by repetitions") == 2, "a table and its label"
