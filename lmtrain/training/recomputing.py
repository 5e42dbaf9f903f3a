"""Activations that are worked out again in the backward pass: less memory, more work."""

from functools import partial
from typing import Literal

import torch
import torch.nn.attention.flex_attention  # makes the operator known
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from lmtrain.modeling.lstm import Recurrent

Recompute = Literal["none", "selective", "full"]

_aten = torch.ops.aten
KEPT = frozenset(
    {
        _aten.mm.default,
        _aten.addmm.default,
        _aten.bmm.default,
        _aten._scaled_dot_product_flash_attention.default,
        _aten._scaled_dot_product_flash_attention_for_cpu.default,
        _aten._scaled_dot_product_efficient_attention.default,
        _aten._scaled_dot_product_cudnn_attention.default,
        torch.ops.higher_order.flex_attention,
    }
)
"""What `selective` keeps: matrix products and attention, the dear ones (Korthikanti et al. 2022)."""


def recompute(layers: list[nn.Module], how: Recompute) -> None:
    """Let layers work out their activations again in the backward pass. Before they are compiled or sharded.

    Args:
        layers: a model's repeated blocks.
        how: `none`; `selective` keeps the results of matrix products and attention, and works out the cheap
            rest again, of which an LSTM has none; `full` keeps what goes into a layer alone.
    """
    if how == "none":
        return
    contexts = {"context_fn": _selective} if how == "selective" else {}
    for layer in layers:
        if how == "selective" and isinstance(layer, Recurrent):
            continue
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, **contexts)


def _selective():
    return create_selective_checkpoint_contexts(_policy)


def _policy(context, operator, *args, **kwargs) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in KEPT else CheckpointPolicy.PREFER_RECOMPUTE
