"""Both directions have the same targets, and the losses are those of the model's own logits."""

import numpy as np
import pytest
import torch
from tiny_models import tiny_model
from torch.nn.functional import cross_entropy

from lmtrain.objectives.bilm import BidirectionalLM
from lmtrain.objectives.packed import PADDING, PackedRow

END, PAD = 3, 1


def row(*tokens: int, width: int = 5) -> PackedRow:
    """A row as shards give it: the end token, the text, and what follows."""
    padding = [PADDING] * (width + 1 - len(tokens))
    document = [0] * (len(tokens) - 1) + [1] * len(padding)
    return PackedRow(np.array([*tokens, *padding]), np.array(document))


def batch_of(*rows: PackedRow) -> dict[str, torch.Tensor]:
    nothing = np.zeros(len(rows))
    return BidirectionalLM(PAD).collate(list(rows), nothing, nothing, 0)


def test_every_token_is_said_from_both_sides():
    batch = batch_of(row(END, 20, 21, END), row(END, 20, 21, 22, 23, END))
    assert batch["input_ids"].tolist() == [[END, 20, 21, END, PAD, PAD], [END, 20, 21, 22, 23, END]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]
    assert batch["labels"].tolist() == [[20, 21, END, -100, -100, -100], [20, 21, 22, 23, END, -100]]
    assert batch["backward_labels"].tolist() == [[-100, END, 20, 21, -100, -100], [-100, END, 20, 21, 22, 23]]


def test_a_piece_of_a_document_is_closed_by_what_follows_it():
    batch = batch_of(row(20, 21, 22, 23, 24, 25))
    assert batch["input_ids"].tolist() == [[20, 21, 22, 23, 24, 25]]
    assert batch["labels"].tolist() == [[21, 22, 23, 24, 25, -100]]


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_losses_are_those_of_the_models_own_logits(compiled):
    model = tiny_model("elmo").double().eval()
    batch = batch_of(row(END, 20, 21, END), row(END, 30, 31, 32, 33, END))
    found = BidirectionalLM(PAD, compiled=compiled).loss(model, batch)
    said = model(batch["input_ids"], attention_mask=batch["attention_mask"])
    pairs = ((said.logits, "labels"), (said.backward_logits, "backward_labels"))
    expected = [
        cross_entropy(logits.flatten(0, 1), batch[name].flatten(), reduction="sum") for logits, name in pairs
    ]
    torch.testing.assert_close(found, torch.stack(expected))
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
