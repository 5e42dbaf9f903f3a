"""What scoring has at hand beside the data: the config, a device, and somebody who watches."""

from dataclasses import dataclass

import torch

from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.watch import Watch


@dataclass(frozen=True)
class Context:
    """With what a system is scored.

    Attributes:
        config: what is scored, and how.
        device: on which.
        watch: told the examples that are done.
        threads: batches that are worked on at once.
        removed: ids of documents and examples that are neither scored nor learned from.
    """

    config: EvaluateConfig
    device: torch.device
    watch: Watch
    threads: int = 1
    removed: frozenset[str] = frozenset()
