"""A model's repeated blocks, and how deep each weight lies among them."""

from torch import nn
from transformers import PreTrainedModel


def stacks(model: nn.Module, at: str = "") -> list[tuple[str, nn.ModuleList]]:
    """Return a model's lists of modules that aren't within another, with the prefix of their weights."""
    if isinstance(model, nn.ModuleList):
        return [(at, model)]
    return [found for name, child in model.named_children() for found in stacks(child, f"{at}{name}.")]


def repeated_layers(model: nn.Module) -> list[nn.Module]:
    """Return a model's repeated blocks: the members of its lists of modules, not of lists within these."""
    return [layer for _, stack in stacks(model) for layer in stack]


def depths(model: PreTrainedModel) -> dict[str, int]:
    """Return how deep each parameter lies.

    The head has 0, and so has what comes after layers, such as a last norm; the last layer has 1, the one
    below it 2, and embeddings one more than the first layer. Encoder and decoder of one model are counted
    each by itself.
    """
    found = stacks(model)
    deepest = max((len(stack) for _, stack in found), default=0)
    base = f"{model.base_model_prefix}." if model.base_model is not model else ""
    depth, below_layers = {}, True
    for name, _ in model.named_parameters():
        within = next(((at, stack) for at, stack in found if name.startswith(at)), None)
        if within is not None:
            at, stack = within
            below_layers = False
            depth[name] = len(stack) - int(name[len(at) :].partition(".")[0])
        else:
            embeds = below_layers and name.startswith(base)
            depth[name] = deepest + 1 if embeds else 0
    return depth


def rate_shares(model: PreTrainedModel, decay: float) -> dict[str, float]:
    """Return each parameter's share of the learning rate, `decay` to the power of its depth.

    These are the discriminative rates of ULMFiT (Howard and Ruder 2018, section 3.2).
    """
    return {name: decay**depth for name, depth in depths(model).items()}


def first_steps(model: PreTrainedModel, rows: int, batch: int, *, new_head: bool) -> dict[str, int]:
    """Return the step from which each parameter is trained: one layer more with every epoch, from the top.

    This is the gradual unfreezing of ULMFiT (Howard and Ruder 2018, section 3.3).

    Args:
        model: with the head of its task.
        rows: of an epoch.
        batch: rows of a step.
        new_head: whether the head is random, and begins alone; if not, the last layer begins with it.
    """
    later = 0 if new_head else 1
    return {name: -(-max(0, depth - later) * rows // batch) for name, depth in depths(model).items()}


def freeze_body(model: PreTrainedModel) -> None:
    """Leave layers and embeddings as they are: the head alone is trained, on features that don't change."""
    depth = depths(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(depth[name] == 0)
