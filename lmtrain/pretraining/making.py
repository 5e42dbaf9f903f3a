"""The model and the objective that a pretraining's config asks for."""

from pathlib import Path
from typing import Any

import torch

from lmtrain.config import Resources
from lmtrain.errors import ResourceError
from lmtrain.modeling.build import attention_kernel, continued_model, new_model
from lmtrain.modeling.fitting import OBJECTIVES as FITS
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Pretraining, Setting
from lmtrain.objectives.distillation import Distillation
from lmtrain.pretraining.config import PretrainConfig, language_modeling_task
from lmtrain.registry import OBJECTIVES
from lmtrain.training.flops import flops_per_token

CPU = torch.device("cpu")


def objective_of(
    config: PretrainConfig,
    ids: SpecialIds,
    vocabulary: int,
    resources: Resources,
    teacher: Path | None = None,
    device: torch.device = CPU,
) -> Pretraining:
    """Return the objective of a config.

    Args:
        config: names it, and has its settings.
        ids: of the special tokens.
        vocabulary: entries of the tokenizer.
        resources: whether it is compiled, and how many rows are seen at once.
        teacher: folder of the model that a student learns from; without one it learns from the text alone.
        device: where the teacher goes.

    Raises:
        RecipeError: the tokenizer lacks a token that it needs.
        ResourceError: it needs the whole batch at once, and the workers take less.
    """
    packed = config.packing != "none"
    setting = Setting(
        config,
        ids,
        vocabulary,
        config.row_tokens,
        packed,
        resources.compile,
        config.shape.num_local_experts > 0,
    )
    name = config.objective
    if name == "distillation":
        name = "clm" if language_modeling_task(config) == "language_modeling" else "mlm"
    objective: Any = OBJECTIVES.get(name).of(setting)
    if teacher is not None:
        head = FITS[config.objective].head_of(config.architecture)
        taught = continued_model(teacher, head, device, "sdpa", config.seed)
        objective = Distillation(
            objective,
            taught,
            temperature=config.distillation_temperature,
            weight=config.distillation_weight,
            cosine=config.cosine_weight,
        )
    rows = -(-config.train_batch_size // resources.workers)
    if getattr(objective, "whole_batch", False) and resources.micro_batch_size < rows:
        raise ResourceError(
            f"{config.objective} compares all rows of a batch with each other: set "
            f"resources.micro_batch_size to {rows} at least (train_batch_size over the workers), not "
            f"{resources.micro_batch_size}"
        )
    return objective


def model_of(
    config: PretrainConfig,
    ids: SpecialIds,
    vocabulary: int,
    device: torch.device,
    *,
    compiled: bool,
    start: Path | None = None,
) -> Any:
    """Return the model of a config, its random weights following from the seed, or those of another.

    Args:
        config: family, shape, and the objective, which decides the head.
        ids: of the special tokens.
        vocabulary: entries of the tokenizer.
        device: where it goes.
        compiled: whether its layers will be.
        start: folder of a model to go on from: then its shape counts.
    """
    kernel = attention_kernel(device, compiled, config.row_tokens, packed=config.packing != "none")
    head = FITS[config.objective].head_of(config.architecture)
    if start is not None:
        return continued_model(start, head, device, kernel, config.seed)
    return new_model(
        config,
        head,
        vocabulary,
        config.row_tokens,
        ids,
        config.seed,
        device,
        kernel,
        config.generator_share,
    )


def flops_of(config: PretrainConfig, model: Any) -> float | None:
    """Return the operations of one token's forward and backward pass.

    None where tokens cost different things: those that an encoder reads and a decoder writes, and views of
    the same text.

    Args:
        config: of the pretraining.
        model: as `model_of` made it.
    """
    head = FITS[config.objective].head_of(config.architecture)
    if head in ("seq2seq", "bare"):
        return None
    causal = head == "causal"
    share = 1.0 if causal else config.mlm_probability
    if head == "both_directions":
        share = 2.0
    if head == "replaced":
        return sum(
            flops_per_token(one, config.row_tokens, causal=False, head_share=share)
            for one in (model.generator, model.discriminator)
        )
    return flops_per_token(model, config.row_tokens, causal=causal, head_share=share)
