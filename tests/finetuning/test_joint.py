"""Tasks on one body: each learns, each leaves a model of its own, and how a batch is cut changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_line import CONTEXT
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.finetuning.config import ClassificationConfig, SimilarityConfig, TokenClassificationConfig
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.mixing import SetRows
from lmtrain.finetuning.several_config import JointConfig
from lmtrain.finetuning.several_worker import Joint, train_several
from lmtrain.finetuning.worker import read_examples
from lmtrain.manifest import Address, Artifact
from lmtrain.objectives.base import IGNORED
from lmtrain.training.process import Process

CPU = torch.device("cpu")
ALONE = {
    "topic": ClassificationConfig(name="topic", data="topics", max_length=CONTEXT),
    "names": TokenClassificationConfig(name="names", data="names", max_length=CONTEXT),
    "alike": SimilarityConfig(name="alike", data="alike", max_length=CONTEXT),
}


def sets_of(line):
    """A labelled set for each task, each of which can be told from its words."""
    word = {"en": "wall", "zh": "图书馆"}[line.language]
    words = [
        text.replace("。", " 。").split() if line.language == "en" else list(text) for text in line.texts
    ]
    rows = {
        "classification": [
            {"text": text, "label": "there" if word in text else "not there"} for text in line.texts
        ],
        "token_classification": [
            {"tokens": own[:8], "tags": ["B-X" if one in "The我他老" else "O" for one in own[:8]]}
            for own in words
        ],
        "similarity": [
            {"sentence1": text, "sentence2": text if place % 2 else text[::-1], "score": 5.0 * (place % 2)}
            for place, text in enumerate(line.texts)
        ],
    }
    return [line.labelled(task, given, alias=f"joint-{task}") for task, given in rows.items()]


def joint(**settings):
    given = {
        "learning_rate": 5e-3, "num_train_epochs": 9, "train_batch_size": 12, "eval_steps": 20,
        "precision": "fp32", "early_stopping_patience": 20,
    }  # fmt: skip
    config = JointConfig(name="all", tasks=[*ALONE], **{**given, **settings})
    return config.with_members(ALONE)


@pytest.fixture
def tuned(line, tmp_path):
    """Trains jointly; gives figures, the folder with those of the tasks, and the rows of the log."""

    def tune(config, try_name="one", micro_batch_size=16):
        attempt = Attempt(str(tmp_path / try_name), Address("model", config.name, "0" * 12), "one")
        spec = {
            "config": config,
            "attempt": attempt,
            "resources": Resources(workers=1, compile=False, micro_batch_size=micro_batch_size),
            "model": line.masked_language_model(),
            "labelled": sets_of(line),
            "removed": [frozenset()] * 3,
        }
        figures = train_several(spec, Process())
        done = attempt.finished("model")
        paths = {
            role: [attempt.open(r) for r in done.files if r.role == role] for role in ("weights", "metrics")
        }
        folder = min((path.parent for path in paths["weights"]), key=lambda one: len(one.parts))
        log = [json.loads(text) for text in paths["metrics"][0].read_text().splitlines()]
        return figures, folder, log

    return tune


@pytest.mark.parametrize("initial", ["pretrained", pytest.param("random", marks=pytest.mark.slow)])
def test_each_task_learns_and_leaves_a_model_of_its_own(line, tuned, initial):
    figures, folder, log = tuned(joint(initial=initial))
    looks, told = ([row for row in log if column in row] for column in ("validation_loss", "loss"))
    for name in ALONE:
        assert told[-1][f"loss_{name}"] < 0.9 * told[0][f"loss_{name}"], name
    best = next(row for row in looks if row["step"] == figures["best_step"])
    each = sum(best[f"validation_loss_{name}"] for name in ALONE)
    assert best["validation_loss"] == pytest.approx(each, abs=1e-5)
    assert figures["validation_loss_alike"] == best["validation_loss_alike"]

    models = {
        "topic": AutoModelForSequenceClassification.from_pretrained(folder / "topic", use_safetensors=True),
        "names": AutoModelForTokenClassification.from_pretrained(folder / "names", use_safetensors=True),
        "alike": AutoModel.from_pretrained(folder / "alike", use_safetensors=True),
    }
    assert models["topic"].config.id2label == {0: "not there", 1: "there"}
    assert models["names"].config.id2label == {0: "B-X", 1: "O"}
    bodies = [dict(model.base_model.named_parameters()) for model in models.values()]
    shared = set.intersection(*map(set, bodies))
    assert len(shared) > 30
    assert all(torch.equal(bodies[0][name], body[name]) for body in bodies for name in shared)
    classify = pipeline("text-classification", model=str(folder / "topic"))
    assert classify(line.texts[0])[0]["label"] in {"there", "not there"}
    card = (folder / "names" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card
    assert "joint" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_weights(line, tuned):
    config = joint(num_train_epochs=1)
    first, second = (tuned(config, name)[1] for name in ("one", "two"))
    for name in ALONE:
        a, b = ((folder / name / "model.safetensors").read_bytes() for folder in (first, second))
        assert a == b


def made(line, config):
    """Return the training's way, its rows, objective and model."""
    examples = [read_examples(Artifact(url), "train", frozenset()) for url in sets_of(line)]
    pretrained = Artifact(line.masked_language_model())
    tokenizer = AutoTokenizer.from_pretrained(pretrained.folder("weights"))
    way = Joint(config, tokenizer, pretrained, examples)
    rows = SetRows(
        [ExampleRows(own, lambda one, n=number: way.encode(n, one)) for number, own in enumerate(examples)]
    )
    return way, rows, way.objective(rows), way.model(CPU).eval()


def losses_and_targets(objective, model, rows, indices):
    batch = objective.collate(rows.take(indices), indices, np.zeros_like(indices), 0)
    with torch.no_grad():
        losses = objective.loss(model, batch)
    return losses, [int((batch[entry] != IGNORED).sum()) for entry in objective.targets.values()]


def test_losses_are_those_of_the_tasks_however_a_batch_is_cut(line):
    way, rows, objective, model = made(line, joint(weights=[1.0, 2.0, 0.5]))
    indices = np.random.default_rng(0).permutation(len(rows))[:17]
    whole, targets = losses_and_targets(objective, model, rows, indices)
    assert list(objective.targets) == [*ALONE]
    for number, (name, task) in enumerate(way.tasks.items()):
        own = [row for of, row in rows.take(indices) if of == number]
        places = np.arange(len(own))
        batch = task.collate(own, places, places, 0)
        with torch.no_grad():
            loss = task.loss(model.member(name), batch)
        assert whole[number] == pytest.approx([1.0, 2.0, 0.5][number] * float(loss), rel=1e-5)
        assert targets[number] == int((batch["labels"] != IGNORED).sum())
    for cuts in ([5], [1, 2, 16], list(range(1, 17))):
        parts = [losses_and_targets(objective, model, rows, part) for part in np.split(indices, cuts)]
        torch.testing.assert_close(sum(loss for loss, _ in parts), whole, rtol=1e-4, atol=1e-4)
        assert np.sum([count for _, count in parts], axis=0).tolist() == targets


def test_a_task_without_rows_in_a_batch_has_no_gradient(line):
    _, rows, objective, model = made(line, joint())
    indices = np.arange(3)  # of the first set alone
    losses, targets = losses_and_targets(objective, model, rows, indices)
    assert targets[1:] == [0, 0]
    assert losses[1:].tolist() == [0.0, 0.0]
    batch = objective.collate(rows.take(indices), indices, np.zeros_like(indices), 0)
    assert int(batch["attention_mask"].sum()) == sum(row.tokens for _, row in rows.take(indices))
    objective.loss(model, batch).sum().backward()
    head = model.member("names").classifier.weight
    assert head.grad is None or not head.grad.any()
    assert model.member("topic").classifier.weight.grad.any()


def test_what_is_shared_is_there_once(line):
    way, _, _, model = made(line, joint(layer_rate_decay=0.5))
    state = model.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)
    weights = model.weights_of("names", state)
    assert weights.keys() == model.member("names").state_dict().keys()
    shares = way.rate_shares(model)
    assert {shares[name] for name, _ in model.named_parameters()} == {1.0, 0.5, 0.25, 0.125}
    assert len(model.layers) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["zero2", "zero3"])
def test_workers_learn_together_what_one_learns(lines, tmp_path, sharding):
    line = lines["en"]
    given = [line.masked_language_model(), *sets_of(line)]

    def learned(workers):
        root = str(tmp_path / f"{workers}")
        program = [str(Path(__file__).with_name("joint_program.py")), sharding, root, *given]
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
        folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
        told = subprocess.run(
            [sys.executable, *launch, *program],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=200,
        )
        return json.loads(told.stdout.partition("FOUND ")[2].splitlines()[0])

    alone, together = learned(1), learned(2)
    assert together == pytest.approx(alone, rel=1e-3)
