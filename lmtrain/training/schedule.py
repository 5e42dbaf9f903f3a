"""How the learning rate rises and falls, and how the batch grows."""

import math

from lmtrain.training.config import TrainingConfig


def rate_share(step: int, steps: int, config: TrainingConfig) -> float:
    """Return the share of the peak rate at a step.

    Args:
        step: from 0.
        steps: of the whole training.
        config: warmup, form of the fall, and last share. `warmup_stable_decay` (Hu et al. 2024) stays at
            the peak and falls in a line at the end.
    """
    warmup = round(steps * config.warmup_ratio)
    if step < warmup:
        return (step + 1) / warmup
    if config.lr_scheduler_type == "constant":
        return 1.0
    begin = warmup
    if config.lr_scheduler_type == "warmup_stable_decay":
        begin = max(warmup, steps - round(steps * config.decay_ratio))
        if step < begin:
            return 1.0
    done = (step - begin) / max(1, steps - begin)
    fall = 0.5 * (1 + math.cos(math.pi * done)) if config.lr_scheduler_type == "cosine" else 1 - done
    return config.min_lr_ratio + (1 - config.min_lr_ratio) * fall


def batch_size(step: int, steps: int, config: TrainingConfig) -> int:
    """Return the rows of a step's global batch: it grows in a line over the ramp.

    Args:
        step: from 0.
        steps: of the whole training.
        config: the ramp, and the full size.
    """
    ramp = round(steps * config.batch_ramp_ratio)
    if step >= ramp:
        return config.train_batch_size
    first = config.batch_ramp_start
    return first + (config.train_batch_size - first) * step // ramp


def rows_before(step: int, steps: int, config: TrainingConfig) -> int:
    """Return how many rows a training reads before a step: those of all batches so far.

    Args:
        step: from 0; `steps` for the rows of the whole training.
        steps: of the whole training.
        config: the ramp, and the full size.
    """
    ramp = min(step, round(steps * config.batch_ramp_ratio))
    return sum(batch_size(before, steps, config) for before in range(ramp)) + (
        (step - ramp) * config.train_batch_size
    )
