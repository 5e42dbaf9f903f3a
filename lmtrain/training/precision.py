"""In which numbers matrices are multiplied, and how fast this device does that.

bf16 isn't faster on every CPU. The recipe's word is the least precision that is
good enough; within it the faster way is measured and taken.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from lmtrain.training.devices import known_device

SIZE = 512


@dataclass(frozen=True)
class Precision:
    """What was chosen: the type of matrix products, and the operations a second that it reaches."""

    products: str
    peak_flops: float

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Return the context in which the model is run."""
        if self.products == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """Return how to multiply: as the recipe says, or in fp32 where that is the faster one.

    Args:
        wanted: `fp32` or `bf16`.
        device: where the model lies.
    """
    if device.type == "cuda":
        known = known_device(torch.cuda.get_device_name(device))
        return Precision(wanted, known.flops if known else measure_flops(torch.bfloat16, device))
    full = measure_flops(torch.float32, device)
    if wanted == "fp32":
        return Precision("fp32", full)
    half = measure_flops(torch.bfloat16, device)
    return Precision("bf16", half) if half > full else Precision("fp32", full)


def measure_flops(dtype: torch.dtype, device: torch.device, seconds: float = 0.2) -> float:
    """Return the operations a second of a matrix product, the best of some tries."""
    left = torch.randn(SIZE, SIZE, device=device).to(dtype)
    best = float("inf")
    until = time.perf_counter() + seconds
    _ = left @ left
    while time.perf_counter() < until:
        started = time.perf_counter()
        _ = left @ left
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * SIZE**3 / best
