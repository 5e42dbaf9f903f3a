"""Kernels work where nothing can be cached."""

import numba

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
