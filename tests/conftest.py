"""One Ray cluster for the whole session, and a root for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from lmtrain.config import Resources


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray cluster of two CPUs that all tests of the session share."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Where the artifacts of one test go."""
    return str(tmp_path / "runs")


@pytest.fixture
def resources() -> Resources:
    """What tests run with."""
    return Resources(workers=2, compile=False)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of this session's own, so that nothing remembered elsewhere is relied on."""
    os.environ["LMTRAIN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
