"""A pretraining in one process: it learns the texts, and leaves a model that Transformers opens."""

import math

import pytest
from tiny_line import CONTEXT
from transformers import AutoModelForCausalLM, AutoTokenizer

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.manifest import Address, Artifact
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.worker import bytes_per_target, new_job, train
from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process

CONFIG = PretrainConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, row_tokens=CONTEXT, train_batch_size=4,
    optimizer="muon", learning_rate=0.02, max_steps=40, eval_steps=20, precision="fp32",
)  # fmt: skip


@pytest.fixture
def spec(line, tmp_path):
    """What a worker is told."""
    return {
        "config": CONFIG,
        "attempt": Attempt(str(tmp_path), Address("model", "tiny", "0" * 12), "one"),
        "resources": Resources(workers=1, compile=False),
        "shards": line.shards_url,
        "tokenizer": line.tokenizer_url,
        "removed": None,
    }


@pytest.fixture
def pretrained(spec):
    """The figures of a pretraining, and the attempt that it left its model in."""
    return train(spec, Process()), spec["attempt"]


def test_it_learns_and_its_model_opens_without_code_of_ours(line, pretrained):
    figures, attempt = pretrained
    chance = math.log2(len(line.tokenizer)) / bytes_per_target(
        Artifact(line.shards_url).stats["by_split"]["validation"]
    )
    assert figures["validation_bits_per_byte"] < 0.6 * chance
    assert figures["steps"] == 40
    weights = [record for record in attempt.finished("model").files if record.role == "weights"]
    folder = attempt.open(weights[0]).parent
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == figures["parameters"]
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == line.tokenizer.get_vocab()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"language: [{line.language}]" in card
    assert "CC0" in card


def test_with_a_z_loss_the_training_loss_tells_no_bits_and_a_look_does(spec):
    lines: list[str] = []
    process = Process(tell=lambda kind, told: kind == "log" and lines.append(told["line"]))
    config = CONFIG.model_copy(update={"z_loss": 0.01, "max_steps": 20})
    job, _ = new_job({**spec, "config": config}, process)
    rows = Trainer(job, spec["resources"], process).run().rows
    assert "the training loss has a z_loss of 0.01 in it, a look's hasn't" in lines
    assert not any("bits_per_byte" in row for row in rows)
    assert any("validation_bits_per_byte" in row for row in rows)
