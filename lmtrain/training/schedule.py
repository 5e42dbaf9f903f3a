"""How the learning rate rises and falls."""

import math

from lmtrain.training.config import TrainingConfig


def rate_share(step: int, steps: int, config: TrainingConfig) -> float:
    """Return the share of the peak rate at a step.

    Args:
        step: from 0.
        steps: of the whole training.
        config: warmup, form of the fall, and last share.
    """
    warmup = round(steps * config.warmup_ratio)
    if step < warmup:
        return (step + 1) / warmup
    if config.lr_scheduler_type == "constant":
        return 1.0
    done = (step - warmup) / max(1, steps - warmup)
    fall = 0.5 * (1 + math.cos(math.pi * done)) if config.lr_scheduler_type == "cosine" else 1 - done
    return config.min_lr_ratio + (1 - config.min_lr_ratio) * fall
