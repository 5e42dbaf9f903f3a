"""Programs that flows need beside them: a Prefect server and a Ray head, each ended with us.

What answers already is used and left alone. What is started here runs in a
session of its own, so that Ctrl-C reaches it only after we are done with it,
and is told by the kernel to end when we are killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from lmtrain.distributed.head import (
    DASHBOARD_PORT,
    DEFAULT_PORT,
    LOOPBACK,
    LOOPBACK_ONLY,
    answers,
    find_head,
    free_port,
    head_command,
    is_loopback,
    token_environment,
)
from lmtrain.errors import ResourceError
from lmtrain.storage import cache_folder

PREFECT_PORT = 4200
START_SECONDS = 120.0
"""A cold start takes about 11 s; a busy machine needs more."""

STOP_SECONDS = 15.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Page:
    """A Prefect server: its address, and whether it was started here."""

    api: str
    ours: bool

    @property
    def address(self) -> str:
        """Where a person opens it."""
        return self.api.removesuffix("/api")


@contextmanager
def prefect_server(port: int | None = None) -> Iterator[Page]:
    """Use the Prefect server of the environment or profile, or on this machine; else one of our own.

    Args:
        port: where ours listens; by default a free port, so that nobody else
            comes to depend on a server that ends with us.

    Raises:
        ResourceError: the server that is named doesn't answer, or ours doesn't start.
    """
    api = answering_api(port or PREFECT_PORT)
    if api is not None:
        with _talking_to(api):
            yield Page(api, ours=False)
        return
    port = port or free_port(0)
    api = f"http://{LOOPBACK}:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
    # without the second setting the page asks port 4200, wherever it came from
    environment = {"PREFECT_API_URL": api, "PREFECT_UI_API_URL": api}
    with child("prefect-server", command, environment, lambda: is_healthy(api)), _talking_to(api):
        try:
            yield Page(api, ours=True)
        finally:
            APILogHandler().flush()  # the last lines of a run are sent in the background


def answering_api(port: int) -> str | None:
    """Return the API address of the server to use, or None where none answers.

    Raises:
        ResourceError: PREFECT_API_URL or the profile names a server that doesn't answer.
    """
    named = get_current_settings().api.url
    if named:
        if not is_healthy(named):
            raise ResourceError(f"no Prefect server answers at {named}: start it, or unset PREFECT_API_URL")
        return named
    here = f"http://{LOOPBACK}:{port}/api"
    return here if is_healthy(here) else None


def is_healthy(api: str) -> bool:
    """Tell whether a Prefect server answers."""
    try:
        return httpx.get(f"{api}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _talking_to(api: str) -> Iterator[None]:
    """Make this process and its children talk to a server."""
    with temporary_settings(updates={PREFECT_API_URL: api}), _environment({"PREFECT_API_URL": api}):
        yield


@contextmanager
def ray_head() -> Iterator[str]:
    """Use the Ray cluster of RAY_ADDRESS or a head on this machine; else one of our own. Yield its address.

    Raises:
        ResourceError: the cluster that is named doesn't answer, or ours doesn't start.
    """
    token = token_environment()
    found = find_head()
    if found is not None:
        with _environment({**token, **(LOOPBACK_ONLY if is_loopback(found) else {}), "RAY_ADDRESS": found}):
            yield found
        return
    port, dashboard = free_port(DEFAULT_PORT), free_port(DASHBOARD_PORT)
    address = f"{LOOPBACK}:{port}"
    with (
        _environment({**token, **LOOPBACK_ONLY, "RAY_ADDRESS": address}),
        child("ray-head", head_command(port, dashboard), {"RAY_ADDRESS": ""}, lambda: answers(address)),
    ):
        yield address


@contextmanager
def child(
    name: str, command: list[str], environment: dict[str, str], ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as long as the block lasts, from when it is ready; its output goes to a log.

    Raises:
        ResourceError: it ended, or wasn't ready in time; the text names the log.
    """
    log = cache_folder() / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are this package's own
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    try:
        _wait_until_ready(process, name, ready, log)
        yield process
    finally:
        _end(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], name: str, ready: Callable[[], bool], log: Path
) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None:
            raise ResourceError(f"{name} ended with exit code {process.returncode}: see {log}")
        if time.monotonic() > end:
            raise ResourceError(f"{name} wasn't ready after {START_SECONDS:.0f} s: see {log}")
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, then make it and what it started."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)  # whoever is left of its session
    except ProcessLookupError:
        return


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies, where the kernel can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
