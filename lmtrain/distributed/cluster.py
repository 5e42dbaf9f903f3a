"""Which Ray cluster the work runs on, and how long it stays.

The cluster that RAY_ADDRESS names; else a head that answers on this machine
(one begun by `ray start`); else one of our own, started when the first piece
of work needs it and stopped at the end of the session.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import services
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.exceptions import RayError

from lmtrain.config import Resources
from lmtrain.distributed.head import find_head, keep_to_loopback
from lmtrain.errors import ResourceError

AUTHENTICATION_LOGGER = maybe_enable_token_auth_if_token_available.__module__
"""Warns that a cluster asks for a token, which is as it should be."""


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
    cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
    resources.check(cpus, "the Ray cluster")
    if resources.device == "cuda" and resources.least_workers > gpus:
        raise ResourceError(
            f"resources.device is cuda for {resources.least_workers} workers, but the Ray cluster has "
            f"{gpus} GPUs: set device to auto or cpu, or workers to at most that"
        )


def _start_or_join() -> None:
    """Start a cluster or join the one that there is; `find_head` refuses a dead address within seconds.

    What workers print stays in Ray's session logs: what there is to know reaches
    the watch, with rank and host.
    """
    keep_to_loopback()
    quiet = {"logging_level": logging.WARNING, "log_to_driver": False}
    address = find_head()
    logging.getLogger(AUTHENTICATION_LOGGER).setLevel(logging.ERROR)
    try:
        if address in (None, "local"):
            with _no_dashboard():
                ray.init(address="local", include_dashboard=False, **quiet)
        else:  # a client, unlike a head, doesn't take the token that there is by itself
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            ray.init(address=address, **quiet)
    except (ConnectionError, RayError) as error:
        told = " ".join(str(error).split())
        raise ResourceError(f"can't use the Ray cluster at {address or 'this machine'}: {told}") from error


@contextmanager
def _no_dashboard() -> Iterator[None]:
    """Start no dashboard process at all with a cluster that is started in this block.

    Told to go without, Ray still starts one for its usage reports, and even with
    these off it asks the metadata services of three clouds whether it runs there.
    """

    def start_nothing(*arguments: Any, **options: Any) -> tuple[None, None]:
        return None, None

    kept, services.start_api_server = services.start_api_server, start_nothing
    try:
        yield
    finally:
        services.start_api_server = kept
