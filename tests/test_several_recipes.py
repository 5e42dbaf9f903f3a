"""Fine-tunings for several tasks in a recipe: what is refused, and which nodes there are."""

import json

import pytest

from lmtrain.errors import RecipeError
from lmtrain.graph import nodes_of
from lmtrain.node import Node
from lmtrain.recipe import Recipe, parse_recipe

TASKS = {
    "topics": "classification",
    "names": "token_classification",
    "alike": "similarity",
    "texts": "summarization",
}
ALONE = {
    "classification": [{"name": "topic", "data": "topics", "learning_rates": [0.1]}],
    "token_classification": [{"name": "name", "data": "names"}],
}
JOINT = {"name": "both", "tasks": ["topic", "name"]}
SETS = [{"data": "topics", "prefix": "topic: "}, {"data": "texts", "prefix": "sum: "}]
TWICE = [SETS[0], {**SETS[0], "prefix": "x"}]
ALIKE = [SETS[0], {**SETS[1], "prefix": "topic: "}]
TOLD = {"name": "told", "sets": SETS, "max_length": 100}


def recipe(folder, family, **finetune) -> Recipe:
    """A recipe that begins with a model of a family."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "config.json").write_text(json.dumps({"model_type": family}))
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    for name in TASKS:
        (folder / f"{name}.jsonl").write_text("{}\n")
    files = [
        {"alias": name, "task": task, "urls": [str(folder / f"{name}.jsonl")]} for name, task in TASKS.items()
    ]
    raw = {"name": "mine", "model": {"path": str(folder / "model")}, "label": {"files": files}}
    return parse_recipe({**raw, "finetune": finetune})


def by_label(nodes: list[Node], stage: str) -> dict[str, Node]:
    return {node.label: node for node in nodes if node.stage == stage}


def test_a_joint_training_is_a_node_for_each_start_and_is_scored_on_every_set(tmp_path):
    nodes = nodes_of(recipe(tmp_path, "bert", **ALONE, joint=[JOINT]))
    tuned = by_label(nodes, "finetune")
    assert list(tuned) == [
        "topic-pretrained", "topic-random", "name-pretrained", "name-random",
        "both-pretrained", "both-random",
    ]  # fmt: skip
    assert [node.label for node in tuned["both-random"].inputs["labelled"]] == ["topics", "names"]
    scored = by_label(nodes, "evaluate")
    assert {"topic-pretrained-topics", "both-pretrained-topics", "both-random-names"} <= scored.keys()
    assert scored["both-pretrained-topics"].config.part == "topic"
    assert scored["both-pretrained-topics"].config.task == "classification"
    assert scored["tfidf-topics"].config.part == ""
    addresses = [node.address for node in nodes]
    assert len(set(addresses)) == len(addresses), "a set has its baselines once"
    [report] = by_label(nodes, "report").values()
    assert set(report.inputs["models"]) >= set(tuned.values())


def test_tasks_may_be_trained_jointly_alone(tmp_path):
    nodes = nodes_of(recipe(tmp_path, "bert", **ALONE, joint=[{**JOINT, "separately": False}]))
    assert list(by_label(nodes, "finetune")) == ["both-pretrained", "both-random"]
    assert {"both-pretrained-topics", "tfidf-topics"} <= by_label(nodes, "evaluate").keys()
    together = nodes_of(recipe(tmp_path, "bert", **ALONE, joint=[JOINT]))
    same = "both-pretrained"
    assert by_label(nodes, "finetune")[same].address == by_label(together, "finetune")[same].address


def test_what_the_tasks_say_of_their_own_training_does_not_move_the_joint_one(tmp_path):
    def digest(**changes):
        alone = {**ALONE, "classification": [{**ALONE["classification"][0], **changes}]}
        nodes = nodes_of(recipe(tmp_path, "bert", **alone, joint=[JOINT]))
        return by_label(nodes, "finetune")["both-pretrained"].address.digest

    assert digest() == digest(learning_rates=[], seeds=2)
    assert digest() != digest(class_weights="balanced")
    assert digest() != digest(max_length=100)


def test_texts_are_one_model_scored_on_each_set_with_its_baselines(tmp_path):
    nodes = nodes_of(recipe(tmp_path, "t5", text_to_text=[{**TOLD, "seeds": 2}]))
    assert list(by_label(nodes, "finetune")) == [
        "told-pretrained", "told-pretrained-1", "told-random", "told-random-1",
    ]  # fmt: skip
    scored = by_label(nodes, "evaluate")
    assert {
        "told-pretrained-topics",
        "told-random-texts",
        "majority-topics",
        "first_sentence-texts",
    } <= scored.keys()
    assert scored["told-pretrained-texts"].config.max_target_length == 48
    tasks = [given.task for given in by_label(nodes, "finetune")["told-random"].config.sets]
    assert tasks == ["classification", "summarization"]


@pytest.mark.parametrize(
    ("family", "finetune", "told"),
    [
        ("bert", {"joint": [{**JOINT, "tasks": ["topic", "none"]}]}, "no fine-tuning of one task 'none'"),
        ("bert", {"joint": [{**JOINT, "tasks": ["topic"]}]}, "at least 2"),
        ("bert", {"joint": [{**JOINT, "tasks": ["topic", "topic"]}]}, "every one of tasks must be different"),
        ("bert", {"joint": [{**JOINT, "weights": [1.0]}]}, "a weight for each of the 2 tasks, not 1"),
        ("bert", {"joint": [{**JOINT, "lora_rank": 4}]}, "LoRA isn't for a joint training"),
        ("bert", {"joint": [{**JOINT, "name": "topic"}]}, "every name must be different"),
        ("bert", {"joint": [{**JOINT, "members": [{"name": "a", "data": "b"}]}]}, "leave members out"),
        ("t5", {"joint": [JOINT]}, "joint isn't for t5; it is for bert"),
        ("bert", {"text_to_text": [TOLD]}, "text_to_text isn't for bert; it is for gpt2"),
        ("t5", {"text_to_text": [{**TOLD, "sets": SETS[:1]}]}, "at least 2"),
        ("t5", {"text_to_text": [{**TOLD, "sets": TWICE}]}, "every data of its sets"),
        ("t5", {"text_to_text": [{**TOLD, "sets": ALIKE}]}, "every prefix"),
        ("t5", {"text_to_text": [{**TOLD, "sets": [*SETS, {"data": "x"}]}]}, "no labelled set 'x'"),
        ("t5", {"text_to_text": [{**TOLD, "sets": [*SETS, {"data": "names"}]}]}, r"\(names\) isn't for"),
        ("t5", {"text_to_text": [{**TOLD, "max_length": 40}]}, "max_length must leave room"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(family, finetune, told, tmp_path):
    given = {**ALONE, **finetune} if "joint" in finetune else finetune
    with pytest.raises(RecipeError, match=told):
        nodes_of(recipe(tmp_path, family, **given))


def test_a_task_without_a_head_of_its_own_cannot_be_joint(tmp_path):
    finetune = {**ALONE, "summarization": [{"name": "sum", "data": "texts"}]}
    with pytest.raises(RecipeError, match=r"summarization \(sum\) isn't for joint"):
        recipe(tmp_path, "llama", **finetune, joint=[{**JOINT, "tasks": ["topic", "sum"]}])
