"""Causal language modeling over packed rows: no token sees another document."""

import numpy as np
import pytest
import torch
from tiny_models import causal_lm

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.isolation import isolating
from lmtrain.objectives.base import IGNORED
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.packing import PADDING, PackedRow

SHAPE = ModelConfig(architecture="llama", hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
DOCUMENT = np.array([0, 0, 0, 1, 1, 1, 1, 2])


def batch_of(tokens: list[int]) -> dict[str, torch.Tensor]:
    return CausalLM(pad=1).collate([PackedRow(np.array(tokens), DOCUMENT)], np.zeros(1), np.zeros(1), 0)


def logits_of(batch: dict[str, torch.Tensor], attention: str) -> torch.Tensor:
    model = causal_lm(SHAPE, 20, 8, attention=attention).eval()
    with torch.no_grad():
        apart = isolating(model, batch["document"], batch["position_ids"])
        return model(input_ids=batch["input_ids"], **apart).logits[0]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_another_document_changes_nothing(attention):
    ours = logits_of(batch_of([0, 5, 6, 0, 7, 8, 9, 0, 3]), attention)
    theirs = logits_of(batch_of([0, 15, 16, 0, 7, 8, 9, 0, 3]), attention)
    assert not torch.allclose(ours[1:3], theirs[1:3])
    assert torch.equal(ours[3:], theirs[3:])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_document_is_read_as_if_it_stood_alone(attention):
    packed = logits_of(batch_of([0, 5, 6, 0, 7, 8, 9, 0, 3]), attention)[3:7]
    model = causal_lm(SHAPE, 20, 8, attention=attention).eval()
    with torch.no_grad():
        alone = model(input_ids=torch.tensor([[0, 7, 8, 9]])).logits[0]
    torch.testing.assert_close(packed, alone)


def test_rows_of_one_document_need_no_mask_and_have_the_loss_they_have_with_one():
    row = PackedRow(np.array([0, 5, 6, 0, 7, 8, 9, 0, 3]), np.zeros(8, dtype=np.int64))
    plain, compiled = CausalLM(pad=1), CausalLM(pad=1, compiled=True)
    without, always = (one.collate([row], np.zeros(1), np.zeros(1), 0) for one in (plain, compiled))
    assert always.keys() - without.keys() == {"document"}
    model = causal_lm(SHAPE, 20, 8).double()
    torch.testing.assert_close(plain.loss(model, without), plain.loss(model, always), rtol=0, atol=1e-12)


def test_padding_is_never_a_target():
    batch = batch_of([0, 5, 6, 0, 7, PADDING, PADDING, PADDING, PADDING])
    assert batch["labels"][0].tolist() == [5, 6, 0, 7, IGNORED, IGNORED, IGNORED, IGNORED]
    assert (batch["labels"] != IGNORED).sum() == 4
    assert (batch["input_ids"][0, 5:] == 1).all()


def test_the_loss_of_even_odds_is_the_logarithm_of_the_vocabulary():
    model = causal_lm(SHAPE, 20, 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    batch = batch_of([0, 5, 6, 0, 7, 8, 9, 0, 3])
    loss = CausalLM(pad=1).loss(model, batch).detach()
    assert float(loss) == pytest.approx(8 * np.log(20), rel=1e-5)


def test_a_document_alone_in_its_row_needs_no_mask():
    model = causal_lm(SHAPE, 20, 8)
    row = PackedRow(np.array([0, 5, 6, 7, 8, 0, PADDING, PADDING, PADDING]), np.array([0] * 6 + [1] * 2))
    losses = []
    for packed in (True, False):
        objective = CausalLM(pad=1, packed=packed)
        batch = objective.collate([row], np.zeros(1), np.zeros(1), 0)
        losses.append(float(objective.loss(model, batch).detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_loss_on_normalizers_counts_in_training_alone():
    model = causal_lm(SHAPE, 20, 8)
    batch = batch_of([0, 5, 6, 0, 7, 8, 9, 0, 3])
    plain, with_it = CausalLM(pad=1), CausalLM(pad=1, z_loss=0.1)
    assert with_it.loss(model.train(), batch) > plain.loss(model, batch) + 0.1
    assert with_it.loss(model.eval(), batch) == plain.loss(model, batch)


def test_the_z_loss_changes_gradients_as_its_definition_says():
    model = causal_lm(SHAPE, 20, 8).train()
    batch = batch_of([0, 5, 6, 0, 7, 8, 9, 0, 3])
    gradients = []
    for weight in (0.0, 0.1):
        model.zero_grad()
        CausalLM(pad=1, z_loss=weight).loss(model, batch).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    model.zero_grad()
    apart = isolating(model, batch["document"], batch["position_ids"])
    normalizers = model(input_ids=batch["input_ids"], **apart).logits.logsumexp(dim=-1)
    (0.1 * normalizers.square().sum()).backward()
    for plain, with_it, parameter in zip(*gradients, model.parameters(), strict=True):
        torch.testing.assert_close(with_it, plain + parameter.grad, rtol=1e-4, atol=1e-5)
