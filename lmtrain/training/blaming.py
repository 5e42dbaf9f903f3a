"""Whose gradients aren't finite: asked once a training has broken, at the price of one more step.

A gradient that is reduced has lost where it came from: one worker's infinity is everybody's.
So the batch goes through the model again, and each worker looks at its own gradients
before they are added to those of the others.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from lmtrain.training.process import Process


def ranks_that_say(yes: bool, process: Process) -> list[int]:
    """Return which processes say yes; all must call."""
    marks = [0.0] * process.world
    marks[process.rank] = float(yes)
    return [rank for rank, mark in enumerate(process.sum(marks)) if mark]


def breaks_gradients(model: nn.Module, again: Callable[[], object]) -> bool:
    """Tell whether this worker's own gradients aren't finite; all must call.

    Args:
        model: what is trained, sharded or not.
        again: runs forward and backward over the batch once more.
    """
    found = False

    def look(gradient: Tensor) -> None:
        nonlocal found
        found = found or not bool(torch.isfinite(gradient).all())

    hooks = [parameter.register_hook(look) for parameter in _whole_parameters(model)]
    try:
        again()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _whole_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that gradients arrive at; of sharded ones those that are gathered."""
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in sharded:
        module.unshard()
    found = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for module in sharded:
        module.reshard()
    return found
