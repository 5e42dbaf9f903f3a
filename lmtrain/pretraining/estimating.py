"""What a pretraining will take: memory, speed and hours for each way to shard and to recompute.

In: a pretraining's config, the size of its vocabulary, and a device. Out: a choice for each
way, the cheapest that fits among them. Nothing is trained and no artifact is needed.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, get_args
from unittest import mock

import numpy as np
import torch
from torch import nn

from lmtrain.config import Resources
from lmtrain.modeling.build import new_causal_lm, parameter_count, repeated_layers
from lmtrain.objectives import cross_entropy
from lmtrain.objectives.base import Batch, Objective
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.registry import OBJECTIVES
from lmtrain.training.devices import Device
from lmtrain.training.flops import flops_per_token, recomputed_flops_per_token
from lmtrain.training.memory import StepMemory, pretended_workers, step_memory
from lmtrain.training.packing import PackedRow
from lmtrain.training.precision import Precision
from lmtrain.training.recomputing import Recompute
from lmtrain.training.schedule import batch_size
from lmtrain.training.sharding import Sharding

RESERVE = 0.1
"""Share of a device's memory that is left to its driver, to buffers of collectives and to gaps."""

TRACED_LAYERS = (4, 8)
"""A model of more layers than the second is traced with each of these, and the rest follows in a line."""

END, PAD = 0, 1
"""Ids of tokens: memory doesn't depend on them."""


@dataclass(frozen=True)
class Choice:
    """One way to train, and what it takes.

    Attributes:
        sharding: as `Resources.sharding`; `none` with one worker.
        recompute: as `Resources.recompute`.
        offload: as `Resources.offload`.
        memory: of one worker.
        device_bytes: what stands on the device at most.
        host_bytes: what waits in main memory, for each worker.
        tokens_per_second: of all workers.
        hours: of the whole training.
        fits: whether the device holds it with some reserve.
    """

    sharding: str
    recompute: str
    offload: bool
    memory: StepMemory
    device_bytes: int
    host_bytes: int
    tokens_per_second: float
    hours: float
    fits: bool


@dataclass(frozen=True)
class Estimate:
    """A training's size, and its choices, the cheapest first."""

    parameters: int
    tokens: int
    flops_per_token: float
    choices: list[Choice]

    @property
    def best(self) -> Choice | None:
        """The first that fits."""
        return next((choice for choice in self.choices if choice.fits), None)


def estimate(
    config: PretrainConfig,
    vocabulary: int,
    resources: Resources,
    device: Device,
    mfu: float,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Estimate:
    """Estimate each way to shard and to recompute.

    Args:
        config: of the pretraining.
        vocabulary: entries of the tokenizer.
        resources: workers, and rows in a micro-batch.
        device: of each worker.
        mfu: share of the device's operations that the training uses.
        tell: called with how many choices are traced, of how many.
    """
    model = _new_model(config.model_copy(update={"num_hidden_layers": 1}), vocabulary)[0]
    whole = _without_content(config, vocabulary)
    tokens = config.row_tokens * sum(
        batch_size(step, config.max_steps, config) for step in range(config.max_steps)
    )
    flops = flops_per_token(whole, config.row_tokens)
    again = recomputed_flops_per_token(whole, config.row_tokens)
    del model
    rate = device.flops * mfu * resources.workers
    choices = []
    with pretended_workers(resources.workers) if resources.workers > 1 else nullcontext():
        ways = _ways(resources.workers)
        for index, (recompute, sharding) in enumerate(ways):
            how = resources.model_copy(update={"sharding": sharding, "recompute": recompute})
            memory = _memory(config, vocabulary, how, _is_gpu(device))
            speed = rate / (flops + again * (recompute == "full"))
            name = sharding if resources.workers > 1 else "none"
            for offload in (False, True) if resources.workers > 1 and _is_gpu(device) else (False,):
                host = memory.state if offload else 0
                on_device = memory.peak - host
                choices.append(
                    Choice(
                        sharding=name,
                        recompute=recompute,
                        offload=offload,
                        memory=memory,
                        device_bytes=on_device,
                        host_bytes=host,
                        tokens_per_second=speed,
                        hours=tokens / speed / 3600,
                        fits=on_device <= device.memory * (1 - RESERVE),
                    )
                )
            tell(index + 1, len(ways))
    choices.sort(key=lambda choice: choice.offload)
    return Estimate(parameter_count(whole), tokens, flops, choices)
