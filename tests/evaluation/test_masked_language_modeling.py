"""Encoders fill in one hidden token at a time, from both sides."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_line import CONTEXT
from transformers import BertForMaskedLM

from lmtrain.errors import StageError
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.masked_language_modeling import (
    POSITIONS,
    WINDOW,
    Masked,
    fill_in,
    masked_places,
    score_frequencies,
    score_model,
)
from lmtrain.evaluation.models import Loaded
from lmtrain.manifest import Artifact
from lmtrain.statistics import metric_from_statistics
from lmtrain.watch import SilentWatch

CPU = torch.device("cpu")
CONTEXT_OF = Context(
    EvaluateConfig(task="masked_language_modeling", system="model", dataset="set"), CPU, SilentWatch()
)


def loaded_of(line):
    folder = Artifact(line.masked_language_model()).folder("weights")
    return Loaded(BertForMaskedLM.from_pretrained(folder).eval(), line.tokenizer, CPU)


@given(st.integers(0, 1000), st.integers(1, 200))
def test_places_are_different_and_within_their_windows(tokens, window):
    found = masked_places(tokens, 3, window)
    assert len(found) == min(tokens, POSITIONS)
    assert len({one.place for one in found}) == len(found)
    for one in found:
        assert 0 <= one.start <= one.place < one.stop <= tokens
        assert one.stop - one.start == min(tokens, window)


def test_a_token_is_hidden_from_the_model_and_its_neighbours_are_not(english):
    loaded = loaded_of(english)
    text = np.arange(10, 22)
    masked = masked_places(len(text), 0, WINDOW)
    nats, right = fill_in(loaded, [text], masked, CONTEXT_OF)
    end, mask = loaded.tokenizer.eos_token_id, loaded.tokenizer.mask_token_id
    for number, one in enumerate(masked):
        ids = torch.tensor([[end, *text.tolist(), end]])
        ids[0, 1 + one.place] = mask
        with torch.no_grad():
            logits = loaded.model(input_ids=ids).logits[0, 1 + one.place].double()
        assert nats[number] == pytest.approx(-float(logits.log_softmax(-1)[text[one.place]]), rel=1e-4)
        assert right[number] == float(logits.argmax() == text[one.place])
    changed = text.copy()
    changed[masked[0].place + 1] += 1
    assert fill_in(loaded, [changed], masked[:1], CONTEXT_OF)[0] != nats[0]
    hidden = text.copy()
    hidden[masked[0].place] += 1
    again = fill_in(loaded, [hidden], [Masked(0, 5, 5, 6)], CONTEXT_OF)[0]
    assert np.isfinite(again).all()


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(english):
    loaded = loaded_of(english)
    with torch.no_grad():
        for parameter in loaded.model.cls.parameters():
            parameter.zero_()
    nats, _ = fill_in(loaded, [np.arange(10, 40)], masked_places(30, 0, CONTEXT - 2), CONTEXT_OF)
    assert np.exp(nats.mean()) == pytest.approx(len(english.tokenizer), rel=1e-5)


def test_frequencies_are_those_of_the_training_text(line):
    shards = Artifact(line.shards_url)
    scored = score_frequencies(shards, CONTEXT_OF)
    assert 1 < metric_from_statistics("pseudo_perplexity", scored.statistics) < len(line.tokenizer)
    assert 0 <= metric_from_statistics("masked_accuracy", scored.statistics) < 0.5
    assert scored.statistics[:, 1].sum() == scored.stats["masked_tokens"]


def test_a_tokenizer_without_a_mask_is_refused(english):
    tokenizer = copy.deepcopy(english.tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(StageError, match="no mask"):
        fill_in(
            replace(loaded_of(english), tokenizer=tokenizer),
            [np.arange(10, 20)],
            masked_places(10, 0, 8),
            CONTEXT_OF,
        )


def test_another_vocabulary_is_refused(lines):
    with pytest.raises(StageError, match="another vocabulary"):
        score_model(
            Artifact(lines["en"].shards_url), Artifact(lines["zh"].masked_language_model()), CONTEXT_OF
        )
