"""The one stage graph: each node after what it needs, addresses that don't depend on what runs it."""

from pathlib import Path
from typing import Any

import pytest

from lmtrain.config import Resources
from lmtrain.errors import RecipeError, ResourceError
from lmtrain.graph import nodes_of
from lmtrain.node import STAGES, Node, needed
from lmtrain.planning import check_resources, open_line, plan
from lmtrain.recipe import Recipe, load_recipe, parse_recipe

RECIPES = sorted((Path(__file__).parent.parent / "flows" / "recipes").glob("*.yaml"))

RAW: dict[str, Any] = {
    "name": "small",
    "ingest": {"docstrings": [{"alias": "python", "packages": ["click"]}]},
    "label": {"docstrings": [{"alias": "package", "label": "package"}]},
    "finetune": {"classification": [{"name": "first", "data": "package"}]},
}


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({**RAW, **changes})


def addresses(**changes: Any) -> dict[str, str]:
    return {f"{n.stage} {n.label}": n.address.digest for n in nodes_of(recipe(**changes))}


def moved(**changes: Any) -> set[str]:
    """Return the stages whose addresses differ from those of the unchanged recipe."""
    before = addresses()
    return {name.split()[0] for name, digest in addresses(**changes).items() if before.get(name) != digest}


def test_every_stage_has_a_module_and_every_node_a_stage(tmp_path):
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "ids.txt").write_text("d1")
    urls = {"good": [str(tmp_path / "good.txt")], "bad": [str(tmp_path / "good.txt")]}
    label = {"files": [{"alias": "quality", "task": "classification", "urls_by_label": urls}]}
    with_classifier = {
        "label": {**RAW["label"], **label},
        "classifier": {"data": "quality"},
        "curate": {"thresholds": {"min_quality": 0.5}},
        "remove": {"ids": [str(tmp_path / "ids.txt")]},
        "word_vectors": [{"name": "plain"}],
        "finetune": {"classification": [{"name": "first", "data": "package", "search": {"trials": 2}}]},
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    imported = parse_recipe({"name": "imported", "model": {"path": str(tmp_path / "model")}})
    stages = [node.stage for node in nodes_of(recipe(**with_classifier))]
    assert {*stages, *(node.stage for node in nodes_of(imported))} == set(STAGES)
    assert stages.index("train_classifier") < stages.index("curate")


def test_each_node_stands_after_what_it_needs():
    nodes = nodes_of(recipe())
    for place, node in enumerate(nodes):
        for given in [one for many in node.inputs.values() for one in many]:
            assert nodes.index(given) < place


def test_what_a_target_needs_is_all_that_leads_to_it_once_and_in_order():
    nodes = nodes_of(recipe())
    by_stage = {node.stage: node for node in nodes}
    assert [node.stage for node in needed([by_stage["tokenize"]])] == [
        "ingest",
        "curate",
        "train_tokenizer",
        "tokenize",
    ]
    assert needed([by_stage["ingest"]]) == [by_stage["ingest"]]
    assert needed([nodes[-1], by_stage["curate"]])[-1] is nodes[-1]
    assert set(needed([nodes[-1]])) == set(nodes), "the report needs everything"


def test_each_task_is_tuned_from_pretrained_and_from_random_weights():
    tuned = [node.label for node in nodes_of(recipe()) if node.stage == "finetune"]
    assert tuned == ["first-pretrained", "first-random"]


def test_static_vectors_are_systems_of_the_sets_that_they_can_serve(tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"query": "a", "passage": "b"}\n')
    pairs = {"alias": "pairs", "task": "retrieval", "urls": [str(tmp_path / "pairs.jsonl")]}
    labels = [*RAW["label"]["docstrings"], {"alias": "summary", "label": "summary"}]
    changes: dict[str, Any] = {
        "label": {"docstrings": labels, "files": [pairs]},
        "finetune": {**RAW["finetune"], "summarization": [{"name": "short", "data": "summary"}]},
    }
    vectors = [{"name": "plain"}, {"name": "wide", "algorithm": "glove", "window": 15}]
    nodes = nodes_of(recipe(**changes, word_vectors=vectors))
    trained = {node.label: node for node in nodes if node.stage == "train_vectors"}
    assert list(trained) == ["word2vec-plain", "glove-wide"]
    assert [node.stage for node in needed(trained.values())].count("curate") == 1
    scored = {node.label: node for node in nodes if node.stage == "evaluate"}
    of_vectors = {f"{name}-{alias}" for name in trained for alias in ("package", "pairs")}
    assert of_vectors | {"tfidf_cosine-pairs", "tfidf-package"} < set(scored)
    assert not {f"{name}-summary" for name in trained} & set(scored)
    for label in of_vectors:
        assert scored[label].inputs["system"] == [trained[label.rpartition("-")[0]]]
    assert nodes[-1].inputs["word_vectors"] == list(trained.values())
    without = {n.address for n in nodes_of(recipe(**changes))}
    assert without - {n.address for n in nodes} == {n.address for n in nodes_of(recipe(**changes))[-1:]}
    assert not any("pairs" in address.label for address in without if address.kind == "scores")


def test_sets_that_a_recipe_uses_otherwise_are_not_scored_with_static_vectors(tmp_path):
    files = []
    for alias in ("kept-out", "quality"):
        (tmp_path / f"{alias}.jsonl").write_text('{"text": "a", "label": "good"}\n')
        urls = [str(tmp_path / f"{alias}.jsonl")]
        files.append({"alias": alias, "task": "classification", "urls": urls})
    changes: dict[str, Any] = {
        "label": {**RAW["label"], "files": files},
        "classifier": {"data": "quality"},
        "curate": {"thresholds": {"min_quality": 0.5}, "decontaminate": ["kept-out"]},
    }
    asked = recipe(**changes, finetune={}, word_vectors=[{"name": "plain"}])
    assert asked.sets_of_word_vectors() == {"package": "classification"}
    assert recipe(**changes, finetune={}).sets_of_word_vectors() == {}


def test_each_start_has_a_search_of_its_own_that_every_seed_takes():
    given = {"name": "first", "data": "package", "seeds": 2, "search": {"trials": 5}}
    nodes = nodes_of(recipe(finetune={"classification": [given]}))
    searches = {node.label: node for node in nodes if node.stage == "search"}
    tuned = {node.label: node for node in nodes if node.stage == "finetune"}
    assert list(searches) == ["first-pretrained", "first-random"]
    for label, node in tuned.items():
        assert node.inputs["search"] == [searches[label.removesuffix("-1")]]
        assert {role: nodes for role, nodes in node.inputs.items() if role != "search"} == node.inputs[
            "search"
        ][0].inputs
    assert nodes[-1].inputs["searches"] == list(searches.values())
    more = recipe(finetune={"classification": [{**given, "search": {"trials": 6}}]})
    assert not {node.address for node in nodes_of(more)} & {node.address for node in tuned.values()}


def test_with_what_it_runs_and_where_it_lies_moves_nothing():
    resources = {
        "workers": 64,
        "device": "cuda",
        "sharding": "zero3",
        "micro_batch_size": 1,
        "compile": False,
    }
    assert moved(resources=resources) == set()
    assert moved(root="s3://elsewhere/runs") == set()


def test_a_change_moves_its_stage_and_those_after_it():
    assert moved(evaluate={"bootstrap_samples": 11}) == {"evaluate", "report"}
    assert moved(pretrain={"max_steps": 7}) == {"pretrain", "finetune", "evaluate", "report"}
    assert moved(tokenize={"min_frequency": 3}) == {
        "train_tokenizer",
        "tokenize",
        "pretrain",
        "finetune",
        "evaluate",
        "report",
    }
    assert "ingest" not in moved(curate={"preset": "none"})
    assert moved(name="other") == {"report"}


def test_defaults_spelled_out_move_nothing():
    assert moved(pretrain={"max_steps": 600, "architecture": "qwen3"}, split={"seed": 0}) == set()


def test_a_new_file_is_a_new_corpus_and_a_moved_folder_is_the_same(tmp_path):
    def digest(folder: str) -> str:
        source = {"files": [{"alias": "mine", "urls": [str(tmp_path / folder)]}]}
        return nodes_of(parse_recipe({"name": "mine", "ingest": source}))[0].address.digest

    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("one")
    first = digest("here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert digest("there") == first
    (tmp_path / "there" / "b.txt").write_text("two")
    assert digest("there") != first


def test_a_plan_estimates_the_disk_of_what_is_new(root):
    lines = plan(nodes_of(recipe()), root)
    assert not any(line.hit for line in lines)
    assert all(line.disk_bytes > 0 for line in lines)
    tokenize = next(line for line in lines if line.node.stage == "tokenize")
    assert tokenize.disk_bytes < lines[0].node.source_bytes, "documents reach it twice but count once"


def test_more_workers_than_cpus_are_left_to_the_cluster_that_is_named(monkeypatch):
    many = Resources(workers=4096)
    with pytest.raises(ResourceError, match="name a larger cluster by RAY_ADDRESS"):
        check_resources(many)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    check_resources(many)


def test_a_line_is_opened_with_an_absolute_root_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, nodes = open_line(recipe(root="runs", resources={"workers": 1}))
    assert root == str(tmp_path / "runs")
    assert isinstance(nodes[0], Node)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_ships_is_valid(path):
    assert load_recipe(path).name == path.stem


def test_a_root_given_beside_the_recipe_wins(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: small\nroot: here\ningest: {docstrings: [{alias: p, packages: [click]}]}\n")
    assert load_recipe(path).root == "here"
    assert load_recipe(path, root="there").root == "there"
    with pytest.raises(RecipeError, match="root"):
        load_recipe(path, root="")


def test_a_set_to_keep_out_of_the_documents_is_an_input_of_curation(tmp_path):
    (tmp_path / "asked.jsonl").write_text('{"text": "a question", "label": "yes"}\n')
    asked = {"alias": "asked", "task": "classification", "urls": [str(tmp_path / "asked.jsonl")]}
    label = {**RAW["label"], "files": [asked]}
    curate = {"decontaminate": ["asked"]}
    (curated,) = (n for n in nodes_of(recipe(label=label, curate=curate)) if n.stage == "curate")
    assert [node.label for node in curated.inputs["evaluation"]] == ["asked"]
    (without,) = (n for n in nodes_of(recipe(label=label)) if n.stage == "curate")
    assert curated.address != without.address


@pytest.mark.parametrize(
    ("preset", "language"),
    [("english", "en"), ("none", "en"), ("chinese", "zh"), ("japanese", "ja"), ("korean", "ko")],
)
def test_scores_cut_texts_by_the_language_of_the_preset_unless_the_recipe_names_one(preset, language):
    def languages(**evaluate: Any) -> set[str]:
        nodes = nodes_of(recipe(curate={"preset": preset}, evaluate=evaluate))
        return {node.config.model_dump()["language"] for node in nodes if node.stage == "evaluate"}

    assert languages() == {language}
    assert languages(language="ko") == {"ko"}
