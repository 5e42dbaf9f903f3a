"""Models from a shape and a seed, or from a folder. Safe loading only: safetensors, no code from outside."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.isolation import fitting_kernel
from lmtrain.registry import ARCHITECTURES

HEADS = {
    "classification": AutoModelForSequenceClassification,
    "summarization": AutoModelForCausalLM,
}
"""Which head a task's model has."""


def attention_kernel(device: torch.device, compiled: bool, row_tokens: int, *, packed: bool = True) -> str:
    """Return how attention is computed fastest.

    On a CPU, plain attention fused by the compiler beats PyTorch's own kernel
    where rows are short (by about 1.3 at 256 tokens); its scores stand whole in
    memory, so long rows go through the kernel. On a GPU flex attention skips the
    blocks in which all tokens are of different documents, which a dense mask can't;
    it is good only when compiled.

    Args:
        device: where the model lies.
        compiled: whether its layers are compiled.
        row_tokens: tokens in a row.
        packed: whether rows hold several documents; if not there is nothing to mask.
    """
    if device.type == "cuda":
        return "flex_attention" if compiled and packed else "sdpa"
    return "eager" if device.type == "cpu" and compiled and row_tokens <= 512 else "sdpa"


def new_causal_lm(
    config: ModelConfig,
    vocabulary: int,
    positions: int,
    end: int,
    pad: int,
    seed: int,
    device: torch.device,
    attention: str = "sdpa",
) -> PreTrainedModel:
    """Return a causal language model with random weights that follow from the seed."""
    shape = ARCHITECTURES.get(config.architecture)(config, vocabulary, positions, end, pad)
    torch.manual_seed(seed)
    kernel = fitting_kernel(shape, attention)
    return _on(
        device, AutoModelForCausalLM.from_config(shape, attn_implementation=kernel, dtype=torch.float32)
    )


def task_model(
    folder: Path, task: str, initial: str, seed: int, device: torch.device, **settings: Any
) -> PreTrainedModel:
    """Return a model with a task's head.

    Args:
        folder: Hugging Face folder of a pretrained model.
        task: decides the head, which is new and follows from the seed.
        initial: `pretrained` keeps the folder's weights, `random` its shape only.
        seed: of all random weights.
        device: where the model goes.
        **settings: fields of the model's config that the task sets, such as the labels.
    """
    torch.manual_seed(seed)
    kinds = {"attn_implementation": "sdpa", "dtype": torch.float32}
    config = AutoConfig.from_pretrained(folder)
    for name, value in settings.items():
        setattr(config, name, value)
    if initial == "pretrained":
        model = HEADS[task].from_pretrained(folder, config=config, use_safetensors=True, **kinds)
        return _on(device, model)
    return _on(device, HEADS[task].from_config(config, **kinds))


def _on(device: torch.device, model: PreTrainedModel) -> PreTrainedModel:
    if model.device != device:  # tensors without content, by which memory is estimated, can't be moved
        torch.nn.Module.to(model, device)
    return model


def parameter_count(model: torch.nn.Module) -> int:
    """Return the number of weights, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def repeated_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return a model's repeated blocks: the members of its longest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return list(max(lists, key=len)) if lists else []
