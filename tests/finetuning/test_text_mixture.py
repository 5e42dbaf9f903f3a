"""Tasks told as text: one model learns to write the answers of all, and is scored on each set."""

import json

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, T5Config, T5ForConditionalGeneration

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.stage import build as evaluate
from lmtrain.finetuning.several_config import TextMixtureConfig
from lmtrain.finetuning.several_worker import train_several
from lmtrain.manifest import Artifact
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.training.process import Process
from lmtrain.watch import SilentWatch

TASKS = {"topics": "classification", "heads": "summarization", "alike": "similarity"}
SETS = [{"data": name, "prefix": f"{name}: "} for name in TASKS]


def encoder_decoder(line):
    """A tiny T5 of random weights with the line's tokenizer."""
    torch.manual_seed(0)
    ids = line.tokenizer
    shape = T5Config(
        vocab_size=len(ids), d_model=48, d_kv=24, d_ff=96, num_layers=2, num_heads=2,
        pad_token_id=ids.pad_token_id, eos_token_id=ids.eos_token_id, decoder_start_token_id=ids.pad_token_id,
    )  # fmt: skip
    config = PretrainConfig(architecture="t5", objective="span_corruption", packing="none")
    return line._model_artifact(config, T5ForConditionalGeneration(shape))


def sets_of(line):
    word = {"en": "wall", "zh": "图书馆"}[line.language]
    names = {"en": ("inside", "lake"), "zh": ("书", "其他")}[line.language]
    rows = {
        "topics": [{"text": text, "label": names[word not in text]} for text in line.texts],
        "heads": [{"document": text, "summary": text[:5]} for text in line.texts],
        "alike": [
            {"sentence1": text[:8], "sentence2": text[:8] if place % 2 else "?", "score": 4.9 * (place % 2)}
            for place, text in enumerate(line.texts)
        ],
    }
    # Learned and asked alike: it is seen whether it learns, not how well.
    return {
        name: line.labelled(
            TASKS[name],
            [
                *(
                    {**row, "split": "validation" if place % 6 == 5 else "train"}
                    for place, row in enumerate(given)
                ),
                *({**row, "split": "test"} for row in given),
            ],
            alias=f"{name}-told",  # another test may have sets of these names
        )
        for name, given in rows.items()
    }


def mixture(**settings):
    given = {
        "learning_rate": 5e-3, "num_train_epochs": 14, "train_batch_size": 16, "eval_steps": 20,
        "precision": "fp32", "early_stopping_patience": 20, "max_length": 44, "max_target_length": 8,
    }  # fmt: skip
    config = TextMixtureConfig(name="told", sets=SETS, **{**given, **settings})
    return config.with_tasks(TASKS)


def tuned(line, model, config):
    """Train as the stage does, in this process; return the artifact's URL."""
    sets = sets_of(line)
    inputs = {"model": [model], "labelled": list(sets.values())}

    def work(attempt: Attempt) -> Built:
        spec = {
            "config": config, "attempt": attempt, "resources": Resources(workers=1, compile=False),
            "model": model, "labelled": inputs["labelled"], "removed": [frozenset()] * len(sets),
        }  # fmt: skip
        train_several(spec, Process())
        done = attempt.finished("model")
        return Built(done.files, done.stats)

    return build_once(config, inputs, line.root, work), sets


def scores(line, model, name, data):
    config = EvaluateConfig(
        task=TASKS[name], system="model", dataset=name, part=name, language=line.language,
        bootstrap_samples=20, max_target_length=8, max_generated=12,
    )  # fmt: skip
    url = evaluate(
        {"data": [data], "system": [model]}, config, line.root, Resources(workers=1), SilentWatch()
    )
    found = Artifact(url)
    rows = json.loads(found.open(found.files("scores")[0]).read_text(encoding="utf-8"))
    return {row["metric"]: row for row in rows}, found


def test_one_model_writes_the_answers_of_every_task(line):
    url, sets = tuned(line, encoder_decoder(line), mixture())
    model = Artifact(url)
    assert model.stats["task"] == "text_to_text"
    assert [part["task"] for part in model.stats["parts"].values()] == list(TASKS.values())
    folder = model.folder("weights")
    AutoModelForSeq2SeqLM.from_pretrained(folder, use_safetensors=True)
    params = AutoConfig.from_pretrained(folder).task_specific_params["text_to_text"]
    assert params["topics"]["prefix"] == "topics: "
    assert len(params["topics"]["labels"]) == 2
    assert params["alike"]["range"] == [0.0, 4.9]
    topics, of_topics = scores(line, url, "topics", sets["topics"])
    assert topics["accuracy"]["value"] > 0.6
    assert topics["accuracy"]["system"] == "told-pretrained"
    assert of_topics.stats["unread"] <= 2
    alike, _ = scores(line, url, "alike", sets["alike"])
    assert alike["pearson"]["value"] > 0.5
    heads, _ = scores(line, url, "heads", sets["heads"])
    assert heads["rougeL"]["value"] > 0.3


def test_a_decoder_learns_a_mixture_too(lines):
    config = mixture(num_train_epochs=1)
    url, _ = tuned(lines["en"], lines["en"].language_model(), config)
    assert Artifact(url).stats["validation_loss"] < 6
