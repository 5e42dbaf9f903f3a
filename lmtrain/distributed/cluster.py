"""Which Ray cluster the work runs on, and how long it stays.

The cluster that RAY_ADDRESS names; else a head that answers on this machine
(one begun by `ray start`); else one of our own, started when the first piece
of work needs it and stopped at the end of the session.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from lmtrain.config import Resources
from lmtrain.errors import ResourceError

logger = logging.getLogger(__name__)


@contextmanager
def session() -> Iterator[None]:
    """Stop on leaving what `connect` started in between; a cluster of somebody else's is only left."""
    already = ray.is_initialized()
    try:
        yield
    finally:
        if not already and ray.is_initialized():
            ray.shutdown()


def connect(resources: Resources) -> None:
    """Connect to the cluster if this process isn't connected yet.

    Raises:
        ResourceError: RAY_ADDRESS names a cluster that doesn't answer, or the
            cluster has fewer CPUs than the training workers need.
    """
    if not ray.is_initialized():
        _start_or_join()
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if resources.workers > cpus:
        raise ResourceError(
            f"resources.workers is {resources.workers}, but the Ray cluster has {cpus} CPUs: "
            f"set it to at most {cpus}"
        )


def _start_or_join() -> None:
    quiet = {"include_dashboard": False, "logging_level": logging.WARNING, "log_to_driver": True}
    try:
        ray.init(**quiet)
    except ConnectionError as error:
        named = os.environ.get("RAY_ADDRESS")
        if named:
            raise ResourceError(f"no Ray cluster answers at RAY_ADDRESS={named}: {error}") from error
        logger.warning("a Ray head was recorded on this machine but doesn't answer; starting another")
        ray.init(address="local", **quiet)
