"""Matrix products of float32 on a CPU by oneDNN, where it is faster than the library that PyTorch calls.

PyTorch multiplies float32 matrices on a CPU by MKL, and those of bfloat16 by
oneDNN. On processors that aren't Intel's, MKL can be less than half as fast as
oneDNN in the same precision: 90 against 200 GFLOP/s were seen on one core of an
AMD EPYC with AVX-512. Which is faster is measured, not guessed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def has_onednn() -> bool:
    """Tell whether this build of PyTorch has oneDNN's products."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@torch.library.custom_op("lmtrain::onednn_product", mutates_args=(), device_types="cpu")
def onednn_product(left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right.T` by oneDNN; differentiable, and one piece to a compiler.

    Args:
        left: shape (rows, inner), float32; may be a transposed view.
        right: shape (columns, inner), float32; may be a transposed view.
    """
    return torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")


@onednn_product.register_fake
def _(left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty(left.shape[0], right.shape[0])


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _slopes(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, Tensor | None]:
    left, right = ctx.saved_tensors
    of_left, of_right = ctx.needs_input_grad
    return (
        onednn_product(slopes, right.mT) if of_left else None,
        onednn_product(slopes.mT, left.mT) if of_right else None,
    )


onednn_product.register_autograd(_slopes, setup_context=_keep)


class OneDnnLinear(nn.Linear):
    """A linear layer whose float32 products oneDNN computes; other types go the usual way."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name that nn.Linear gives it)
        """Return `input @ weight.T + bias`."""
        if not _is_for_onednn(input):
            return super().forward(input)
        flat = onednn_product(input.reshape(-1, self.in_features), self.weight)
        found = flat.view(*input.shape[:-1], self.out_features)
        return found if self.bias is None else found + self.bias


def multiply_by_onednn(model: nn.Module) -> None:
    """Let a model's linear layers multiply by oneDNN. Names and weights stay as they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDnnLinear


def _is_for_onednn(values: Tensor) -> bool:
    return values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


Product = Callable[[Tensor, Tensor], Tensor]
"""Of left and right, to `left @ right.T`."""


def product_of(layer: nn.Module, values: Tensor) -> Product:
    """Return how a layer multiplies values of that type."""
    return onednn_product if isinstance(layer, OneDnnLinear) and _is_for_onednn(values) else usual_product


def usual_product(left: Tensor, right: Tensor) -> Tensor:
    """Return `left @ right.T` as PyTorch computes it."""
    return left @ right.mT
