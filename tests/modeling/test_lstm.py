"""LSTM language models: what a token sees, how they are loaded, and that they begin with no opinion."""

import math

import pytest
import torch
from tiny_models import CPU, FIRST, VOCABULARY, tiny_model
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from lmtrain.errors import RecipeError
from lmtrain.modeling.build import attention_kernel, family_of, new_model
from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.isolation import check_packable
from lmtrain.modeling.layers import repeated_layers
from lmtrain.modeling.lstm import Lstm, kept_dropout
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.training.flops import flops_per_token
from lmtrain.training.precision import layer_products

FAMILIES = ("ulmfit", "elmo")
HEADS = (
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModelForQuestionAnswering,
)


def rows(count: int = 2, length: int = 9) -> torch.Tensor:
    return torch.randint(FIRST, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(1))


def vectors(model, ids, mask=None):
    with torch.no_grad():
        return model.base_model(ids, mask).last_hidden_state


@pytest.mark.parametrize("outputs", [6, 4])
def test_a_layer_is_the_recurrence_of_the_paper(outputs):
    torch.manual_seed(0)
    layer = Lstm(3, 6, outputs).double()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    values = torch.randn(2, 5, 3, dtype=torch.float64)
    output, cells = torch.zeros(2, outputs, dtype=torch.float64), torch.zeros(2, 6, dtype=torch.float64)
    for place in range(5):
        summed = values[:, place] @ layer.weight_ih.T + output @ layer.weight_hh.T + layer.bias
        take, keep, new, show = summed.chunk(4, dim=1)
        cells = keep.sigmoid() * cells + take.sigmoid() * new.tanh()
        output = show.sigmoid() * cells.tanh()
        if layer.weight_hr is not None:
            output = output @ layer.weight_hr.T
        torch.testing.assert_close(layer(values)[:, place], output)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_changes_what_is_read_after_it_alone(family):
    model, ids = tiny_model(family).eval(), rows()
    other = ids.clone()
    other[:, 4] = FIRST + (ids[:, 4] - FIRST + 1) % (VOCABULARY - FIRST)
    one, two = vectors(model, ids), vectors(model, other)
    forwards = slice(0, model.config.hidden_size)
    assert torch.equal(one[:, :4, forwards], two[:, :4, forwards])
    assert (one[:, 4:, forwards] != two[:, 4:, forwards]).any(dim=2).all()
    if family == "elmo":
        backwards = slice(model.config.hidden_size, None)
        assert torch.equal(one[:, 5:, backwards], two[:, 5:, backwards])
        assert (one[:, :5, backwards] != two[:, :5, backwards]).any(dim=2).all()


def test_elmo_reads_backwards_as_it_reads_a_reversed_row_forwards():
    model = tiny_model("elmo").eval()
    swapped = tiny_model("elmo").eval()
    for layer in swapped.base_model.layers:
        layer.left_to_right, layer.right_to_left = layer.right_to_left, layer.left_to_right
    one, two = vectors(model, rows()), vectors(swapped, rows().flip(1)).flip(1)
    torch.testing.assert_close(one[..., :32], two[..., 32:])
    torch.testing.assert_close(one[..., 32:], two[..., :32])


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_on_either_side_changes_nothing(family):
    model, ids = tiny_model(family).eval(), rows()
    alone = vectors(model, ids)
    empty = torch.full((2, 3), 1)
    for parts in ((ids, empty), (empty, ids)):
        padded = torch.cat(parts, dim=1)
        mask = torch.cat(
            [(torch.ones_like(one) if one is ids else torch.zeros_like(one)) for one in parts], dim=1
        )
        found = vectors(model, padded, mask)[mask.bool()].view_as(alone)
        torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_model_has_no_opinion(family):
    config = ModelConfig(architecture=family)
    head = "causal" if family == "ulmfit" else "both_directions"
    model = new_model(config, head, 500, 32, SpecialIds(0, 0, 1), 0, CPU).eval()
    ids = torch.randint(2, 500, (8, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(ids).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert float(loss) == pytest.approx(math.log(500), rel=0.02)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_head_is_saved_as_safetensors_and_loaded_by_name_to_the_bit(family, head, tmp_path):
    shape = tiny_model(family).config
    model = head.from_config(shape).eval()
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors"}
    again = head.from_pretrained(tmp_path, use_safetensors=True, trust_remote_code=False)
    assert type(again) is type(model)
    assert family_of(again.config) == family
    with torch.no_grad():
        for one, two in zip(model(rows()).values(), again(rows()).values(), strict=True):
            assert torch.equal(one, two)


def test_elmo_from_left_to_right_is_one_half_of_both_directions(tmp_path):
    model = tiny_model("elmo").eval()
    model.save_pretrained(tmp_path)
    alone = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(alone(rows()).logits, model(rows()).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_goes_on_the_same_beside_a_longer_one(family):
    model = AutoModelForCausalLM.from_config(tiny_model(family).config).eval()
    [long, short] = rows()
    short = short[:4]
    padded = torch.stack([long, torch.cat([torch.full((5,), 1), short])])
    mask = torch.ones_like(padded)
    mask[1, :5] = 0
    settings = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 1, "eos_token_id": None}
    together = model.generate(padded, attention_mask=mask, **settings)[1, 9:]
    alone = model.generate(short[None], attention_mask=torch.ones(1, 4), **settings)[0, 4:]
    assert together.tolist() == alone.tolist()


def test_a_row_loses_the_same_channels_at_all_of_its_tokens():
    torch.manual_seed(0)
    dropped = kept_dropout(torch.ones(3, 5, 40), 0.5, training=True)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.flatten().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(kept_dropout(torch.ones(3, 5, 40), 0.5, training=False), torch.ones(3, 5, 40))


def test_weights_from_token_to_token_are_dropped_in_training_alone():
    model = tiny_model("ulmfit", weight_drop=0.5)
    base = model.base_model
    torch.manual_seed(0)
    first = base(rows()).last_hidden_state
    torch.manual_seed(0)
    assert torch.equal(first, base(rows()).last_hidden_state), "drawn from the seed"
    assert not torch.equal(first, base(rows()).last_hidden_state)
    assert torch.equal(first[:, 0], base(rows()).last_hidden_state[:, 0]), (
        "the first token has none before it"
    )
    model.eval()
    assert torch.equal(base(rows()).last_hidden_state, base(rows()).last_hidden_state)


def test_the_base_size_is_that_of_the_paper():
    """33 M weights with WikiText-2's vocabulary (Merity et al. 2018, table 1)."""
    assert ModelConfig(architecture="ulmfit", size="base").parameters(33_278) == pytest.approx(33e6, rel=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_stay_uncompiled_and_their_products_count(family):
    model = tiny_model(family)
    for layer in repeated_layers(model):
        layer.compile()
        assert layer._compiled_call_impl is None
    lstms = sum(isinstance(module, Lstm) for module in model.modules())
    matrices = 2 if family == "ulmfit" else 3
    assert layer_products(model, 64).total() == lstms * matrices + 1
    weights = sum(one.numel() for one in model.parameters() if one.ndim == 2)  # the embeddings say the tokens
    assert flops_per_token(model, 32) == 6 * weights


def test_what_an_lstm_lacks_is_refused_by_name():
    with pytest.raises(ValueError, match="num_attention_heads is for"):
        ModelConfig(architecture="elmo", num_attention_heads=2)
    with pytest.raises(ValueError, match="weight_drop is for ulmfit"):
        ModelConfig(architecture="elmo", weight_drop=0.5)
    with pytest.raises(
        ValueError, match="packing concatenate doesn't go with clm and ulmfit: set it to none"
    ):
        PretrainConfig(architecture="ulmfit", packing="concatenate")
    with pytest.raises(ValueError, match=r"objective clm doesn't train elmo .* elmo is trained by bilm"):
        PretrainConfig(architecture="elmo")
    with pytest.raises(RecipeError, match="set packing: none"):
        check_packable(tiny_model("ulmfit").config)
    assert PretrainConfig(architecture="ulmfit").packing == "none"
    assert (
        tiny_model("ulmfit", attention=attention_kernel(CPU, False, 64)).config._attn_implementation
        == "eager"
    )
