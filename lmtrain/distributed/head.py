"""A Ray head on this machine: is there one, and how is one started that only this machine reaches.

Every node is given the token explicitly: `ray.init` switches authentication on
by itself, but `ray start` leaves it off as long as no token exists. And every
node is told to keep to the loopback address: asked for 127.0.0.1 alone, Ray on
Linux takes the machine's own address instead and listens to everybody.
"""

import os
import secrets
import socket
import sys
from pathlib import Path

from ray._private import ray_constants
from ray._private.utils import read_ray_address

from lmtrain.errors import ResourceError

LOOPBACK = "127.0.0.1"
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for systems whose firewall asks about each open port; it works on Linux as well."""

DEFAULT_PORT = 6379
DASHBOARD_PORT = 8265


def find_head() -> str | None:
    """Return the address of the cluster that RAY_ADDRESS names or a head recorded here, if it answers.

    Raises:
        ResourceError: RAY_ADDRESS names a cluster that doesn't answer.
    """
    named = os.environ.get("RAY_ADDRESS")
    if named and named != "auto":
        if named != "local" and not answers(named):
            raise ResourceError(
                f"no Ray cluster answers at RAY_ADDRESS={named}: start it, or unset RAY_ADDRESS"
            )
        return named
    recorded = read_ray_address()
    return recorded if recorded and answers(recorded) else None


def answers(address: str) -> bool:
    """Tell whether something listens at `host:port`."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except (OSError, ValueError):
        return False


def keep_to_loopback() -> None:
    """Have Ray use the loopback address, unless a cluster beyond this machine is named or recorded here.

    Ray reads the switch when it is imported; what it read is set too.
    """
    address = os.environ.get("RAY_ADDRESS", "auto")
    if address == "auto":
        address = read_ray_address() or "local"
    if address == "local" or is_loopback(address):
        os.environ.update(LOOPBACK_ONLY)
        ray_constants.ENABLE_RAY_CLUSTER = False


def is_loopback(address: str) -> bool:
    """Tell whether `host:port` is on the loopback address."""
    return address.rpartition("//")[2].rpartition(":")[0] in (LOOPBACK, "localhost", "[::1]")


def head_command(port: int, dashboard_port: int) -> list[str]:
    """Return the command that runs a head in the foreground, bound to the loopback address."""
    start = [
        sys.executable,
        "-m",
        "lmtrain.distributed.quiet_head",
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
    ]
    here = [f"--node-ip-address={LOOPBACK}", f"--port={port}"]
    dashboard = [f"--dashboard-host={LOOPBACK}", f"--dashboard-port={dashboard_port}"]
    return [*start, *here, *dashboard]


def token_environment() -> dict[str, str]:
    """Return the environment in which every node and client takes part with this person's token.

    The token is the one that RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH gives, else
    that of ~/.ray/auth_token, which is written, for its owner only, where there is none.
    """
    environment = {"RAY_AUTH_MODE": "token"}
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return environment
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32))
    return environment


def free_port(preferred: int) -> int:
    """Return the preferred port of the loopback address if nothing listens there, else a free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise ResourceError("this machine has no free port")
