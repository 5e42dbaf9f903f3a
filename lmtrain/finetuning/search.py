"""The settings that a search tries, and which of them is taken.

In: a fine-tuning's config with its ranges, later what each trial saw. Out: settings.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmtrain.finetuning.general_config import FinetuneConfig

DIGITS = 3
"""Significant digits of a learning rate: more change nothing that could be seen."""


def settings_of(config: FinetuneConfig) -> list[dict[str, Any]]:
    """Draw the settings of all trials: the same ones for the same config, on any machine.

    The range of rates is cut into as many parts as there are trials, evenly on a logarithmic scale, and
    each part gives one; batches are dealt evenly in the same way (Latin hypercube sampling, McKay,
    Beckman and Conover 1979). Looks come after as many examples whatever the batch, so that trials are
    compared after the same work.

    Returns:
        `learning_rate`, `train_batch_size` and `eval_steps` of each trial.
    """
    asked = config.search
    draw = np.random.default_rng(asked.seed)
    low, high = (math.log(rate) for rate in asked.learning_rate)
    batches = sorted(set(asked.train_batch_size)) or [config.train_batch_size]
    parts, turns = draw.permutation(asked.trials), draw.permutation(asked.trials)
    places = ((parts + draw.random(asked.trials)) / asked.trials).tolist()
    dealt = [batches[turn % len(batches)] for turn in turns.tolist()]
    return [
        {
            "learning_rate": float(f"{math.exp(low + place * (high - low)):.{DIGITS}g}"),
            "train_batch_size": batch,
            "eval_steps": max(1, round(config.eval_steps * config.train_batch_size / batch)),
        }
        for place, batch in zip(places, dealt, strict=True)
    ]


def best_of(losses: Sequence[float | None]) -> int | None:
    """Return the place of the least loss, the first of equals; None where every one is None."""
    found = [(loss, place) for place, loss in enumerate(losses) if loss is not None]
    return min(found)[1] if found else None
