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


def rate_shares(model: PreTrainedModel, decay: float) -> dict[str, float]:
    """Return each parameter's share of the learning rate, less for what lies deeper.

    The head has 1, the last layer `decay`, the one below it `decay**2`, and embeddings one power
    more than the first layer. What comes after layers, such as a last norm, has 1. Encoder and decoder of
    one model are counted each by itself. These are the discriminative rates of ULMFiT
    (Howard and Ruder 2018, section 3.2).
    """
    found = stacks(model)
    deepest = max((len(stack) for _, stack in found), default=0)
    base = f"{model.base_model_prefix}." if model.base_model is not model else ""
    shares, below_layers = {}, True
    for name, _ in model.named_parameters():
        within = next(((at, stack) for at, stack in found if name.startswith(at)), None)
        if within is not None:
            at, stack = within
            below_layers = False
            shares[name] = decay ** (len(stack) - int(name[len(at) :].partition(".")[0]))
        else:
            embeds = below_layers and name.startswith(base)
            shares[name] = decay ** (deepest + 1) if embeds else 1.0
    return shares
