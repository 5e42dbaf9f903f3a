"""Numbers in eight bits, block by block (Dettmers et al. 2022, "8-bit Optimizers").

In: a worker's rows of a matrix. Out: codes of its shape and a scale for each block.
A block lies within a row, so that codes don't depend on how rows are dealt to workers.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 256
"""Values that share a scale (section 2.1 of the paper has 2,048; torchao 0.18 and bitsandbytes take 256)."""

DECADES = 7
"""Powers of ten that a code book spans."""


@cache
def code_book(signed: bool) -> tuple[float, ...]:
    """Return the 256 values of dynamic tree quantization, ascending.

    Each decade below 1 has twice as many values as the one below it: relative
    steps are small near the largest value of a block, and seven decades are held.

    Args:
        signed: half of the values for each sign; else all of them from 0 up.
    """
    found = [0.0, 1.0]
    for decade in range(DECADES):
        parts = 1 << (decade if signed else decade + 1)
        width = 0.9 / parts
        middles = [10.0 ** (decade - DECADES + 1) * (0.1 + width * (part + 0.5)) for part in range(parts)]
        found += middles + ([-middle for middle in middles] if signed else [])
    return tuple(sorted(found))


class Quantized:
    """A matrix in eight bits.

    Attributes:
        codes: uint8, shape (rows, columns).
        scales: largest magnitude of each block, float32, shape (rows, blocks).
    """

    def __init__(self, rows: int, columns: int, *, signed: bool, device: torch.device) -> None:
        """Begin with zeros; `signed` says whether there may be values below 0."""
        book = code_book(signed)
        self.codes = torch.full((rows, columns), book.index(0.0), dtype=torch.uint8, device=device)
        self.scales = torch.zeros(rows, -(-columns // BLOCK), device=device)
        self._book = torch.tensor(book, device=device)
        self._borders = (self._book[1:] + self._book[:-1]) / 2  # between two neighbors

    def values(self, dtype: torch.dtype) -> Tensor:
        """Return the numbers, shape (rows, columns)."""
        found = self._book[self.codes.int()]
        return found.mul_(self._spread()).to(dtype)

    def store(self, values: Tensor) -> None:
        """Take in new numbers of shape (rows, columns), each as the nearest code of its block."""
        values = values.float()
        blocks = functional.pad(values.abs(), (0, -values.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))
        self.scales.copy_(blocks.amax(dim=2))
        shares = values / self._spread().clamp(min=torch.finfo(torch.float32).tiny)
        self.codes.copy_(torch.bucketize(shares, self._borders, out_int32=True))

    def _spread(self) -> Tensor:
        """Return the scale of each number."""
        return self.scales.repeat_interleave(BLOCK, dim=1)[:, : self.codes.shape[1]]
