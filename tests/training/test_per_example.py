"""Gradients of single examples, clipped and added up, are those of one backward pass for each."""

from typing import ClassVar

import pytest
import torch
from tiny_models import tiny_model
from torch.nn import functional

from lmtrain.modeling.sizes import DECODERS, ENCODER_DECODERS, ENCODERS
from lmtrain.objectives.base import IGNORED
from lmtrain.training.job import Trained
from lmtrain.training.per_example import ClippedSum, whole_masks

LENGTHS = (12, 7, 3, 9)


class TokenLoss:
    """The summed cross-entropy of the tokens themselves, and as a second loss ten times that of some."""

    targets: ClassVar = {"first": "labels", "second": "labels_2"}

    def loss(self, model, batch):
        inputs = {name: value for name, value in batch.items() if not name.startswith("labels")}
        logits = model(**inputs, use_cache=False).logits.flatten(0, 1)
        return torch.stack(
            [
                scale * functional.cross_entropy(logits, batch[name].flatten(), reduction="sum")
                for name, scale in (("labels", 1.0), ("labels_2", 10.0))
            ]
        )


class WithoutCache(TokenLoss):
    """The same for models that know of no cache."""

    def loss(self, model, batch):
        def call(use_cache=None, **inputs):
            return model(**inputs)

        return super().loss(call, batch)


def batch_of(family):
    torch.manual_seed(1)
    ids = torch.randint(15, 80, (len(LENGTHS), max(LENGTHS)))
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    ids[mask == 0] = 1
    labels = ids.masked_fill(mask == 0, IGNORED)
    others = labels.clone()
    others[:, ::2] = IGNORED
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels, "labels_2": others}
    return batch | ({"decoder_input_ids": ids.flip(1)} if family in ENCODER_DECODERS else {})


def trained_of(family, **given):
    return Trained(tiny_model(family, **given).eval(), WithoutCache() if family in ENCODERS else TokenLoss())


def one_by_one(trained, batch, max_norm, groups):
    """Return the sum of clipped gradients, by one backward pass for each group of rows, and their norms."""
    parameters = {name: value for name, value in trained.named_parameters() if value.requires_grad}
    sums = {name: torch.zeros_like(value) for name, value in parameters.items()}
    norms = []
    for rows in groups:
        trained.zero_grad()
        counts = [int((batch[name][rows] != IGNORED).sum()) for name in ("labels", "labels_2")]
        for row in rows:
            losses = trained({name: value[row : row + 1] for name, value in batch.items()})
            (losses / torch.tensor(counts)).sum().backward()
        own = {name: value.grad for name, value in parameters.items() if value.grad is not None}
        norms.append(float(torch.cat([value.flatten() for value in own.values()]).norm()))
        for name, value in own.items():
            sums[name] += value * min(1.0, max_norm / norms[-1])
    return sums, norms


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *ENCODER_DECODERS])
def test_clipped_gradients_are_those_of_single_backward_passes(family):
    trained, batch = trained_of(family), batch_of(family)
    _, norms = one_by_one(trained, batch, 1.0, [[0], [1], [2], [3]])
    max_norm = sum(norms) / len(norms)
    assert min(norms) < max_norm < max(norms), "some are clipped and some are not"
    expected, _ = one_by_one(trained, batch, max_norm, [[0], [1], [2], [3]])
    found = ClippedSum(trained, max_norm)
    for rows in (slice(0, 3), slice(3, 4)):
        found.add({name: value[rows] for name, value in batch.items()}, torch.arange(len(LENGTHS[rows])))
    assert found.sums.keys() == expected.keys()
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, value in expected.items():
        torch.testing.assert_close(found.sums[name], value, rtol=1e-4, atol=1e-5 * largest)


def test_rows_of_one_example_are_clipped_together():
    trained, batch = trained_of("gpt2"), batch_of("gpt2")
    expected, norms = one_by_one(trained, batch, 0.5, [[0, 2], [1, 3]])
    assert min(norms) > 0.5
    found = ClippedSum(trained, 0.5)
    found.add(batch, torch.tensor([0, 1, 0, 1]))
    for name, value in expected.items():
        torch.testing.assert_close(found.sums[name], value, rtol=1e-4, atol=1e-6)
    whole = torch.cat([value.flatten() for value in found.sums.values()])
    assert float(whole.norm()) <= 2 * 0.5 + 1e-6


def test_what_is_not_trained_has_no_gradient():
    trained = trained_of("bert")
    for name, value in trained.named_parameters():
        value.requires_grad_("layer.1" in name)
    found = ClippedSum(trained, 1.0)
    found.add(batch_of("bert"), torch.arange(4))
    assert found.sums
    assert all("layer.1" in name and value.abs().sum() > 0 for name, value in found.sums.items())


def test_dropout_is_drawn_for_each_example():
    trained = trained_of("bert", dropout=0.3)
    trained.train()
    row = {name: value[:1].repeat(2, 1) for name, value in batch_of("bert").items()}
    sums = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found = ClippedSum(trained, 1e9)
        rows = found._of_rows(row, torch.ones(2, 2))
        name = "model.bert.encoder.layer.0.output.dense.weight"
        sums.append(rows[name])
    assert not torch.allclose(sums[0][0], sums[0][1]), "the same row twice, with other neurons dropped"
    assert torch.equal(sums[0], sums[1])
    assert not torch.allclose(sums[0], sums[2])


def test_a_gradient_that_is_not_finite_is_told_and_not_added():
    trained = trained_of("gpt2")
    found = ClippedSum(trained, 1.0)
    with torch.no_grad():
        trained.model.transformer.ln_f.weight[0] = float("nan")
    with pytest.raises(FloatingPointError, match="isn't finite"):
        found.add(batch_of("gpt2"), torch.arange(4))
    assert all(not value.any() for value in found.sums.values())


def test_masks_are_made_as_ever_afterwards():
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask, sdpa_mask

    with whole_masks():
        assert ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] is not sdpa_mask
    assert ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] is sdpa_mask
    assert ALL_MASK_ATTENTION_FUNCTIONS["eager"] is eager_mask
