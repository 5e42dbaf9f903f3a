"""The main memory of a training on a CPU: what a step has freed, the next one takes again."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As glibc's malloc.h has them."""

MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed; return whether it can be told to (glibc can).

    By default glibc takes large blocks from the system one by one and gives them back when they are
    freed, so that every step has its tensors' pages made and cleared anew. The peak stays what it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(kind, MOST) for kind in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
