"""Models from a shape and a seed, or from a folder. Safe loading only: safetensors, no code from outside."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from lmtrain.modeling import own
from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.fitting import TASKS, Head
from lmtrain.modeling.isolation import fitting_kernel
from lmtrain.modeling.replacing import GeneratorAndDiscriminator
from lmtrain.modeling.sizes import ENCODER_DECODERS
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.registry import ARCHITECTURES

PRETRAINING_HEADS = {
    "causal": AutoModelForCausalLM,
    "masked": AutoModelForMaskedLM,
    "pairs": AutoModelForPreTraining,
    "seq2seq": AutoModelForSeq2SeqLM,
    "bare": AutoModel,
    "both_directions": AutoModelForPreTraining,
}
"""Which head a model has for an objective; `replaced` is two models."""

TASK_HEADS = {
    "sequence_classification": AutoModelForSequenceClassification,
    "token_classification": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
    "bare": AutoModel,
}
"""Which head a task's model has; `text` is that of its kind of language model."""


WIDTH_MULTIPLE = 64
"""Rows of different widths are padded to a multiple of this: a compiled model meets few shapes."""


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


def new_model(
    config: ModelConfig,
    head: Head,
    vocabulary: int,
    row_tokens: int,
    ids: SpecialIds,
    seed: int,
    device: torch.device,
    attention: str = "sdpa",
    generator_share: float = 0.25,
) -> Any:
    """Return a model with random weights that follow from the seed.

    Args:
        config: family and shape.
        head: what the objective asks for.
        vocabulary: entries of the tokenizer.
        row_tokens: the most tokens that it reads at once.
        ids: of the special tokens.
        seed: of the weights.
        device: where the model goes.
        attention: the kernel that is wanted; the next one where the family lacks it.
        generator_share: of the width, for the generator of `replaced`.
    """
    positions = -(-row_tokens // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
    shape = ARCHITECTURES.get(config.architecture)(config, vocabulary, positions, ids)
    torch.manual_seed(seed)
    kinds = {"attn_implementation": fitting_kernel(shape, attention), "dtype": torch.float32}
    if head == "replaced":
        return _on(device, GeneratorAndDiscriminator(shape, generator_share, **kinds))
    return _on(device, PRETRAINING_HEADS[head].from_config(shape, **kinds))


def continued_model(folder: Path, head: Head, device: torch.device, attention: str, seed: int) -> Any:
    """Return a model from a folder, to be pretrained further.

    Args:
        folder: Hugging Face folder.
        head: what the objective asks for; one that the folder lacks is new, and follows from the seed.
        device: where the model goes.
        attention: the kernel that is wanted.
        seed: of what is new.
    """
    torch.manual_seed(seed)
    shape = AutoConfig.from_pretrained(folder)
    kinds = {"attn_implementation": fitting_kernel(shape, attention), "dtype": torch.float32}
    if head == "replaced":
        return _on(device, GeneratorAndDiscriminator.from_folder(folder, **kinds))
    model = PRETRAINING_HEADS[head].from_pretrained(folder, config=shape, use_safetensors=True, **kinds)
    return _on(device, model)


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
    config = AutoConfig.from_pretrained(folder)
    head = TASKS[task].head
    if head == "text":
        head = "seq2seq" if family_of(config) in ENCODER_DECODERS else "causal"
    for name, value in settings.items():
        setattr(config, name, value)
    kinds = {"attn_implementation": fitting_kernel(config, "sdpa"), "dtype": torch.float32}
    if initial == "pretrained":
        model = TASK_HEADS[head].from_pretrained(folder, config=config, use_safetensors=True, **kinds)
        return _on(device, model)
    return _on(device, TASK_HEADS[head].from_config(config, **kinds))


def family_of(shape: PretrainedConfig) -> str:
    """Return what recipes call a model's family; its `model_type` where they don't know it."""
    return {"m2m_100": "m2m100"}.get(shape.model_type, shape.model_type.removeprefix(own.PREFIX))


def _on(device: torch.device, model: Any) -> Any:
    if next(model.parameters()).device != device:  # those without content, for estimates, can't be moved
        torch.nn.Module.to(model, device)
    return model


def parameter_count(model: torch.nn.Module, *, only_trained: bool = False) -> int:
    """Return the number of weights, or of those that are trained; shared ones once."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad or not only_trained)
