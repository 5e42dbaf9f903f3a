"""What a training remembers of itself: until it next tells, and over its whole life."""

import math
import time
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Window:
    """What is added up on this worker since it was last told."""

    losses: np.ndarray = field(default_factory=lambda: np.zeros(1))
    """Summed, and the targets of each, shape (losses,)."""
    targets: np.ndarray = field(default_factory=lambda: np.zeros(1))
    tokens: float = 0.0
    waited: float = 0.0
    """Seconds in which the training waited for rows."""
    began: float = field(default_factory=time.monotonic)


@dataclass
class State:
    """What a checkpoint remembers beside tensors: the same on all workers."""

    step: int = 0
    row: int = 0
    """Global index of the next row."""
    last_loss: float = math.inf
    best_loss: float = math.inf
    best_step: int = 0
    last_bits: float = math.inf
    best_bits: float = math.inf
    """Bits per byte of the last look and of the best one."""
    stale_looks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: int = 0
    recent: list[float] = field(default_factory=list)
    """The last losses, by which a spike is known."""
    ended: bool = False
