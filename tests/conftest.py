"""What tests share: one Ray cluster and one S3 server for the whole session, and a root for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from s3_server import free_port, make_bucket, s3_server_command, started_weed

from lmtrain.config import Resources


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


@pytest.fixture
def s3_root(s3_bucket: str) -> str:
    """A root of one test's own on the S3 server."""
    return f"{s3_bucket}/{uuid.uuid4().hex[:8]}"
