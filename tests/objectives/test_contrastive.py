"""Contrastive learning: two views, told from all others of the batch."""

import numpy as np
import pytest
import torch
from tiny_models import FIRST, FRAMED, ROW, VOCABULARY, framed_rows, tiny_model

from lmtrain.modeling.pooling import pooled
from lmtrain.objectives.contrastive import Contrastive

TEXTS = np.random.default_rng(0).integers(FIRST, VOCABULARY, (6, 20)).tolist()


def batch_of(texts):
    return Contrastive(FRAMED, ROW).collate(
        framed_rows(texts, ROW), np.arange(len(texts)), np.zeros(len(texts), int), 0
    )


def test_dropout_makes_two_views_of_a_text():
    model = tiny_model("bert", "bare", dropout=0.2).train()
    batch = batch_of(TEXTS)
    first, second = model(batch["input_ids"], batch["attention_mask"]).last_hidden_state.chunk(2)
    assert torch.equal(*batch["input_ids"].chunk(2))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2"])
def test_the_loss_is_that_of_telling_texts_apart(family):
    model = tiny_model(family, "bare").eval()
    batch = batch_of(TEXTS)
    loss = Contrastive(FRAMED, ROW, temperature=0.1).loss(model, batch)
    hidden = model(batch["input_ids"][:6], attention_mask=batch["attention_mask"][:6]).last_hidden_state
    vectors = torch.nn.functional.normalize(pooled(hidden, batch["attention_mask"][:6], "mean"), dim=-1)
    expected = torch.nn.functional.cross_entropy(vectors @ vectors.mT / 0.1, torch.arange(6), reduction="sum")
    torch.testing.assert_close(loss, expected[None], rtol=1e-4, atol=1e-4)


def test_a_row_that_only_keeps_company_counts_for_nothing():
    model = tiny_model("bert", "bare").eval()
    batch = batch_of(TEXTS)
    objective = Contrastive(FRAMED, ROW)
    alone = objective.loss(model, batch_of(TEXTS[:5]))
    batch["labels"][5] = -100
    torch.testing.assert_close(objective.loss(model, batch), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("pooling", "expected"), [("first", [1.0]), ("last", [3.0]), ("mean", [2.0])])
def test_a_texts_vector_leaves_padding_out(pooling, expected):
    hidden = torch.tensor([[[1.0], [2.0], [3.0], [99.0]]])
    assert pooled(hidden, torch.tensor([[1, 1, 1, 0]]), pooling)[0].tolist() == expected
