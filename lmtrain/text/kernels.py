"""How numba kernels are declared.

Kernels that call each other stand in one file: numba's cache doesn't see edits
in another module, and would go on using the old code.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

numba: Any
try:
    import numba
except ImportError:  # a machine that only trains does without
    numba = None

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function when it is first called; the result is kept on disk for later processes.

    Where no cache folder can be written, numba raises while the module is
    imported: then every process compiles for itself. Where numba isn't installed,
    Python runs the function: the same, and slow.
    """
    if numba is None:
        return cast(Function, _as_it_is(function))
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True)(function)
    return cast(Function, compiled)


def _as_it_is(function: Function) -> Callable[..., object]:
    """Return a function that Python runs; its integers wrap around as those of numba do, without a warning."""

    @wraps(function)
    def run(*given: object) -> object:
        with np.errstate(over="ignore"):
            return function(*given)

    return run
