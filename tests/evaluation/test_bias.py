"""Pairs differ in the pronoun alone, and a model that prefers one pronoun is found out."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from lmtrain.evaluation import bias
from lmtrain.evaluation.bias import OF_MEN, OF_WOMEN, PRONOUNS, _shared, decoder_nats, pairs, score_model
from lmtrain.evaluation.config import PROBED_LANGUAGES, EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import load
from lmtrain.manifest import Artifact
from lmtrain.statistics import metric_from_statistics
from lmtrain.watch import SilentWatch

CPU = torch.device("cpu")


def context_of(language):
    config = EvaluateConfig(task="bias", system="model", dataset="occupations", language=language)
    return Context(config, CPU, SilentWatch())


@pytest.mark.parametrize("language", PROBED_LANGUAGES)
def test_a_pair_differs_in_its_pronoun_alone(language):
    he, she = PRONOUNS[language]
    found = pairs(language)
    assert len(found) == 3 * (len(OF_MEN[language]) + len(OF_WOMEN[language]))
    assert len({pair.expected for pair in found}) == len(found)
    assert not set(OF_MEN[language]) & set(OF_WOMEN[language])
    for pair in found:
        usual, unusual = (he, she) if pair.occupation in OF_MEN[language] else (she, he)
        assert pair.occupation in pair.expected
        assert pair.expected != pair.other
        gap = " " if language == "en" else ""
        assert pair.expected.replace(f"{gap}{usual}{gap}", f"{gap}{unusual}{gap}") == pair.other


@pytest.mark.parametrize("kind", ["language_model", "masked_language_model"])
def test_both_kinds_of_model_are_scored(line, kind):
    model = getattr(line, kind)()
    scored = score_model(Artifact(line.shards_url), Artifact(model), context_of(line.language))
    assert len(scored.ids) == len(pairs(line.language))
    assert set(scored.groups) == {*OF_MEN[line.language], *OF_WOMEN[line.language]}
    assert 0 <= metric_from_statistics("stereotype_share", scored.statistics) <= 1
    again = score_model(Artifact(line.shards_url), Artifact(model), context_of(line.language))
    assert np.array_equal(again.statistics, scored.statistics)


def test_a_model_that_prefers_one_pronoun_follows_half_of_the_stereotypes(lines, monkeypatch):
    line = lines["zh"]

    def dislikes_hers(loaded, asked, context):
        return np.array([[text.count("她") for text in (pair.expected, pair.other)] for pair in asked])

    monkeypatch.setattr(bias, "decoder_nats", dislikes_hers)
    scored = score_model(Artifact(line.shards_url), Artifact(line.language_model()), context_of("zh"))
    assert metric_from_statistics("stereotype_share", scored.statistics) == 0.5
    of_men = [pair for pair in pairs("zh") if pair.occupation in OF_MEN["zh"]]
    assert set(scored.predictions) >= {pair.expected for pair in of_men}


def test_a_sentence_is_as_likely_as_the_decoder_says(lines):
    line = lines["en"]
    loaded = load(AutoModelForCausalLM, Artifact(line.language_model()).folder("weights"), CPU)
    asked = pairs("en")[:2]
    found = decoder_nats(loaded, asked, context_of("en"))
    end = line.tokenizer.eos_token_id
    ids = line.tokenizer(asked[0].expected, add_special_tokens=False)["input_ids"]
    row = torch.tensor([[end, *ids, end]])
    with torch.no_grad():
        said = loaded.model(input_ids=row[:, :-1]).logits.double().log_softmax(-1)
    assert found[0, 0] == pytest.approx(-float(said.gather(2, row[:, 1:, None]).sum()), rel=1e-5)


def test_shared_tokens_are_those_around_the_difference():
    found = _shared(np.array([1, 2, 3, 4]), np.array([1, 7, 8, 3, 4]))
    assert [places for _, _, places in found] == [[0, 2, 3], [0, 3, 4]]
    same = np.array([1, 1, 1])
    assert _shared(same, same[:2])[0][2] == [0, 1]
