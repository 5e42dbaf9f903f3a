"""How numba kernels are declared.

Kernels that call each other stand in one file: numba's cache doesn't see edits
in another module, and would go on using the old code.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np

try:
    import numba
except ModuleNotFoundError:  # a machine that only trains: Python runs the definitions, the same and slower
    numba = None

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function when it is first called; the result is kept on disk for later processes.

    Where no cache folder can be written, numba raises while the module is
    imported: then every process compiles for itself. Without numba the function
    stays as it is, and its integers wrap around in silence as compiled ones do.
    """
    if numba is None:
        return cast(Function, np.errstate(over="ignore")(function))
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True)(function)
    return cast(Function, compiled)
