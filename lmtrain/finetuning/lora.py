"""LoRA (Hu et al. 2021): beside each matrix of the layers two thin ones are trained, then merged."""

from typing import Any

import torch
from peft import LoraConfig, LoraModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lmtrain.modeling.layers import stacks


def with_lora(model: PreTrainedModel, rank: int, alpha: float, seed: int, *, trains_head: bool) -> LoraModel:
    """Freeze a model in place and put LoRA's matrices into its layers; it computes what it did before.

    Args:
        model: with the head of its task.
        rank: of the product that is added to each matrix.
        alpha: divided by the rank, the product's scale.
        seed: of the random ones among LoRA's matrices.
        trains_head: whether what lies outside the base model is new, and is trained whole.

    Returns:
        What can merge them; its `model` is the given one.
    """
    matrices = [
        f"{at}{name}"
        for at, stack in stacks(model)
        for name, module in stack.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]
    transposed = any(isinstance(module, Conv1D) for module in model.modules())
    scale: Any = alpha  # typed as a whole number, and used as any
    asked = LoraConfig(r=rank, lora_alpha=scale, target_modules=matrices, fan_in_fan_out=transposed)
    torch.manual_seed(seed)
    found = LoraModel(model, asked, "default")
    if trains_head and model.base_model is not model:
        base = {id(parameter) for parameter in model.base_model.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(parameter.requires_grad or id(parameter) not in base)
    return found


def merged(given: LoraModel, weights: dict[str, Tensor]) -> PreTrainedModel:
    """Return the model with LoRA's products added to its matrices, and nothing else left of them.

    Args:
        given: a model with LoRA, not sharded.
        weights: whole ones by name, trained in another like it.
    """
    given.model.load_state_dict(weights)
    whole: Any = given.merge_and_unload()
    return whole
