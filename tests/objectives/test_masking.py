"""Masked tokens: how many, which, and what they become."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import FIRST, FRAMED, ROW, VOCABULARY, framed_rows, tiny_model

from lmtrain.errors import RecipeError
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import IGNORED
from lmtrain.objectives.masking import PLACES_MULTIPLE, choose
from lmtrain.objectives.mlm import MaskedLM

ROWS = 400
TEXT = np.random.default_rng(0).integers(FIRST, VOCABULARY, (ROWS, ROW - 2)).tolist()


def batch_of(objective: MaskedLM, texts: list[list[int]], epoch: int = 0, first: int = 0):
    indices = np.arange(first, first + len(texts))
    return objective.collate(framed_rows(texts, ROW), indices, np.full(len(texts), epoch), 7)


def labels_in_place(batch) -> np.ndarray:
    """Return labels where they stand in the rows, IGNORED elsewhere."""
    labels = np.full(batch["input_ids"].numel(), IGNORED)
    counted = batch["labels"] != IGNORED
    labels[batch["places"][counted].numpy()] = batch["labels"][counted].numpy()
    return labels.reshape(batch["input_ids"].shape)


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("share", [0.15, 0.4])
def test_as_many_tokens_as_asked_become_masks_others_or_stay(whole_words, share):
    objective = MaskedLM(FRAMED, VOCABULARY, ROW, probability=share, whole_words=whole_words)
    batch = batch_of(objective, TEXT)
    inputs, labels = batch["input_ids"].numpy(), labels_in_place(batch)
    original = framed_rows(TEXT, ROW).inputs
    chosen = labels != IGNORED
    assert (labels[chosen] == original[chosen]).all()
    assert (inputs[~chosen] == original[~chosen]).all()
    assert not chosen[:, [0, -1]].any(), "frames are no text"
    assert chosen.sum() / (ROWS * (ROW - 2)) == pytest.approx(share, abs=0.05 if whole_words else 0.01)
    masked = (inputs == FRAMED.mask) & chosen
    same = (inputs == original) & chosen
    assert masked.sum() / chosen.sum() == pytest.approx(0.8, abs=0.03)
    assert same.sum() / chosen.sum() == pytest.approx(0.1, abs=0.03)


def test_words_are_masked_as_a_whole():
    objective = MaskedLM(FRAMED, VOCABULARY, ROW, whole_words=True)
    chosen = labels_in_place(batch_of(objective, TEXT)) != IGNORED
    words = chosen[:, 1 : 1 + (ROW - 2) // 4 * 4].reshape(ROWS, -1, 4)
    assert (words.all(axis=2) | ~words.any(axis=2)).all()
    assert words.any()


def test_what_is_masked_follows_from_seed_epoch_and_row_alone():
    objective = MaskedLM(FRAMED, VOCABULARY, ROW)
    whole = labels_in_place(batch_of(objective, TEXT[:6]))
    parts = [labels_in_place(batch_of(objective, [TEXT[row]], first=row))[0] for row in range(6)]
    assert np.array_equal(whole, np.stack(parts))
    assert not np.array_equal(whole, labels_in_place(batch_of(objective, TEXT[:6], epoch=1)))


@given(st.integers(0, 40), st.floats(0.01, 0.9), st.integers(0, 99), st.booleans())
def test_at_least_one_token_is_chosen_and_none_twice(tokens, share, seed, words):
    generator = np.random.default_rng(seed)
    begins = generator.random(tokens) < 0.4 if words else None
    chosen = choose(tokens, begins, share, generator)
    assert len(np.unique(chosen)) == len(chosen)
    assert (len(chosen) > 0) == (tokens > 0)
    assert ((chosen >= 0) & (chosen < tokens)).all()


def test_targets_come_in_few_shapes_and_padding_is_none():
    objective = MaskedLM(FRAMED, VOCABULARY, ROW)
    batch = batch_of(objective, [TEXT[0], TEXT[1][:5]])
    assert len(batch["labels"]) % PLACES_MULTIPLE == 0
    assert batch["attention_mask"][1].sum() == 7
    assert (batch["input_ids"][1, 7:] == FRAMED.pad).all()


def test_the_loss_counts_what_is_masked_alone():
    model = tiny_model("bert").eval()
    batch = batch_of(MaskedLM(FRAMED, VOCABULARY, ROW), TEXT[:3])
    loss = MaskedLM(FRAMED, VOCABULARY, ROW).loss(model, batch)
    labels = torch.from_numpy(labels_in_place(batch))
    logits = model(input_ids=batch["input_ids"]).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    torch.testing.assert_close(loss, expected[None], rtol=1e-4, atol=1e-4)


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(RecipeError, match=r"no mask token; set tokenize\.special_tokens to bert or roberta"):
        MaskedLM(SpecialIds(0, 0, 1), VOCABULARY, ROW)
