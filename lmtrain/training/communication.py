"""How long a worker waits in collectives.

Gloo's collectives run in threads of their own, and those of sharding, too, are at last
waited for: the time in `Work.wait` is what communication costs a worker on CPUs, the
wait for others that are late included. On GPUs a wait only orders streams and returns
at once; `lmtrain profile` tells the time of collectives there.
"""

import threading
import time
from typing import Any
from unittest import mock

import torch.distributed as dist


class CollectiveWaits:
    """Adds up how long the thread that enters it waits in collectives.

    Attributes:
        seconds: waited so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._patch: Any = None

    def __enter__(self) -> "CollectiveWaits":
        wait, thread = dist.Work.wait, threading.get_ident()

        def timed(work: dist.Work, *arguments: Any) -> bool:
            if threading.get_ident() != thread:
                return wait(work, *arguments)
            begun = time.monotonic()
            try:
                return wait(work, *arguments)
            finally:
                self.seconds += time.monotonic() - begun

        self._patch = mock.patch.object(dist.Work, "wait", timed)
        self._patch.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._patch.stop()
