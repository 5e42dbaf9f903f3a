"""Lighter models: what is quantized or pruned, what it weighs, how fast it is, and how it is scored."""

import time

import pytest
import torch
from test_evaluation_stage import data_and_model, rows_of, score
from tiny_models import tiny_model
from torch import nn

from lmtrain.errors import RecipeError
from lmtrain.evaluation import config as evaluation_config
from lmtrain.evaluation.comparison import compare
from lmtrain.evaluation.config import LighterSection
from lmtrain.evaluation.lighter import Remembering, lightened, milliseconds, stored_bytes
from lmtrain.graph import nodes_of
from lmtrain.manifest import Artifact
from lmtrain.modeling.layers import repeated_layers
from lmtrain.planning import open_line
from lmtrain.recipe import parse_recipe

RAW = {
    "name": "small",
    "ingest": {"docstrings": [{"alias": "python", "packages": ["click"]}]},
    "label": {"docstrings": [{"alias": "package", "label": "package"}]},
    "finetune": {"classification": [{"name": "first", "data": "package", "seeds": 2}]},
}


def weights_within_layers(model):
    """Return the matrices that a lighter model changes."""
    return [
        part.weight
        for layer in repeated_layers(model)
        for part in layer.modules()
        if isinstance(part, nn.Linear)
    ]


@pytest.mark.parametrize("family", ["llama", "bert", "t5"])
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_of_the_weights_within_layers_the_smallest_go_and_no_others(family, share):
    model = tiny_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pruned = lightened(model, LighterSection(pruned=[share]))
    old = torch.cat([weight.detach().flatten() for weight in weights_within_layers(model)])
    new = torch.cat([weight.detach().flatten() for weight in weights_within_layers(pruned)])
    gone = new == 0
    assert int(gone.sum()) == round(share * len(old))
    assert old[gone].abs().max() <= old[~gone].abs().min()
    assert torch.equal(new[~gone], old[~gone])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "a copy"
    inside = sum(weight.numel() for weight in weights_within_layers(model))
    changed = sum(int((pruned.state_dict()[name] != value).sum()) for name, value in before.items())
    assert changed <= round(share * inside), "embeddings, norms and head are as they were"


def test_a_pruned_weight_is_stored_as_a_bit_for_each_value_and_the_others():
    model = nn.ModuleDict(
        {"first": nn.Linear(10, 10), "second": nn.Linear(10, 10), "tied": nn.Linear(10, 10)}
    )
    model["tied"].weight = model["second"].weight
    for part in model.values():
        nn.init.ones_(part.bias)
    with torch.no_grad():
        model["first"].weight.fill_(0.5).view(-1)[:40] = 0
        model["second"].weight.fill_(0.5)
    assert stored_bytes(model) == (13 + 60 * 4) + 100 * 4 + 3 * 10 * 4


def test_gpt2_s_transposed_maps_are_made_lighter_too():
    model = tiny_model("gpt2").eval()
    ids = torch.arange(20, 30)[None]
    pruned = lightened(model, LighterSection(pruned=[1e-9]))  # of so few weights none is cut
    assert torch.allclose(pruned(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-6)
    assert len(weights_within_layers(pruned)) == 2 * 4


class Slow(nn.Module):
    """A model that takes a known time for each token."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds
        self.seen = []

    def forward(self, input_ids, attention_mask=None, use_cache=None):
        self.seen.append(input_ids.tolist())
        time.sleep(self.seconds)


def test_both_models_are_timed_on_single_rows_without_padding():
    fast, slow = Slow(0.001), Slow(0.004)
    asked = Remembering(slow)
    asked(
        input_ids=torch.tensor([[5, 6, 7], [8, 9, 0]]),
        attention_mask=torch.tensor([[1, 1, 1], [1, 1, 0]]),
        use_cache=False,
    )
    slow.seen.clear()
    quick, long = milliseconds([fast, slow], asked)
    assert fast.seen == slow.seen
    assert fast.seen[-2:] == [[[8, 9]], [[5, 6, 7]]], "from short to long, each by itself"
    assert 1 <= quick < 4 <= long < 40


@pytest.mark.parametrize("task", ["classification", "summarization", "language_modeling", "similarity"])
def test_a_lighter_model_is_scored_on_the_same_examples_with_what_it_gains(line, task):
    data, model = data_and_model(line, task)
    whole = score(line, data, task, model=model)
    lighter = score(line, data, task, model=model, lighter=LighterSection(pruned=[0.6]))
    found = Artifact(lighter)
    assert found.address.label == Artifact(whole).address.label.replace("-set", "-pruned-60-set")
    assert rows_of(lighter)[0]["system"].endswith("-pruned-60")
    gained = found.stats["lighter"]
    assert gained["bytes"] < gained["whole_bytes"]
    assert gained["milliseconds"] > 0 < gained["whole_milliseconds"]
    difference = compare(lighter, whole, rows_of(whole)[0]["metric"], samples=50)
    assert difference.low <= difference.value <= difference.high
    assert "lighter" not in Artifact(whole).stats


def test_lighter_versions_are_of_the_model_and_of_the_pretrained_start_s_first_seed():
    asked = {**RAW, "evaluate": {"lighter": {"pruned": [0.3, 0.5]}}}
    before, after = (
        {node.address: node for node in nodes_of(parse_recipe(raw)) if node.stage == "evaluate"}
        for raw in (RAW, asked)
    )
    new = [node for address, node in after.items() if address not in before]
    assert [(node.inputs["system"][0].stage, node.config.lighter.name) for node in new] == [
        ("pretrain", "pruned-30"), ("pretrain", "pruned-50"),
        ("finetune", "pruned-30"), ("finetune", "pruned-50"),
    ]  # fmt: skip
    assert [node.label for node in new[2:]] == [
        "first-pretrained-pruned-30-package", "first-pretrained-pruned-50-package",
    ]  # fmt: skip
    assert set(before) < set(after), "nothing else moves"


def test_int8_without_torchao_is_refused_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation_config, "find_spec", lambda name: None)
    asked = parse_recipe({**RAW, "root": str(tmp_path), "evaluate": {"lighter": {"int8": True}}})
    with pytest.raises(RecipeError, match=r"pip install 'lmtrain\[quantization\]'"):
        open_line(asked)
    with pytest.raises(RecipeError, match="torchao"):
        lightened(tiny_model("llama"), LighterSection(int8=True))


@pytest.mark.parametrize("shares", [[0.0], [1.0], [-0.1], [0.3, 0.3]])
def test_all_or_nothing_is_no_share_and_one_is_named_once(shares):
    with pytest.raises(ValueError, match=r"pruned"):
        LighterSection(pruned=shares)
