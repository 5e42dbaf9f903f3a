"""Numbers in eight bits, block by block (Dettmers et al. 2022, "8-bit Optimizers").

In: a worker's rows of a matrix. Out: codes of its shape and a scale for each block.
A block lies within a row, so that codes don't depend on how rows are dealt to workers.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 256
"""Values that share a scale (section 2.1 of the paper has 2,048; torchao 0.18 and bitsandbytes take 256)."""

DECADES = 7
"""Powers of ten that a code book spans."""


@cache
def code_book(signed: bool, device: torch.device) -> Tensor:
    """Return the 256 values of dynamic tree quantization, ascending, float32.

    Each decade below 1 has twice as many values as the one below it: relative
    steps are small near the largest value of a block, and seven decades are held.

    Args:
        signed: half of the values for each sign; else all of them from 0 up.
        device: where it is used.
    """
    found = [0.0, 1.0]
    for decade in range(DECADES):
        parts = 1 << (decade if signed else decade + 1)
        width = 0.9 / parts
        middles = [10.0 ** (decade - DECADES + 1) * (0.1 + width * (part + 0.5)) for part in range(parts)]
        found += middles + ([-middle for middle in middles] if signed else [])
    return torch.tensor(sorted(found), dtype=torch.float32, device=device)


@cache
def _borders(signed: bool, device: torch.device) -> Tensor:
    """Return the 255 values halfway between neighbors of the code book."""
    book = code_book(signed, device)
    return (book[1:] + book[:-1]) / 2


@dataclass(eq=False)
class Quantized:
    """A matrix in eight bits.

    Attributes:
        codes: uint8, shape (rows, columns).
        scales: largest magnitude of each block, float32, shape (rows, blocks).
        signed: whether there are values below 0.
    """

    codes: Tensor
    scales: Tensor
    signed: bool

    @classmethod
    def zeros(cls, rows: int, columns: int, signed: bool, device: torch.device) -> "Quantized":
        """Return a matrix of zeros."""
        zero = int(torch.searchsorted(code_book(signed, torch.device("cpu")), 0.0))
        codes = torch.full((rows, columns), zero, dtype=torch.uint8, device=device)
        return cls(codes, torch.zeros(rows, -(-columns // BLOCK), device=device), signed)

    def values(self, dtype: torch.dtype) -> Tensor:
        """Return the numbers, shape (rows, columns)."""
        found = code_book(self.signed, self.codes.device)[self.codes.int()]
        return found.mul_(_spread(self.scales, self.codes.shape[1])).to(dtype)

    def store(self, values: Tensor) -> None:
        """Take in new numbers of shape (rows, columns), each as the nearest code of its block."""
        columns = values.shape[1]
        values = values.float()
        blocks = functional.pad(values.abs(), (0, -columns % BLOCK)).unflatten(1, (-1, BLOCK))
        self.scales.copy_(blocks.amax(dim=2))
        shares = values / _spread(self.scales, columns).clamp(min=torch.finfo(torch.float32).tiny)
        self.codes.copy_(torch.bucketize(shares, _borders(self.signed, values.device), out_int32=True))


def _spread(scales: Tensor, columns: int) -> Tensor:
    return scales.repeat_interleave(BLOCK, dim=1)[:, :columns]
