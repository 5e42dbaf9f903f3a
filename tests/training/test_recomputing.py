"""What is worked out again is what was: loss and gradients are the same."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.modeling.layers import repeated_layers
from lmtrain.training.recomputing import recompute


def gradients(how: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3
    )
    model = LlamaForCausalLM(shape).double()
    recompute(repeated_layers(model), how)
    ids = torch.arange(2, 26).view(2, 12)
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("how", ["selective", "full"])
def test_gradients_are_those_without_it(how):
    expected, found = gradients("none"), gradients(how)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_full_keeps_less_than_selective_keeps_less_than_none():
    def kept(how: str) -> int:
        torch.manual_seed(0)
        layer = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 64))
        recompute([layer], how)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one: sizes.append(one.numel()) or one, lambda one: one
        ):
            layer(torch.randn(128, 64, requires_grad=True))
        return sum(sizes)

    assert kept("full") < kept("none")
