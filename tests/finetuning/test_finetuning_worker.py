"""A fine-tuning in one process: it learns its labels, and of the rates tried the best is kept."""

import math

import pytest
from tiny_line import CONTEXT
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.errors import DivergedError
from lmtrain.finetuning.config import ClassificationConfig, SummarizationConfig
from lmtrain.finetuning.worker import train
from lmtrain.manifest import Address
from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process


@pytest.fixture
def tuned(line, tmp_path):
    """Fine-tunes on a set made from the line's texts; gives figures, the model's folder and what was told."""

    def tune(config, rows, process=None):
        attempt = Attempt(str(tmp_path), Address("model", config.name, "0" * 12), "one")
        spec = {
            "config": config,
            "attempt": attempt,
            "resources": Resources(workers=1, compile=False),
            "model": line.language_model(),
            "labelled": line.labelled(config.task, rows, alias=config.name),
            "removed": frozenset(),
        }
        figures = train(spec, process or Process())
        weights = [record for record in attempt.finished("model").files if record.role == "weights"]
        return figures, attempt.open(weights[0]).parent

    return tune


def by_a_word(line):
    """Label each text by whether a word is in it."""
    word = {"en": "wall", "zh": "图书馆"}[line.language]
    return [{"text": text, "label": "there" if word in text else "not there"} for text in line.texts]


def classification(**settings):
    given = {"learning_rates": [1e-6, 1e-2], "num_train_epochs": 20, "train_batch_size": 4, "eval_steps": 10}
    return ClassificationConfig(
        name="word", data="x", max_length=CONTEXT, precision="fp32", **{**given, **settings}
    )


@pytest.mark.parametrize("initial", ["pretrained", "random"])
def test_of_the_rates_the_one_that_learns_is_kept(line, tuned, initial):
    figures, folder = tuned(classification(initial=initial), by_a_word(line))
    assert figures["learning_rate"] == 1e-2
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right = 0
    for row in by_a_word(line):
        found = model(**tokenizer(row["text"], return_tensors="pt")).logits.argmax()
        right += model.config.id2label[int(found)] == row["label"]
    assert right > 0.75 * len(line.texts)


def test_a_rate_that_diverges_is_left_out_and_said(line, tuned, monkeypatch):
    def run(trainer):
        if trainer.config.learning_rate == 9.0:
            raise DivergedError("step 1: the loss isn't finite")
        return whole_run(trainer)

    whole_run = Trainer.run
    monkeypatch.setattr(Trainer, "run", run)
    told = []
    process = Process(tell=lambda kind, payload: told.append(payload.get("line", "")))
    config = classification(learning_rates=[9.0, 3e-3], num_train_epochs=1)
    figures, _ = tuned(config, by_a_word(line), process)
    assert figures["learning_rate"] == 3e-3
    assert "learning rate 9 is left out: step 1: the loss isn't finite" in told


def test_summaries_are_learned(line, tuned):
    rows = [{"document": text, "summary": text[:6]} for text in line.texts]
    config = SummarizationConfig(
        name="first", data="x", max_length=44, max_target_length=12, learning_rate=3e-3,
        num_train_epochs=4, train_batch_size=4, eval_steps=5, precision="fp32",
    )  # fmt: skip
    figures, folder = tuned(config, rows)
    assert figures["validation_loss"] < math.log(len(line.tokenizer)) - 1, "well below chance"
    assert "summarization" in (folder / "README.md").read_text(encoding="utf-8")


def test_lora_learns_by_few_weights_and_leaves_a_model_like_any_other(line, tuned):
    config = classification(lora_rank=4, learning_rates=[1e-2], early_stopping_patience=None)
    whole, _ = tuned(classification(learning_rates=[3e-3], num_train_epochs=1), by_a_word(line))
    figures, folder = tuned(config, by_a_word(line))
    assert figures["trained_parameters"] < 0.5 * whole["trained_parameters"]
    assert figures["parameters"] == whole["parameters"] == whole["trained_parameters"]
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    assert not [name for name, _ in model.named_parameters() if "lora" in name]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = [
        model.config.id2label[int(model(**tokenizer(row["text"], return_tensors="pt")).logits.argmax())]
        for row in by_a_word(line)
    ]
    assert sum(a == row["label"] for a, row in zip(found, by_a_word(line), strict=True)) > 0.7 * len(found)


def test_lora_goes_with_adamw_alone():
    with pytest.raises(ValueError, match="LoRA is trained by adamw, not by muon"):
        classification(lora_rank=4, optimizer="muon")
    with pytest.raises(ValueError, match="either lora_rank or layer_rate_decay"):
        classification(lora_rank=4, layer_rate_decay=0.9)


def test_a_recipe_s_seeds_become_trainings_from_both_starts():
    trainings = classification(seed=5, seeds=2).trainings()
    assert [(one.initial, one.seed, one.repetition) for one in trainings] == [
        ("pretrained", 5, 0), ("pretrained", 6, 1), ("random", 5, 0), ("random", 6, 1),
    ]  # fmt: skip
    assert [one.label({}) for one in trainings][:2] == ["word-pretrained", "word-pretrained-1"]
    assert classification(seed=5).trainings()[0] == trainings[0]
