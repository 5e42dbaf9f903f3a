"""LSTMs go through the line as other language models do: pretrained, and scored in the same units."""

import math

import pytest
import torch
from tiny_line import CONTEXT
from tiny_models import CPU
from transformers import AutoModelForCausalLM

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.evaluation import bias, language_modeling
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import test_documents as documents_of
from lmtrain.manifest import Address, Artifact
from lmtrain.pretraining.config import PretrainConfig, language_modeling_task
from lmtrain.pretraining.worker import bytes_per_target, train
from lmtrain.training.process import Process
from lmtrain.watch import SilentWatch

OBJECTIVES = {"ulmfit": "clm", "elmo": "bilm"}


def context(task: str, language: str) -> Context:
    config = EvaluateConfig(task=task, system="model", dataset="texts", language=language)
    return Context(config, CPU, SilentWatch())


@pytest.mark.parametrize("family", OBJECTIVES)
def test_a_pretraining_learns_and_tells_its_bits_per_byte(line, tmp_path, family):
    config = PretrainConfig(
        architecture=family, objective=OBJECTIVES[family], hidden_size=32, num_hidden_layers=2,
        intermediate_size=48, row_tokens=CONTEXT, train_batch_size=4, optimizer="adamw", learning_rate=0.01,
        max_steps=60, eval_steps=60, precision="fp32",
    )  # fmt: skip
    attempt = Attempt(str(tmp_path), Address("model", family, "0" * 12), "one")
    spec = {
        "config": config,
        "attempt": attempt,
        "resources": Resources(workers=1, compile=False),
        "shards": line.shards_url,
        "tokenizer": line.tokenizer_url,
        "removed": None,
    }
    figures = train(spec, Process())
    totals = Artifact(line.shards_url).stats["by_split"]["validation"]
    chance = math.log2(len(line.tokenizer)) / bytes_per_target(totals)
    assert figures["validation_bits_per_byte"] < 0.7 * chance
    [card] = [one for one in attempt.finished("model").files if one.path.endswith("README.md")]
    assert "import lmtrain.modeling.own" in attempt.open(card).read_text(encoding="utf-8")
    assert language_modeling_task(config) == "language_modeling"


@pytest.mark.parametrize("family", OBJECTIVES)
def test_a_document_has_the_nats_that_the_model_says_from_left_to_right(line, family):
    system, shards = Artifact(line.recurrent_language_model(family)), Artifact(line.shards_url)
    scored = language_modeling.score_model(shards, system, context("language_modeling", line.language))
    model = AutoModelForCausalLM.from_pretrained(system.folder("weights")).double().eval()
    first, end = documents_of(shards, 1, frozenset())[0], line.tokenizer.eos_token_id
    row = torch.tensor([[end, *first.tokens, end]])
    with torch.no_grad():
        said = model(row[:, :-1]).logits.log_softmax(-1)
    assert scored.ids[0] == first.id
    assert scored.statistics[0, 0] == pytest.approx(-float(said.gather(2, row[:, 1:, None]).sum()), rel=1e-5)
    assert scored.generated, "it goes on after prompts"


@pytest.mark.parametrize("family", OBJECTIVES)
def test_sentences_are_compared_from_left_to_right(line, family):
    system = Artifact(line.recurrent_language_model(family))
    scored = bias.score_model(Artifact(line.shards_url), system, context("bias", line.language))
    assert len(scored.ids) == len(bias.pairs(line.language))
