"""Kernels work where nothing can be cached, and where numba isn't installed."""

import numba
import numpy as np

from lmtrain.text import kernels
from lmtrain.text.kernels import kernel


def test_a_kernel_is_compiled_where_no_cache_folder_can_be_written(monkeypatch):
    compiled = numba.njit

    def without_locator(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compiled(*args, **options)

    monkeypatch.setattr(numba, "njit", without_locator)

    @kernel
    def double(value):
        return value + value

    assert double(21) == 42


def test_without_numba_integers_wrap_around_as_with_it(monkeypatch):
    def scramble(value):
        return value * np.uint64(0xBF58476D1CE4E5B9)

    with_it = kernel(scramble)
    monkeypatch.setattr(kernels, "numba", None)
    without = kernel(scramble)
    assert int(with_it(np.uint64(2**63 + 5))) == int(without(np.uint64(2**63 + 5)))
