"""Results: grouped by data set, compared on the same examples, told no stronger than the interval."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from made_line import RECIPE, make_line

from lmtrain import storage
from lmtrain.finetuning.config import FinetuneSection
from lmtrain.manifest import Artifact
from lmtrain.reporting import lineage
from lmtrain.reporting.line import Line
from lmtrain.reporting.results import Compared, predicted, results
from lmtrain.statistics import paired_difference


@pytest.fixture
def line(english) -> Line:
    return Line.open(english)


def test_language_modelling_comes_first_and_each_set_has_its_systems(line):
    found = results(line)
    assert [(result.task, result.dataset) for result in found] == [
        ("language_modeling", "python-english"),
        ("classification", "package"),
        ("summarization", "summary"),
        ("bias", "occupations"),
    ]
    systems = [[row.system for row in result.headline.rows] for result in found]
    assert systems == [
        ["model", "bigram", "xz"],
        ["pretrained", "random", "majority", "tfidf"],
        ["pretrained", "random", "first_sentence"],
        ["model"],
    ]


def test_a_metric_that_a_system_lacks_is_left_out_for_it(line):
    perplexity = next(metric for metric in results(line)[0].metrics if metric.metric == "perplexity")
    assert [row.system for row in perplexity.rows] == ["model", "bigram"]


def test_differences_are_those_of_the_paired_bootstrap(line):
    result = results(line)[1]
    scored = {given.system: given.artifact for given in line.scored if given.dataset == "package"}
    ours, control = (pa.concat_tables(scored[name].tables("samples")) for name in ("pretrained", "random"))
    for told in result.bought:
        expected = paired_difference(ours, control, told.metric, samples=300, seed=0)
        assert (told.value, told.low, told.high) == expected
    assert [told.metric for told in result.bought] == [metric.metric for metric in result.metrics]


def test_where_less_is_better_being_below_counts_as_better(line):
    bigram = results(line)[0].compared[0]
    assert bigram.tone == "better"
    assert bigram.value > 0
    assert bigram.amount.startswith("−0.")


@pytest.mark.parametrize(
    ("low", "high", "tone", "told"),
    [
        (0.01, 0.09, "better", "Pretraining bought +0.050 accuracy"),
        (-0.09, -0.01, "worse", "Pretraining cost −0.050 accuracy"),
        (-0.01, 0.09, "even", "Pretraining made no difference that the test set could show"),
        (0.0, 0.09, "even", "Pretraining made no difference that the test set could show"),
    ],
)
def test_the_verdict_says_no_more_than_the_interval(low, high, tone, told):
    value = -0.05 if tone == "worse" else 0.05
    compared = Compared("accuracy", "Accuracy", False, "random", "random weights", value, low, high)
    assert compared.tone == tone
    assert compared.told.startswith(told)


def test_systems_scored_on_other_examples_are_named_and_not_compared(tmp_path):
    inputs = make_line({**RECIPE, "evaluate": {"bootstrap_samples": 50}}, str(tmp_path))
    line = Line.open(inputs)
    majority = next(given for given in line.scored if given.system == "majority").artifact
    _drop_examples(majority)
    result = next(result for result in results(line) if result.dataset == "package")
    assert result.incomparable == ["majority class"]
    assert "majority" not in [told.system for told in result.compared]


def _drop_examples(scores: Artifact) -> None:
    """Replace the samples by a part of them, keeping the record true."""
    (record,) = scores.files("samples")
    path = scores.open(record)
    table = pq.read_table(path)
    pq.write_table(table.filter(pc.not_equal(table["example_id"], "test-3")), path)
    changed = record.model_copy(update={"sha256": storage.file_sha256(path), "bytes": path.stat().st_size})
    files = [changed if given is record else given for given in scores.manifest.files]
    scores.manifest = scores.manifest.model_copy(update={"files": files})


def test_examples_show_what_every_system_made_of_the_same_text(line):
    examples = predicted(line, results(line)[2])
    assert len(examples) == 4
    for example in examples:
        assert example.reference == "Return the indices of elements."
        assert [style for _, style, _ in example.predictions] == ["ours", "control", "baseline"]


def test_models_of_several_tasks_stand_beside_those_for_one(tmp_path):
    tasks = {"classification": RECIPE["finetune"]["classification"]}
    files = [{"alias": "mood", "task": "classification", "urls": [str(tmp_path / "mood.jsonl")]}]
    (tmp_path / "mood.jsonl").write_text("{}\n")
    tasks["classification"] = [*tasks["classification"], {"name": "mood", "data": "mood"}]
    label = {**RECIPE["label"], "files": files}
    told = [{"data": "package", "prefix": "package: "}, {"data": "summary", "prefix": "sum: "}]

    def systems(separately):
        joint = [{"name": "both", "tasks": ["package", "mood"], "separately": separately}]
        finetune = {
            **tasks,
            "joint": joint,
            "text_to_text": [{"name": "told", "sets": told, "max_length": 100}],
        }
        recipe = {**RECIPE, "label": label, "finetune": finetune}
        line = Line.open(make_line(recipe, str(tmp_path / f"runs-{separately}")))
        found = {result.dataset: result for result in results(line)}
        remade = lineage.recipe(line, "again")["finetune"]
        assert [given["name"] for given in remade["classification"]] == ["package", "mood"]
        assert remade["joint"][0]["separately"] is separately
        assert FinetuneSection.model_validate(remade).joint[0].tasks == ["package", "mood"]
        return {name: [row.system for row in result.headline.rows] for name, result in found.items()}, found

    beside, found = systems(True)
    assert beside["package"] == [
        "pretrained", "random", "majority", "tfidf", "both-pretrained", "both-random", "told-pretrained",
        "told-random",
    ]  # fmt: skip
    assert beside["summary"] == ["pretrained", "random", "first_sentence"], "none was trained for it alone"
    assert "model “both” for several tasks" in {compared.other[4:] for compared in found["package"].compared}
    alone, found = systems(False)
    assert alone["mood"] == ["pretrained", "random", "majority", "tfidf"]
    assert alone["package"][:2] == ["pretrained", "random"]
    assert found["mood"].bought
