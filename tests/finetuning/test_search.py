"""What a search tries, which of it is taken, and how a fine-tuning goes on with it."""

import json
import math

import pytest
from tiny_line import CONTEXT

from lmtrain.config import Resources
from lmtrain.errors import StageError
from lmtrain.finetuning import search_stage, stage
from lmtrain.finetuning.config import ClassificationConfig
from lmtrain.finetuning.general_config import SearchConfig
from lmtrain.finetuning.search import best_of, settings_of
from lmtrain.manifest import Artifact
from lmtrain.watch import SilentWatch


def config(**search):
    return ClassificationConfig(
        name="word", data="x", max_length=CONTEXT, precision="fp32", train_batch_size=8, eval_steps=6,
        num_train_epochs=12, search=search,
    )  # fmt: skip


def test_rates_lie_evenly_on_a_logarithmic_scale_and_batches_are_dealt_evenly():
    drawn = settings_of(config(trials=8, learning_rate=[1e-5, 1e-1], train_batch_size=[4, 16]))
    rates = sorted(one["learning_rate"] for one in drawn)
    for part, rate in enumerate(rates):
        assert 1e-5 * 10 ** (part / 2) <= rate * 1.005 <= 1.011e-5 * 10 ** ((part + 1) / 2)
    assert [one["learning_rate"] for one in drawn] != rates, "shuffled"
    assert sorted(one["train_batch_size"] for one in drawn) == [4] * 4 + [16] * 4
    assert {one["train_batch_size"]: one["eval_steps"] for one in drawn} == {4: 12, 16: 3}, "48 examples"


def test_the_seed_alone_says_what_is_drawn():
    asked = {"trials": 5, "learning_rate": [1e-4, 1e-2], "train_batch_size": [4, 8]}
    assert settings_of(config(**asked)) == settings_of(config(**asked))
    assert settings_of(config(**asked, seed=1)) != settings_of(config(**asked))
    assert {one["train_batch_size"] for one in settings_of(config(trials=3))} == {8}, "the config's own"


def test_the_least_loss_is_best_and_what_diverged_never_is():
    assert best_of([None, 0.5, 0.25, 0.25]) == 2
    assert best_of([None, None]) is None


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"trials": 3, "learning_rate": [1e-2, 1e-4]}, "search.learning_rate: the first must be less"),
        ({"learning_rate": [1e-4, 1e-2]}, "search: set trials"),
        ({"trials": 3, "learning_rate": [1e-4]}, "at least 2 items"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(search, told):
    with pytest.raises(ValueError, match=told):
        config(**search)


def test_settings_come_from_one_place():
    given = {"name": "word", "data": "x", "search": {"trials": 2, "train_batch_size": [4, 8]}}
    with pytest.raises(ValueError, match="word: give either search or learning_rates"):
        ClassificationConfig(**given, learning_rates=[1e-3])
    with pytest.raises(ValueError, match="batch_ramp_start 8 must be at most the least of search"):
        ClassificationConfig(**given, batch_ramp_ratio=0.1)


@pytest.fixture
def searched(line):
    """Searches on a set made from the line's texts; gives the config, the inputs and the artifact."""

    def run(name, **search):
        word = {"en": "wall", "zh": "图书馆"}[line.language]
        rows = [{"text": text, "label": "there" if word in text else "not there"} for text in line.texts]
        inputs = {
            "model": [line.language_model()],
            "labelled": [line.labelled("classification", rows, alias=name)],
        }
        training = config(**search).model_copy(update={"name": name})
        asked = SearchConfig(task="classification", training=training)
        resources = Resources(workers=1, compile=False)
        return (
            training,
            inputs,
            Artifact(search_stage.build(inputs, asked, line.root, resources, SilentWatch())),
        )

    return run


@pytest.mark.slow
def test_the_best_settings_are_found_and_trained_with(searched, line, ray_cluster):
    training, inputs, found = searched("found", trials=4, learning_rate=[1e-6, 1e-1], train_batch_size=[4, 8])
    (record,) = found.files("trials")
    rows = json.loads(found.open(record).read_text())
    drawn = settings_of(training)
    assert [{key: row[key] for key in drawn[0]} for row in rows] == drawn
    best = min(rows, key=lambda row: row["validation_loss"] or math.inf)
    assert found.stats["settings"] == {key: best[key] for key in drawn[0]}
    assert found.stats["trials"] == sum(found.stats["ended"].values()) == 4
    assert "whole" in found.stats["ended"]
    for row in rows:
        steps = [look["step"] for look in row["looks"]]
        assert steps[:-1] == [row["eval_steps"] * (n + 1) for n in range(len(steps) - 1)]
    resources = Resources(workers=1, compile=False)
    again = {**inputs, "search": [found.url]}
    tuned = Artifact(stage.build(again, training, line.root, resources, SilentWatch()))
    assert tuned.stats["learning_rate"] == best["learning_rate"]
    assert tuned.stats["best_step"] == best["best_step"], "the same training again"
    assert tuned.stats["validation_loss"] == pytest.approx(best["validation_loss"], rel=1e-4)
    card = next(tuned.open(record) for record in tuned.files("weights") if record.path.endswith("README.md"))
    assert "the best of 4 trials with rates from 1e-06 to 0.1" in card.read_text(encoding="utf-8")


def test_where_every_trial_diverged_it_says_what_to_change(line, monkeypatch):
    from lmtrain.distributed.searching import Look, Trial

    gone = [Trial([Look(6, 0.7)], "diverged"), Trial([], "diverged")]
    monkeypatch.setattr(search_stage, "search", lambda *given, **named: gone)
    monkeypatch.setattr(search_stage, "spec_of", lambda inputs, config: {})
    asked = SearchConfig(task="classification", training=config(trials=2))
    inputs = {"model": [line.language_model()]}
    with pytest.raises(StageError, match=r"word: every trial diverged: lower search.learning_rate"):
        search_stage.build(inputs, asked, line.root, Resources(workers=1), SilentWatch())
