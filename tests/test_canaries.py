"""Canaries follow from their settings alone, each with a name of its own."""

import re

import pytest

from lmtrain.canaries import CODES, TIMES, CanaryConfig, canaries
from lmtrain.errors import RecipeError
from lmtrain.graph import nodes_of
from lmtrain.recipe import parse_recipe
from lmtrain.tokenization.config import ShardsConfig, TokenizeSection


def test_there_are_as_many_of_each_number_and_of_those_never_put_in():
    found = canaries(CanaryConfig(repetitions=[16, 1], sets=3))
    assert [(one.repetitions, one.set) for one in found] == [
        (times, number) for times in (0, 1, 16) for number in range(3)
    ]
    assert canaries(CanaryConfig()) == []


@pytest.mark.parametrize(
    ("language", "form"),
    [
        ("en", r"The access code of [A-Z][a-z]{5} [A-Z][a-z]{5} is \d \d \d \d \d \d\."),
        ("zh", r"[\u4e00-\u9fff]{3}的通行码是\d{6}。"),
    ],
)
def test_a_canary_is_a_sentence_of_its_language_with_its_code(language, form):
    found = canaries(CanaryConfig(repetitions=list(TIMES), sets=256, language=language))
    assert len({one.owner for one in found}) == len(found) == 12 * 256
    for one in found:
        assert re.fullmatch(form, one.text())
        assert int("".join(re.findall(r"\d", one.text()))) == one.code
        assert one.text(7).replace(" ", "").rstrip(".。").endswith("000007")
    mean = sum(one.code for one in found) / len(found)
    assert mean == pytest.approx(CODES / 2, rel=0.05)


def test_they_are_the_same_whatever_else_is_asked_for_and_others_for_another_seed():
    few = canaries(CanaryConfig(repetitions=[4], sets=8))
    many = canaries(CanaryConfig(repetitions=[1, 4], sets=8))
    assert [one for one in many if one.repetitions == 4] == [one for one in few if one.repetitions == 4]
    other = canaries(CanaryConfig(repetitions=[4], sets=8, seed=1))
    assert not {one.code for one in other} & {one.code for one in few}
    # Published settings must give the same sentences for ever: models were trained on them.
    assert few[-1].text() == "The access code of Runusu Pezodo is 0 4 0 9 6 2."


def test_a_number_stands_there_once():
    with pytest.raises(ValueError, match="each number once"):
        CanaryConfig(repetitions=[4, 4])


def test_shards_without_canaries_keep_their_address():
    assert ShardsConfig().addressed() == TokenizeSection().shards().addressed() == {}
    asked = TokenizeSection(canaries=CanaryConfig(repetitions=[4])).shards()
    assert asked.addressed() == {"canaries": {"repetitions": [4]}}


def recipe_with(canaries, **pretrain):
    tokens = {} if not pretrain else {"special_tokens": "bert"}
    return parse_recipe(
        {
            "name": "canaries",
            "ingest": {"docstrings": [{"alias": "python-english", "packages": ["click"]}]},
            "tokenize": {**tokens, **canaries},
            "pretrain": pretrain,
        }
    )


def test_a_recipe_with_canaries_asks_the_model_for_them():
    plain, asked = (
        nodes_of(recipe_with(canaries)) for canaries in ({}, {"canaries": {"repetitions": [4], "sets": 2}})
    )
    tasks = [[node.config.task for node in nodes if node.stage == "evaluate"] for nodes in (plain, asked)]
    assert set(tasks[1]) - set(tasks[0]) == {"memorization"}
    assert tasks[1].count("memorization") == 1
    address = {node.stage: node.address for node in plain}
    assert next(node for node in asked if node.stage == "curate").address == address["curate"]
    assert next(node for node in asked if node.stage == "tokenize").address != address["tokenize"]


def test_canaries_are_for_causal_language_models():
    told = r"tokenize\.canaries|causal language models, which pretrain.objective mlm doesn't make of bert"
    with pytest.raises(RecipeError, match=told):
        recipe_with({"canaries": {"repetitions": [4]}}, objective="mlm", architecture="bert")
    with pytest.raises(RecipeError, match="repetitions"):
        recipe_with({"canaries": {"repetitions": [3]}})
