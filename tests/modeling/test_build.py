"""Models follow from shape and seed, and load from folders without code from outside."""

import pytest
import torch

from lmtrain.modeling.build import (
    attention_kernel,
    new_causal_lm,
    parameter_count,
    repeated_layers,
    task_model,
)
from lmtrain.modeling.config import ModelConfig
from lmtrain.registry import ARCHITECTURES

CPU = torch.device("cpu")
SHAPE = ModelConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)


@pytest.mark.parametrize("architecture", ARCHITECTURES.names())
def test_the_estimate_of_weights_is_their_number(architecture):
    shape = SHAPE.model_copy(update={"architecture": architecture})
    model = new_causal_lm(shape, 100, 16, 0, 1, 0, CPU)
    assert model.config.model_type == architecture
    assert shape.parameters(100) == parameter_count(model)


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (new_causal_lm(SHAPE, 100, 16, 0, 1, seed, CPU).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("initial", ["pretrained", "random"])
def test_a_task_model_starts_from_the_folder_or_from_its_shape_alone(tmp_path, initial):
    pretrained = new_causal_lm(SHAPE, 100, 16, 0, 1, 0, CPU)
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
