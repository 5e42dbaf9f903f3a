"""A recipe's quality classifier: trained on its own examples, before curation, which drops by it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from good_and_bad import LANGUAGES, bad, good

from lmtrain import cli
from lmtrain.config import Resources
from lmtrain.curation import accounting, classifier_stage, stage
from lmtrain.curation.classifier import open_classifier
from lmtrain.curation.config import ClassifierConfig, CurateConfig
from lmtrain.errors import RecipeError, StageError
from lmtrain.graph import nodes_of
from lmtrain.manifest import Artifact
from lmtrain.node import Node, build, needed
from lmtrain.planning import plan
from lmtrain.recipe import Recipe, parse_recipe
from lmtrain.watch import SilentWatch

LABELLED = 500
"""Good texts in the labelled set, each with a bad one made of it; the corpus is made of the other texts."""


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_sources(folder: Path, language: str) -> None:
    """Write a corpus and a labelled set, each of good texts and as many bad ones."""
    texts = good(language)
    examples, corpus = texts[:LABELLED], texts[LABELLED:]
    labelled = [{"text": text, "label": "good"} for text in examples]
    labelled += [{"text": bad(text, language, kind), "label": "bad"} for kind, text in enumerate(examples)]
    rows = [{"id": f"good{number}", "text": text} for number, text in enumerate(corpus[::2])]
    rows += [
        {"id": f"bad{kind}", "text": bad(text, language, kind)} for kind, text in enumerate(corpus[1::2])
    ]
    write_lines(folder / "labels.jsonl", labelled)
    write_lines(folder / "corpus.jsonl", rows)


def raw(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a recipe with a classifier on what `write_sources` writes."""
    files = {"alias": "quality", "task": "classification", "urls": [str(folder / "labels.jsonl")]}
    return {
        "name": "filtered",
        "root": str(folder / "runs"),
        "split": {"validation": 0.1, "test": 0.2},
        "ingest": {"files": [{"alias": "mine", "urls": [str(folder / "corpus.jsonl")], "id_column": "id"}]},
        "label": {"files": [files]},
        "classifier": {"data": "quality"},
        "curate": {"preset": "none", "thresholds": {"min_quality": 0.5}},
        **changes,
    }


def node_of(recipe: Recipe, verb: str) -> Node:
    return next(node for node in nodes_of(recipe) if node.stage == verb)


def built(recipe: Recipe, verb: str, workers: int = 2) -> Artifact:
    """Build what a stage needs and its artifact."""
    for node in needed([node_of(recipe, verb)]):
        url = build(node, recipe.root, Resources(workers=workers), SilentWatch())
    return Artifact(url)


def hashes(artifact: Artifact) -> list[str]:
    return [record.sha256 for record in artifact.manifest.files]


@pytest.fixture(scope="module", params=LANGUAGES)
def documents(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ray_cluster: None
) -> Artifact:
    """A corpus curated by its classifier, in each language."""
    folder = tmp_path_factory.mktemp(request.param)
    write_sources(folder, request.param)
    return built(parse_recipe(raw(folder)), "curate")


def recipe_of(documents: Artifact, **changes: Any) -> Recipe:
    return parse_recipe(raw(Path(documents.root).parent, **changes))


def dropped_of(documents: Artifact) -> list[dict[str, Any]]:
    return [row for table in documents.tables("dropped") for row in table.to_pylist()]


def test_what_scores_too_low_is_dropped_with_its_reason_and_value(documents):
    low = [row for row in dropped_of(documents) if row["filter"] == "quality"]
    assert {row["reason"] for row in low} == {"low_quality"}
    assert all(0 <= row["value"] < row["threshold"] == 0.5 for row in low)
    kept = {name for table in documents.tables("documents") for name in table["id"].to_pylist()}
    of_each = {kind: sum(name.startswith(kind) for name in kept) for kind in ("good", "bad")}
    written = {kind: sum(row["id"].startswith(kind) for row in low) for kind in ("good", "bad")}
    assert of_each["good"] > 0.9 * (of_each["good"] + written["good"])
    assert written["bad"] > 0.8 * (of_each["bad"] + written["bad"])


def test_no_document_is_lost_and_the_funnel_names_the_filter(documents):
    stats = documents.stats
    assert stats["read"] == stats["kept"] + sum(stats["dropped"].values())
    step = next(step for step in stats["funnel"] if step["filter"] == "quality")
    assert step["dropped"] == stats["dropped"]["quality/low_quality"]


def test_a_recorded_value_is_the_score_of_the_text(documents):
    (given,) = documents.inputs("classifier")
    one = open_classifier(given.url)
    shown = [row for row in dropped_of(documents) if row["text"] and row["filter"] == "quality"]
    assert len(shown) == accounting.EXAMPLES
    assert all(one.score(row["text"]) == row["value"] for row in shown)


def test_the_stats_say_how_well_it_does_on_texts_that_it_was_not_trained_on(documents):
    (given,) = documents.inputs("classifier")
    stats = given.stats
    assert (stats["positive"], stats["negative"]) == ("good", "bad")
    (labelled,) = given.inputs("labelled")
    for split, counts in stats["examples"].items():
        assert sum(counts.values()) == labelled.stats["by_split"][split]["documents"]
    test = stats["test"]
    assert test["threshold"] == 0.5
    assert min(test["accuracy"], test["precision"], test["recall"]) > 0.8
    assert test["roc_auc"] > 0.93
    rows = stats["validation"]
    assert [row["threshold"] for row in rows] == list(classifier_stage.THRESHOLDS)
    assert [row["kept"] for row in rows] == sorted((row["kept"] for row in rows), reverse=True)
    assert [row["recall"] for row in rows] == sorted((row["recall"] for row in rows), reverse=True)


def test_a_second_run_is_a_hit(documents):
    recipe = recipe_of(documents)
    nodes = needed([node_of(recipe, "curate")])
    assert [node.stage for node in nodes] == ["ingest", "label", "train_classifier", "curate"]
    assert all(line.hit for line in plan(nodes, recipe.root))
    before = os.stat(documents.url).st_mtime_ns
    assert built(recipe, "curate").url == documents.url
    assert os.stat(documents.url).st_mtime_ns == before


def test_training_again_elsewhere_gives_the_same_bytes(documents, any_root):
    (given,) = documents.inputs("classifier")
    again = built(recipe_of(documents, root=any_root), "train_classifier")
    assert again.address == given.address
    assert hashes(again) == hashes(given)
    assert again.stats == given.stats
    text = good("en")[0]
    assert open_classifier(again.url).score(text) == open_classifier(given.url).score(text)


def test_the_digest_follows_the_examples_and_the_settings(documents, tmp_path):
    def digests(recipe: Recipe) -> dict[str, str]:
        return {node.stage: node.address.digest for node in nodes_of(recipe) if node.stage != "evaluate"}

    folder = Path(documents.root).parent
    before = digests(recipe_of(documents))
    assert digests(recipe_of(documents, classifier={"data": "quality", "positive": "good"})) == before
    other = digests(recipe_of(documents, classifier={"data": "quality", "seed": 1}))
    assert {name for name in before if before[name] != other[name]} == {*before} - {"ingest", "label"}
    labels = (folder / "labels.jsonl").read_text(encoding="utf-8")
    (tmp_path / "labels.jsonl").write_text(
        labels + json.dumps({"text": "one more", "label": "bad"}) + "\n", encoding="utf-8"
    )
    files = {"alias": "quality", "task": "classification", "urls": [str(tmp_path / "labels.jsonl")]}
    more = digests(recipe_of(documents, label={"files": [files]}))
    assert {name for name in before if before[name] != more[name]} == {*before} - {"ingest"}


def test_a_threshold_moves_curation_but_not_the_classifier(documents):
    def address(least: float, verb: str) -> Any:
        curate = {"preset": "none", "thresholds": {"min_quality": least}}
        return node_of(recipe_of(documents, curate=curate), verb).address

    assert address(0.3, "train_classifier") == address(0.5, "train_classifier")
    assert address(0.3, "curate") != address(0.5, "curate")


@pytest.mark.usefixtures("ray_cluster")
def test_the_command_trains_it_alone(tmp_path):
    write_sources(tmp_path, "en")
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(raw(tmp_path)))
    ended = CliRunner().invoke(cli.main, ["train-classifier", str(path)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    made = Artifact(ended.stdout.strip().removeprefix("classifier: "))
    assert made.address.label == "quality"
    assert not (tmp_path / "runs" / "documents").exists()
    shown = CliRunner().invoke(cli.main, ["show", made.url], catch_exceptions=False)
    assert "roc_auc" in shown.stdout


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["good", "bad", "ugly"], r"labelled set quality has 3 labels \(bad, good, ugly\); .* needs two"),
        (["fine", "bad"], r"labelled set quality has no label 'good' \(classifier.positive\): .* bad, fine"),
    ],
)
def test_labels_that_can_not_serve_are_refused_in_one_line(labels, expected, tmp_path):
    rows = [{"text": text, "label": labels[place % len(labels)]} for place, text in enumerate(good("en"))]
    write_lines(tmp_path / "labels.jsonl", rows[:90])
    write_lines(tmp_path / "corpus.jsonl", [{"id": "one", "text": "One text."}])
    with pytest.raises(StageError, match=expected) as told:
        built(parse_recipe(raw(tmp_path)), "curate")
    assert "\n" not in str(told.value)


def without(section: str) -> Callable[[dict[str, Any]], None]:
    return lambda recipe: recipe.pop(section)


def put(section: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda recipe: recipe.update({section: value})


def by_label(*labels: str) -> Callable[[dict[str, Any]], None]:
    files = {"alias": "quality", "task": "classification"}
    return put("label", {"files": [files | {"urls_by_label": {label: ["x"] for label in labels}}]})


DOCSTRINGS = {
    "ingest": {"docstrings": [{"alias": "python", "packages": ["click"]}]},
    "label": {"docstrings": [{"alias": "quality", "label": "package"}]},
}

WRONG = {
    "unknown set": (
        put("classifier", {"data": "none"}),
        r"classifier: no labelled set 'none' in label.files \(there are: quality\)",
    ),
    "labels from docstrings": (
        lambda recipe: recipe.update(DOCSTRINGS),
        r"classifier: 'quality' comes from docstrings, .*it must be one of label\.files",
    ),
    "another task": (
        put("label", {"files": [{"alias": "quality", "task": "summarization", "urls": ["x"]}]}),
        r"classifier: 'quality' is for summarization, not classification",
    ),
    "three labels": (by_label("good", "bad", "ugly"), r"must have two labels, 'good' .* bad, good, ugly"),
    "one label": (by_label("good"), r"must have two labels"),
    "no positive label": (by_label("fine", "bad"), r"must have two labels, 'good' .* has bad, fine"),
    "no set": (put("classifier", {"positive": "fine"}), r"classifier: set data"),
    "no classifier": (without("classifier"), r"curate: min_quality needs a classifier; .* classifier\.data"),
    "no threshold": (without("curate"), r"classifier: nothing uses it; set curate\.thresholds\.min_quality"),
    "a threshold above one": (
        put("curate", {"thresholds": {"min_quality": 2}}),
        r"curate: min_quality must be at most 1, got 2",
    ),
    "no n-grams": (put("classifier", {"data": "quality", "ngrams": 0}), r"classifier\.ngrams: .*\(got 0\)"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_recipe_that_can_not_be_is_refused_in_one_line(wrong, tmp_path):
    recipe = raw(tmp_path)
    change, expected = WRONG[wrong]
    change(recipe)
    with pytest.raises(RecipeError, match=expected) as told:
        parse_recipe(recipe)
    assert "\n" not in str(told.value)


def test_a_threshold_without_a_classifier_is_refused_from_python_too(root, resources):
    config = CurateConfig(preset="none", thresholds={"min_quality": 0.5})
    with pytest.raises(RecipeError, match="min_quality needs a classifier among the inputs"):
        stage.build({"corpora": []}, config, root, resources, SilentWatch())


def test_a_recipe_without_a_classifier_has_the_addresses_it_had():
    """The role `classifier` is absent from the inputs, not empty: an empty one would move everything."""
    recipe = parse_recipe({"name": "plain", **DOCSTRINGS})
    nodes = {node.stage: node for node in nodes_of(recipe)}
    assert set(nodes["curate"].inputs) == {"corpora"}
    assert "classifier" not in nodes["report"].inputs
    assert "train_classifier" not in nodes


def test_the_disk_of_a_classifier_is_that_of_its_weights(tmp_path):
    write_sources(tmp_path, "en")
    (line,) = plan([node_of(parse_recipe(raw(tmp_path)), "train_classifier")], str(tmp_path / "runs"))
    assert line.disk_bytes == 4 * 2 ** ClassifierConfig().bucket_bits
