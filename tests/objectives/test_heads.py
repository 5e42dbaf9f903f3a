"""Logits that are never whole are those that Transformers' own forward pass gives."""

import pytest
import torch
from tiny_models import FRAMED, ROW, VOCABULARY, tiny_model

from lmtrain.modeling.sizes import DECODERS, ENCODER_DECODERS, ENCODERS
from lmtrain.objectives.mlm import token_loss
from lmtrain.objectives.seq2seq import seq2seq_loss, shifted

FAMILIES = [*ENCODERS, *DECODERS, *ENCODER_DECODERS]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_models_own_logits(family):
    model = tiny_model(family).double().eval()
    if family == "mixtral":
        model.set_experts_implementation("eager")  # the fused one has no float64
    if family == "electra":
        assert type(model).__name__ == "ElectraForMaskedLM"
    with torch.no_grad():  # a bias that isn't zero, where there is one
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
        if getattr(model, "final_logits_bias", None) is not None:
            model.final_logits_bias.normal_()
    torch.manual_seed(0)
    ids = torch.randint(FRAMED.mask + 1, VOCABULARY, (2, ROW))
    labels = torch.where(torch.rand(2, ROW) < 0.3, ids, -100)
    if family in ENCODER_DECODERS:
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        start, pad = model.config.decoder_start_token_id, model.config.pad_token_id
        theirs = model(input_ids=ids, decoder_input_ids=shifted(labels, start, pad)).logits
        ours = seq2seq_loss(model, batch)[0]
    else:
        theirs = model(input_ids=ids).logits
        hidden = model.base_model(input_ids=ids).last_hidden_state
        places = (labels.flatten() != -100).nonzero().squeeze(1)
        ours = token_loss(model, hidden, places, labels.flatten()[places], compiled=False)
    expected = torch.nn.functional.cross_entropy(theirs.flatten(0, 1), labels.flatten(), reduction="sum")
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
    names = {name: one for name, one in model.named_parameters() if one.requires_grad}
    of_theirs = torch.autograd.grad(expected, list(names.values()), allow_unused=True)
    of_ours = torch.autograd.grad(ours, list(names.values()), allow_unused=True)
    for name, one, other in zip(names, of_ours, of_theirs, strict=True):
        if one is not None or other is not None:
            assert one is not None, name
            assert other is not None, name
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
