"""oneDNN's products are those of PyTorch, in value and in gradient, whatever a layer is given."""

import pytest
import torch
from torch import nn

from lmtrain.modeling.products import OneDnnLinear, has_onednn, multiply_by_onednn, onednn_product, product_of

pytestmark = pytest.mark.skipif(not has_onednn(), reason="this build of PyTorch has no oneDNN")


def layers(bias: bool) -> tuple[nn.Module, nn.Module]:
    """Return a layer as PyTorch has it, and the same with oneDNN's products."""
    torch.manual_seed(0)
    usual, ours = nn.Linear(48, 80, bias=bias), nn.Linear(48, 80, bias=bias)
    ours.load_state_dict(usual.state_dict())
    multiply_by_onednn(ours)
    return usual, ours


def of(layer: nn.Module, given: torch.Tensor) -> list[torch.Tensor]:
    """Return what a layer makes of values, and the gradients of a loss by them and by its weights."""
    given = given.clone().requires_grad_()
    made = layer(given)
    return [made, *torch.autograd.grad(made.double().square().sum(), [given, *layer.parameters()])]


@pytest.mark.parametrize("shape", [(7, 48), (2, 5, 48), (48,)])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_those_of_the_usual_layer(shape, bias):
    usual, ours = layers(bias)
    given = torch.randn(shape)
    for mine, theirs in zip(of(ours, given), of(usual, given), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transposed", [(False, True), (True, False), (True, True)])
def test_transposed_views_are_multiplied_in_place(transposed):
    left, right = torch.randn(30, 64), torch.randn(20, 64)
    views = [
        one.mT.contiguous().mT if turned else one
        for one, turned in zip((left, right), transposed, strict=True)
    ]
    torch.testing.assert_close(onednn_product(*views), left @ right.mT, rtol=1e-5, atol=1e-5)


def test_other_types_go_the_usual_way_to_the_bit():
    usual, ours = layers(bias=False)
    assert isinstance(ours, OneDnnLinear)
    given = torch.randn(6, 48)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(given), usual(given))
        assert product_of(ours, given) is not onednn_product
    assert product_of(ours, given) is onednn_product
    assert product_of(usual, given) is not onednn_product
    assert torch.equal(ours.double()(given.double()), usual.double()(given.double()))


def test_a_compiled_layer_computes_the_same():
    usual, ours = layers(bias=False)
    given = torch.randn(9, 48)
    compiled = torch.compile(lambda values: ours(nn.functional.silu(values)))
    torch.testing.assert_close(compiled(given), usual(nn.functional.silu(given)), rtol=1e-5, atol=1e-5)


def test_layers_made_for_something_else_stay_as_they_are():
    class Scaled(nn.Linear):
        pass

    model = nn.Sequential(Scaled(4, 4), nn.Linear(4, 4))
    names = list(model.state_dict())
    multiply_by_onednn(model)
    assert [type(one) for one in model] == [Scaled, OneDnnLinear]
    assert list(model.state_dict()) == names
