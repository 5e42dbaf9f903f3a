"""Models follow from shape and seed, and load from folders without code from outside."""

import pytest
import torch
from tiny_models import CPU, VOCABULARY, causal_lm, tiny_config, tiny_model

from lmtrain.modeling.build import attention_kernel, parameter_count, task_model
from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.layers import repeated_layers
from lmtrain.modeling.sizes import BOTH_DIRECTIONS, DECODERS, ENCODER_DECODERS, ENCODERS, SIZES
from lmtrain.registry import ARCHITECTURES

FAMILIES = (*ENCODERS, *DECODERS, *BOTH_DIRECTIONS, *ENCODER_DECODERS)
SHAPE = ModelConfig(
    architecture="llama",
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
)


def test_every_family_can_be_made_in_every_size():
    assert set(ARCHITECTURES.names()) == set(FAMILIES) == set(SIZES)
    for family, sizes in SIZES.items():
        assert set(sizes) == {"tiny", "small", "base", "large"}
        for size in sizes:
            assert ModelConfig(architecture=family, size=size).shape.hidden_size == sizes[size].hidden_size


@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_of_weights_is_near_their_number(family):
    wide = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "num_hidden_layers": 3}
    model = tiny_model(family, **wide)
    told = tiny_config(family, **wide).parameters(VOCABULARY)
    assert told == pytest.approx(parameter_count(model), rel=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_is_a_block_of_its_own(family):
    layers = 1 if family == "albert" else 4 if family in ENCODER_DECODERS else 2
    assert len(repeated_layers(tiny_model(family))) == layers


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (causal_lm(SHAPE, 100, 16, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("initial", ["pretrained", "random"])
def test_a_task_model_starts_from_the_folder_or_from_its_shape_alone(tmp_path, initial):
    pretrained = causal_lm(SHAPE, 100, 16)
    pretrained.save_pretrained(tmp_path)
    labels = {0: "a", 1: "b", 2: "c"}
    model = task_model(tmp_path, "classification", initial, 5, CPU, num_labels=3, id2label=labels)
    assert model.config.id2label == labels
    assert model.score.weight.shape == (3, 32)
    same = torch.equal(model.model.embed_tokens.weight, pretrained.model.embed_tokens.weight)
    assert same == (initial == "pretrained")
    assert len(repeated_layers(model)) == 3


def test_fused_attention_is_for_short_rows_on_a_cpu_that_compiles():
    assert attention_kernel(CPU, True, 256) == "eager"
    assert attention_kernel(CPU, False, 256) == "sdpa"
    assert attention_kernel(CPU, True, 4096) == "sdpa"


def test_on_a_gpu_packed_rows_go_through_flex_attention_where_it_is_compiled():
    gpu = torch.device("cuda")
    assert attention_kernel(gpu, True, 1024) == "flex_attention"
    assert attention_kernel(gpu, True, 1024, packed=False) == "sdpa"
    assert attention_kernel(gpu, False, 1024) == "sdpa"
