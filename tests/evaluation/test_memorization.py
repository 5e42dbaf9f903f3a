"""What was often in the training text is found out, and what never was isn't."""

import numpy as np
import pytest
import torch
from tiny_line import artifact, tiny_config
from transformers import LlamaForCausalLM

from lmtrain.canaries import TIMES, CanaryConfig, canaries
from lmtrain.errors import StageError
from lmtrain.evaluation import memorization
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.memorization import codes_of, exposures_of, score_model
from lmtrain.manifest import Artifact
from lmtrain.metrics import EXPOSURES
from lmtrain.statistics import bootstrap_interval, metric_from_statistics
from lmtrain.tokenization.config import ShardsConfig
from lmtrain.watch import SilentWatch

SETS = 3
CANDIDATES = 128


def context_of(language):
    config = EvaluateConfig(task="memorization", system="model", dataset="canaries", language=language)
    return Context(config, torch.device("cpu"), SilentWatch())


def shards_of(line, config):
    inputs = {"documents": [line.documents_url], "tokenizer": [line.tokenizer_url]}
    return Artifact(artifact(ShardsConfig(canaries=config), inputs, line.root, line.write_shards))


def trained_on(line, texts, steps):
    """Return a small model that has read texts in a random order, again and again."""
    torch.manual_seed(0)
    shape = tiny_config(line.tokenizer)
    shape.max_position_embeddings, shape.hidden_size, shape.initializer_range = 96, 64, 0.02
    model = LlamaForCausalLM(shape)
    end = line.tokenizer.eos_token
    rows = line.tokenizer([end + text + end for text in texts], padding=True, return_tensors="pt")
    labels = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        chosen = torch.randint(len(texts), (16,))
        loss = model(
            input_ids=rows["input_ids"][chosen], attention_mask=rows["attention_mask"][chosen],
            labels=labels[chosen],
        ).loss  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def test_a_canary_that_was_often_there_is_exposed_and_one_that_never_was_is_not(line, monkeypatch):
    monkeypatch.setattr(memorization, "CANDIDATES", CANDIDATES)
    config = CanaryConfig(repetitions=[1, 64], sets=SETS, language=line.language)
    found = canaries(config)
    texts = line.texts * 2 + [one.text() for one in found for _ in range(one.repetitions)]
    model = line.language_model(trained_on(line, texts, 150))
    scored = score_model(shards_of(line, config), Artifact(model), context_of(line.language))
    assert scored.ids == [one.id for one in found]
    exposure = {times: metric_from_statistics(f"exposure_{times}", scored.statistics) for times in (0, 1, 64)}
    assert exposure[64] > 6
    assert exposure[0] < 4
    assert exposure[1] <= exposure[64]
    assert list(scored.signatures) == ["exposure", "exposure_0", "exposure_1", "exposure_64"]
    whole = metric_from_statistics("exposure", scored.statistics)
    assert whole == pytest.approx((exposure[1] + exposure[64]) / 2)
    never = bootstrap_interval("exposure_0", scored.statistics, list(scored.groups), 200, 0)
    assert never.low <= never.value <= never.high


def test_exposure_is_the_bits_that_are_no_longer_to_be_guessed():
    others = np.arange(1.0, 1024.0)
    nats = np.stack([np.r_[own, others] for own in (0.0, 1.5, 511.5, 2000.0, 7.0)])
    expected = [10, 9, 1, 0, 10 - np.log2(7.5)]
    np.testing.assert_allclose(exposures_of(nats), expected)


def test_by_chance_exposure_is_near_one_over_the_logarithm_of_two():
    nats = np.random.default_rng(0).random((4000, 1024))
    assert exposures_of(nats).mean() == pytest.approx(1 / np.log(2), abs=0.08)


def test_codes_are_different_and_begin_with_the_canary_s_own():
    for one in canaries(CanaryConfig(repetitions=[4], sets=3)):
        codes = codes_of(one, 0)
        assert codes[0] == one.code
        assert len(set(codes)) == len(codes) == memorization.CANDIDATES
        assert min(codes) >= 0
        assert max(codes) < 10**6


def test_numbers_of_repetitions_have_columns_of_their_own():
    assert list(EXPOSURES.values()) == [0, *TIMES]
    statistics = np.zeros((2, 2 * len(EXPOSURES)))
    statistics[0, :2], statistics[1, 14:16] = (2.0, 1.0), (9.0, 1.0)
    assert metric_from_statistics("exposure_0", statistics) == 2.0
    assert (
        metric_from_statistics("exposure_64", statistics)
        == metric_from_statistics("exposure", statistics)
        == 9.0
    )


def test_shards_without_canaries_and_models_that_see_what_follows_are_refused(lines):
    line = lines["en"]
    with pytest.raises(StageError, match="has no canaries"):
        score_model(Artifact(line.shards_url), Artifact(line.language_model()), context_of("en"))
    shards = shards_of(line, CanaryConfig(repetitions=[1]))
    with pytest.raises(StageError, match="causal language models, and bert is none"):
        score_model(shards, Artifact(line.masked_language_model()), context_of("en"))
