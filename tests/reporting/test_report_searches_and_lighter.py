"""What the page shows of searches and of lighter models."""

import json

import pyarrow as pa
import pytest
import yaml
from made_line import BARE, make_line
from page_reader import Reader

from lmtrain.manifest import Artifact
from lmtrain.recipe import parse_recipe
from lmtrain.reporting import lineage, page
from lmtrain.reporting.lighter import lighter_models, name_of
from lmtrain.reporting.line import Line
from lmtrain.reporting.results import results
from lmtrain.reporting.searches import searched
from lmtrain.reporting.svg import Dot, Dots, dot_chart
from lmtrain.statistics import paired_difference

SEARCH = {"trials": 8, "learning_rate": [1e-5, 1e-2], "train_batch_size": [8, 16]}
RECIPE = {
    **BARE,
    "label": {"docstrings": [{"alias": "package", "label": "package"}]},
    "finetune": {"classification": [{"name": "package", "data": "package", "search": SEARCH}]},
    "evaluate": {"bootstrap_samples": 200, "lighter": {"int8": True, "pruned": [0.3]}},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, own_cache):
    return make_line(RECIPE, str(tmp_path_factory.mktemp("lighter")))


@pytest.fixture
def line(inputs) -> Line:
    return Line.open(inputs)


@pytest.fixture
def reader(line) -> Reader:
    return Reader(page.render(page.gather(line, "lighter")))


def test_every_trial_that_has_a_loss_is_a_dot_and_the_taken_one_is_ringed(line, reader):
    found = [searched(artifact) for artifact in line["searches"]]
    assert [(one.name, one.start) for one in found] == [
        ("package", "pretrained weights"), ("package", "random weights"),
    ]  # fmt: skip
    (record,) = line["searches"][0].files("trials")
    rows = json.loads(line["searches"][0].open(record).read_text())
    dots = {(dot.x, dot.y): dot for group in found[0].dots for dot in group.dots}
    assert set(dots) == {
        (row["learning_rate"], row["validation_loss"]) for row in rows if row["ended"] != "diverged"
    }
    best = min((row for row in rows if row["validation_loss"]), key=lambda row: row["validation_loss"])
    assert [where for where, dot in dots.items() if dot.ring] == [
        (best["learning_rate"], best["validation_loss"])
    ]
    assert sum(dot.part for dot in dots.values()) == 4
    assert [group.name for group in found[0].dots] == ["batches of 8", "batches of 16"]
    assert found[0].told == (
        f"8 trials, 4 given up early, 2 diverged; taken: learning rate {best['learning_rate']:.3g}, "
        f"batches of {best['train_batch_size']}"
    )
    assert found[0].told in reader.shown
    drawn = [
        given["class"] for tag, given in reader.elements if tag == "path" and "dot" in given.get("class", "")
    ]
    assert len(drawn) == 2 * (6 + 1), "each trial, and a ring"


def test_dots_lie_on_a_logarithmic_axis():
    chart = dot_chart(
        [Dots("one", [Dot(1e-4, 1.0, "a"), Dot(1e-3, 2.0, "b"), Dot(1e-2, 3.0, "c")])],
        title="t",
        x_label="rate",
    )
    places = [given["d"] for tag, given in Reader(chart).elements if tag == "path"]
    across = [float(place[1:].split(",")[0]) for place in places]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert {"0.0001", "0.001", "0.01"} <= set(Reader(chart).shown.split())


def test_lighter_models_stand_in_a_table_of_their_own(line, reader):
    found = lighter_models(line)
    assert [(one.model.split("-")[0], one.dataset) for one in found] == [
        ("qwen3", "python-english"), ("package", "package"),
    ]  # fmt: skip
    whole, int8, pruned = found[1].versions
    assert (whole.bytes, whole.size, whole.time, whole.compared) == (13_776_000, 1.0, 1.0, None)
    assert (int8.bytes, int8.time) == (4_100_000, 0.75)
    assert int8.size == pytest.approx(41 / 137.76)
    assert pruned.name == "30\u00a0% of the weights pruned"
    both = [
        pa.concat_tables(one.artifact.tables("samples"))
        for one in (*line.scored_lighter, *line.scored)
        if one.dataset == "package" and one.system == "pretrained" and one.lighter in ("", "int8")
    ]
    metric = line.scored_lighter[-1].artifact.stats["headline"]["metric"]
    expected = paired_difference(*both, metric, samples=200, seed=0)
    assert (int8.compared.value, int8.compared.low, int8.compared.high) == expected
    assert "weights of eight bits 4.1 MB 29.8 % 6 ms 0.75 ×" in reader.shown.replace("\u00a0", " ")
    assert "Lighter models" in reader.shown


def test_they_are_no_systems_of_the_other_tables(line):
    systems = [row.system for result in results(line) for row in result.headline.rows]
    assert [name for name in systems if "int8" in name or "pruned" in name] == []
    assert systems.count("pretrained") == 1


def test_the_recipe_that_is_put_together_again_asks_for_both(line):
    again = yaml.safe_load(lineage.recipe_text(line, "quickstart"))
    assert again["evaluate"]["lighter"] == {"int8": True, "pruned": [0.3]}
    assert again["finetune"]["classification"][0]["search"] == SEARCH
    assert parse_recipe(again).finetune.classification[0].search.trials == 8


def test_a_share_is_told_in_percent():
    assert name_of("pruned-12.5") == "12.5\u00a0% of the weights pruned"


def test_searches_stand_in_the_graph_between_data_and_training(line):
    boxes = {box.key: box for box in lineage.boxes(line, "x")}
    for artifact in line.finetuned:
        (search,) = artifact.inputs("search")
        assert search.url in boxes[artifact.url].needs
        assert boxes[search.url].stage == "search"
        assert Artifact(search.url).address.label == artifact.address.label
