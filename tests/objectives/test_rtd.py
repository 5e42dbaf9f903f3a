"""Replaced tokens: what counts as real, and what is exported."""

import numpy as np
import pytest
import torch
from tiny_models import CPU, FIRST, FRAMED, ROW, VOCABULARY, framed_rows, tiny_config
from transformers import AutoModelForMaskedLM, ElectraForPreTraining

from lmtrain.modeling.build import new_model, parameter_count
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.rtd import WEIGHT, ReplacedTokens

TEXTS = np.random.default_rng(0).integers(FIRST, VOCABULARY, (6, ROW - 2)).tolist()


@pytest.fixture(scope="module")
def model():
    config = tiny_config("electra", num_attention_heads=4, embedding_size=16)
    return new_model(config, "replaced", VOCABULARY, ROW, FRAMED, 0, CPU, generator_share=0.5).eval()


def batch_of(texts, first: int = 0):
    objective = ReplacedTokens(FRAMED, VOCABULARY, ROW)
    indices = np.arange(first, first + len(texts))
    return objective, objective.collate(framed_rows(texts, ROW), indices, np.zeros(len(texts), int), 5)


def test_every_token_that_is_no_padding_is_a_target():
    _, batch = batch_of([TEXTS[0], TEXTS[1][:5]])
    assert (batch["labels_of_tokens"] >= 0).sum(dim=1).tolist() == [ROW, 7]


def test_a_draw_that_equals_the_original_counts_as_real(model, monkeypatch):
    objective, batch = batch_of(TEXTS)
    # The discriminator is sure that everything is real: it loses where a draw isn't the original.
    monkeypatch.setattr(
        model.discriminator.discriminator_predictions,
        "forward",
        lambda hidden: torch.full(hidden.shape[:2], -9.0),
    )
    labels = batch["labels"]
    monkeypatch.setattr(objective, "_drawn", lambda *given: labels.clamp(min=0))
    same = float(objective.loss(model, batch)[1].detach()) / WEIGHT
    others = torch.where(labels == FIRST, FIRST + 1, FIRST)
    monkeypatch.setattr(objective, "_drawn", lambda *given: others)
    replaced = float(objective.loss(model, batch)[1].detach()) / WEIGHT
    tokens, masked = batch["labels_of_tokens"].numel(), int((labels >= 0).sum())
    assert same == pytest.approx(tokens * np.log1p(np.exp(-9)), rel=1e-2)
    assert replaced == pytest.approx(masked * (9 + np.log1p(np.exp(-9))), rel=1e-2)


def test_draws_follow_the_generator_and_the_row_alone(model):
    objective, batch = batch_of(TEXTS)
    hidden = model.generator.electra(input_ids=batch["input_ids"]).last_hidden_state
    drawn = objective._drawn(model.generator, hidden, batch["places"], batch["draws"])
    assert ((drawn >= 0) & (drawn < VOCABULARY)).all()
    _, alone = batch_of([TEXTS[3]], first=3)
    real = (batch["labels"] >= 0) & (batch["places"] // ROW == 3)
    assert torch.equal(batch["draws"][real], alone["draws"][alone["labels"] >= 0])


def test_no_gradient_goes_from_the_discriminator_to_the_generator(model):
    objective, batch = batch_of(TEXTS)
    objective.loss(model, batch)[1].backward()
    own = {
        name: parameter.grad
        for name, parameter in model.generator.named_parameters()
        if "embeddings." not in name and "lm_head" not in name
    }
    assert own
    assert all(gradient is None or not gradient.any() for gradient in own.values())
    model.zero_grad()


def test_generator_and_discriminator_share_embeddings_and_are_exported_apart(model, tmp_path):
    generator, discriminator = model.generator.electra, model.discriminator.electra
    assert generator.embeddings.word_embeddings.weight is discriminator.embeddings.word_embeddings.weight
    assert generator.config.hidden_size == discriminator.config.hidden_size // 2
    assert len(repeated_layers(model)) == 4
    assert parameter_count(model) < parameter_count(model.generator) + parameter_count(model.discriminator)
    model.save_pretrained(tmp_path, state_dict=model.state_dict())
    ids = torch.tensor([TEXTS[0]])
    back = ElectraForPreTraining.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(back(ids).logits, model.discriminator(ids).logits)
    small = AutoModelForMaskedLM.from_pretrained(tmp_path / "generator").eval()
    torch.testing.assert_close(small(ids).logits, model.generator(ids).logits)
