"""A fine-tuning under differential privacy: its promise stands with it, and little noise costs little."""

import json

import pytest
import torch
from opacus.accountants import RDPAccountant
from tiny_line import CONTEXT, LONG
from transformers import AutoModelForSequenceClassification

from lmtrain.building import Attempt, Built
from lmtrain.config import Resources
from lmtrain.errors import StageError
from lmtrain.evaluation import stage as evaluation
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.finetuning import private, stage
from lmtrain.finetuning.config import ClassificationConfig, FinetuneSection, RetrievalConfig
from lmtrain.finetuning.general_config import PrivacyConfig
from lmtrain.finetuning.private import SECRET, secret_key
from lmtrain.finetuning.worker import train
from lmtrain.manifest import Address, Artifact, address_of
from lmtrain.training.accounting import Mechanism
from lmtrain.training.process import Process
from lmtrain.watch import SilentWatch


@pytest.fixture
def tune(tmp_path):
    """Fine-tunes in this process; gives the figures and the model's folder."""

    def tuned(line, config, rows):
        attempt = Attempt(str(tmp_path), Address("model", config.name, "0" * 12), config.name)
        spec = {
            "config": config, "attempt": attempt, "resources": Resources(workers=1, compile=False),
            "secret": "", "model": line.language_model(), "removed": frozenset(),
            "labelled": line.labelled(config.task, rows, alias=config.name),
        }  # fmt: skip
        figures = train(spec, Process())
        weights = [record for record in attempt.finished("model").files if record.role == "weights"]
        return figures, attempt.open(weights[0]).parent

    return tuned


def by_a_word(line):
    """Label each text by whether a word is in it."""
    word = {"en": "wall", "zh": "图书馆"}[line.language]
    return [{"text": text, "label": "there" if word in text else "not there"} for text in line.texts]


def classification(name="word", **settings):
    given = {"num_train_epochs": 20, "train_batch_size": 4, "eval_steps": 10, "learning_rate": 1e-2}
    common = {"name": name, "data": "x", "max_length": CONTEXT, "precision": "fp32"}
    return ClassificationConfig(**common | given | settings)


def private_config(epsilon=4.0, name="private", **settings):
    return classification(name, **{"differential_privacy": {"target_epsilon": epsilon}, **settings})


def weights_of(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).state_dict()


@pytest.fixture(params=["here", pytest.param("ray", marks=pytest.mark.slow)])
def launched(request, monkeypatch):
    """Trainings run in this process, or as they really do."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
        return

    def train_here(function, spec, attempt, resources, watch):
        assert resources.workers == 1
        function({**spec, "attempt": attempt, "resources": resources}, Process())
        result = attempt.finished("model")
        return Built(result.files, result.stats)

    monkeypatch.setattr(stage, "train_model", train_here)


def test_scores_and_card_say_what_was_spent(line, request, launched):
    labelled = line.labelled("classification", by_a_word(line), alias="private")
    inputs = {"model": [line.language_model()], "labelled": [labelled]}
    config = private_config(num_train_epochs=2, seed=len(request.node.name))  # another for each launch
    resources = Resources(workers=2, compile=False)
    model = Artifact(stage.build(inputs, config, line.root, resources, SilentWatch()))

    spent = model.stats["differential_privacy"]
    train = model.inputs("labelled")[0].stats["by_split"]["train"]["documents"]
    accountant = RDPAccountant()
    accountant.history = [(spent["noise_multiplier"], 4 / train, spent["steps"])]
    assert spent["epsilon"] == pytest.approx(accountant.get_epsilon(delta=1 / (2 * train)), rel=1e-4)
    assert 3.9 < spent["epsilon"] <= 4.0
    assert spent["epsilon_of_steps_done"] <= spent["epsilon"]
    assert (spent["examples"], spent["sample_rate"]) == (train, 4 / train)

    card = (model.folder("weights") / "README.md").read_text(encoding="utf-8")
    assert f"epsilon {spent['epsilon']:.4g} with delta {1 / (2 * train):.3g}" in card
    assert "The noise follows from the manifest" in card

    asked = EvaluateConfig(task="classification", system="model", dataset="private", language=line.language)
    of_model = {"data": [labelled], "system": [model.url]}
    scores = Artifact(evaluation.build(of_model, asked, line.root, resources, SilentWatch()))
    rows = json.loads(scores.open(scores.files("scores")[0]).read_text(encoding="utf-8"))
    assert rows
    assert {row["epsilon"] for row in rows} == {scores.stats["epsilon"]} == {spent["epsilon"]}
    baseline = asked.model_copy(update={"system": "majority"})
    others = Artifact(evaluation.build({"data": [labelled]}, baseline, line.root, resources, SilentWatch()))
    rows = json.loads(others.open(others.files("scores")[0]).read_text(encoding="utf-8"))
    assert not any("epsilon" in row for row in rows)


@pytest.mark.parametrize(("epsilon", "tolerance"), [(None, 1e-3), (1e6, 0.1)])
def test_with_little_noise_and_no_clipping_it_is_the_ordinary_training(
    lines, tune, monkeypatch, epsilon, tolerance
):
    line = lines["en" if epsilon else "zh"]
    rows = by_a_word(line)
    examples = Artifact(line.labelled("classification", rows, alias="word"))
    same = {
        "train_batch_size": examples.stats["by_split"]["train"]["documents"], "num_train_epochs": 8,
        "max_grad_norm": 30.0 if epsilon else 1e6, "learning_rate": 1e-3, "early_stopping_patience": None,
    }  # fmt: skip
    ordinary, folder = tune(line, classification(**same), rows)
    expected = weights_of(folder)
    if epsilon is None:
        monkeypatch.setattr(private, "calibrated", lambda *args: Mechanism(1.0, 0.0, 1e-5))
        monkeypatch.setattr(Mechanism, "epsilon", lambda self, steps: float("inf"))
    found, folder = tune(line, private_config(epsilon or 1.0, **same), rows)
    assert found["steps"] == ordinary["steps"] == 8
    assert found["validation_loss"] == pytest.approx(ordinary["validation_loss"], abs=tolerance)
    if epsilon is None:
        for name, value in weights_of(folder).items():
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def task_rows(line):
    """A few examples of each task that a Llama can be trained privately for."""
    texts = line.texts
    qa = [
        {"question": text[:4], "context": text, "answers": [text[2:6]], "answer_starts": [2]}
        for text in texts
    ]
    return {
        "token_classification": [
            {"tokens": list(text[:6]), "tags": ["A" if letter in "aeiou我他" else "B" for letter in text[:6]]}
            for text in texts
        ],
        "multi_label": [
            {"text": text, "labels": ["short"] if index % 2 else ["long", "short"]}
            for index, text in enumerate(texts)
        ],
        "question_answering": qa,
        "summarization": [{"document": text, "summary": text[:6]} for text in texts],
        "similarity": [{"sentence1": text, "sentence2": text[::-1], "score": 2.0} for text in texts],
    }


@pytest.mark.parametrize(
    "task",
    [
        "question_answering",  # with several rows of an example, and two losses
        "summarization",  # with a loss in pieces
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("token_classification", "multi_label", "similarity")
        ),
    ],
)
def test_every_task_can_be_private(lines, tune, task):
    line = lines["zh" if task in ("summarization", "token_classification") else "en"]
    lengths = {
        "summarization": {"max_length": LONG, "max_target_length": 8},
        "question_answering": {"max_length": 24, "stride": 4},
    }.get(task, {"max_length": CONTEXT})
    kind = FinetuneSection.model_fields[task].annotation.__args__[0]
    config = kind(
        name="private", data="x", precision="bf16", num_train_epochs=1, train_batch_size=4,
        differential_privacy={"target_epsilon": 8.0}, **lengths,
    )  # fmt: skip
    figures, folder = tune(line, config, task_rows(line)[task])
    assert 7.9 < figures["differential_privacy"]["epsilon"] <= 8.0
    assert (folder / "model.safetensors").stat().st_size > 0


def test_lora_is_clipped_by_what_it_trains(lines, tune):
    line = lines["en"]
    figures, folder = tune(line, private_config(lora_rank=4, num_train_epochs=1), by_a_word(line))
    assert figures["trained_parameters"] < 0.5 * figures["parameters"]
    assert not [name for name in weights_of(folder) if "lora" in name]


def test_both_starts_have_noise_of_their_own():
    starts = private_config().trainings()
    digests = {address_of(config, {}).digest for config in starts}
    assert len(digests) == len(starts) == 2


def test_a_training_without_privacy_keeps_its_address():
    config = classification()
    assert "differential_privacy" not in config.addressed()
    assert not config.is_private
    assert private_config().addressed()["differential_privacy"] == {"target_epsilon": 4.0}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"learning_rates": [1e-3, 1e-2]}, "leave learning_rates out with differential_privacy: every rate"),
        ({"class_weights": "balanced"}, "leave class_weights out"),
        ({"batch_ramp_ratio": 0.5, "batch_ramp_start": 1}, "leave batch_ramp_ratio out"),
        ({"skip_loss_spikes": True}, "leave skip_loss_spikes out"),
        ({"precision": "fp8"}, "leave precision out"),
    ],
)
def test_what_one_example_would_decide_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        private_config(**settings)


def test_what_depends_on_other_examples_is_refused():
    with pytest.raises(ValueError, match="retrieval has no differential_privacy"):
        RetrievalConfig(name="r", data="x", differential_privacy={"target_epsilon": 1.0})
    assert not RetrievalConfig(name="r", data="x").is_private


def test_a_delta_alone_or_one_that_gives_an_example_away_is_refused(lines, tune):
    with pytest.raises(ValueError, match="delta says nothing without target_epsilon"):
        PrivacyConfig(delta=1e-5)
    line = lines["en"]
    config = private_config(differential_privacy={"target_epsilon": 1.0, "delta": 0.2})
    with pytest.raises(StageError, match="would allow to give one of the"):
        tune(line, config, by_a_word(line))


def test_a_secret_changes_the_noise_and_a_short_one_is_refused(monkeypatch):
    monkeypatch.delenv(SECRET, raising=False)
    assert secret_key() == ""
    monkeypatch.setenv(SECRET, "0123456789abcdef")
    assert secret_key() == "0123456789abcdef"
    monkeypatch.setenv(SECRET, "hunter2")
    with pytest.raises(StageError, match="7 characters, which can be guessed"):
        secret_key()
