"""What scoring has at hand beside the data: the config, a device, and somebody who watches."""

from dataclasses import dataclass

import torch

from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.watch import Watch


@dataclass(frozen=True)
class Context:
    """With what a system is scored; `threads` is how many batches are worked on at once."""

    config: EvaluateConfig
    device: torch.device
    watch: Watch
    threads: int = 1
