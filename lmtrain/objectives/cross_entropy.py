"""Cross-entropy, whole or in pieces: the logits of a large vocabulary never stand whole in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from lmtrain.modeling.products import Product, usual_product
from lmtrain.objectives.base import IGNORED

CHUNK_VALUES = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Logits that stand in memory at once: 16 MB in float32, which a CPU's cache almost holds, and 512 MB."""

CHUNK_TOKENS = 512
"""Least tokens in a chunk, so that matrix products stay wide."""


_left_to_autograd = ContextVar("left_to_autograd", default=False)


@contextmanager
def left_to_autograd() -> Iterator[None]:
    """Let chunks be differentiated as anything else is: torch.func can't transform gradients of our own."""
    token = _left_to_autograd.set(True)
    try:
        yield
    finally:
        _left_to_autograd.reset(token)


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the summed cross-entropy in nats, computed in float32 at least.

    Args:
        logits: shape (..., classes).
        labels: shape (...), `IGNORED` where there is no target.
    """
    flat = _at_least_float32(logits.reshape(-1, logits.shape[-1]))
    return functional.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED, reduction="sum")


def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    bias: Tensor | None = None,
    z_loss: float = 0.0,
    compiled: bool = False,
    product: Product = usual_product,
) -> Tensor:
    """Return the summed cross-entropy of `hidden @ weight.T + bias`, some tokens at a time.

    The gradient is worked out in the forward pass while a chunk's logits are at
    hand, so that neither they nor their gradient are kept: instead of two arrays
    of shape (tokens, classes) there is one of (classes, width) (Liger kernels, Hsu
    et al. 2024; Cut Cross-Entropy, Wijmans et al. 2024).

    Args:
        hidden: last hidden states, shape (..., width).
        weight: of the output layer, shape (classes, width).
        labels: shape (...), `IGNORED` where there is no target.
        bias: of the output layer, shape (classes,).
        z_loss: weight of the squared logarithm of the normalizer, which keeps logits
            from drifting (PaLM, Chowdhery et al. 2022, section 5: 1e-4).
        compiled: fuse the arithmetic between the matrix products.
        product: how the output layer multiplies.
    """
    flat, targets = hidden.reshape(-1, hidden.shape[-1]), labels.reshape(-1)
    if torch.is_grad_enabled() and not _left_to_autograd.get():
        return _Chunked.apply(flat, weight, bias, targets, z_loss, compiled, product)
    losses = [
        _slopes_of(compiled)(_logits(product, flat[chunk], weight, bias), targets[chunk], z_loss)[0]
        for chunk in _chunks(flat, weight)
    ]
    return torch.stack(losses).sum()


def _chunks(hidden: Tensor, weight: Tensor) -> list[slice]:
    rows = max(CHUNK_TOKENS, CHUNK_VALUES[hidden.device.type] // weight.shape[0])
    return [slice(start, start + rows) for start in range(0, len(hidden), rows)]


def _logits(product: Product, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    logits = product(hidden, weight)
    return logits if bias is None else logits + bias.to(logits.dtype)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, labels, z_loss, compiled, product):
        losses = []
        hidden_gradient, weight_gradient = torch.empty_like(hidden), torch.zeros_like(weight)
        bias_gradient = None if bias is None else torch.zeros_like(bias)
        for chunk in _chunks(hidden, weight):
            logits = _logits(product, hidden[chunk], weight, bias)
            loss, slopes = _slopes_of(compiled)(logits, labels[chunk], z_loss)
            losses.append(loss)
            hidden_gradient[chunk] = product(slopes, weight.mT)
            weight_gradient += product(slopes.mT, hidden[chunk].mT)
            if bias_gradient is not None:
                bias_gradient += slopes.sum(dim=0, dtype=bias_gradient.dtype)
        ctx.gradients = hidden_gradient, weight_gradient, bias_gradient
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx, scale):  # pyright: ignore[reportIncompatibleMethodOverride]
        # Scaled in place: good for one backward pass.
        gradients = [None if gradient is None else gradient.mul_(scale) for gradient in ctx.gradients]
        ctx.gradients = None
        return *gradients, None, None, None, None


def _slopes(logits: Tensor, labels: Tensor, z_loss: float) -> tuple[Tensor, Tensor]:
    """Return the summed loss of a chunk, and its derivative by each logit in the logits' type."""
    values = _at_least_float32(logits)
    counted = labels != IGNORED
    places = labels.clamp(min=0).unsqueeze(1)
    logarithms = values.log_softmax(dim=1)
    picked = logarithms.gather(1, places)
    losses = -picked
    slopes = logarithms.exp()
    if z_loss:
        normalizer = values.gather(1, places) - picked
        losses = losses + z_loss * normalizer.square()
        slopes = slopes * (1 + 2 * z_loss * normalizer)
    slopes = slopes.scatter_add(1, places, torch.full_like(picked, -1.0)) * counted.unsqueeze(1)
    return losses.squeeze(1).where(counted, 0).sum(), slopes.to(logits.dtype)


@cache
def _slopes_of(compiled: bool) -> Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]:
    return torch.compile(_slopes) if compiled else _slopes


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
