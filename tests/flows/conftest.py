"""One Prefect server for the tests of the flows, with a database of its own, on a free port."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Prefect reads where it is at home when it is first imported.
HOME = tempfile.TemporaryDirectory(prefix="lmtrain-prefect-")
os.environ["PREFECT_HOME"] = HOME.name
os.environ.pop("PREFECT_API_URL", None)

from flows.servers import prefect_server  # noqa: E402
from lmtrain.distributed.head import free_port  # noqa: E402

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture(scope="session")
def prefect_api(own_cache: None) -> Iterator[str]:
    """The API address of the session's Prefect server; flows called in this process talk to it."""
    with prefect_server(free_port(0)) as page:
        assert page.ours
        yield page.api
    HOME.cleanup()


@pytest.fixture
def tiny() -> Path:
    """The whole line at its smallest."""
    return RECIPES / "tiny.yaml"


@pytest.fixture
def artifacts_of(prefect_api: str) -> Callable[[str], dict[str, dict]]:
    """Returns the artifacts of a flow run by key, tables parsed."""
    return read_artifacts


def read_artifacts(run_id: str) -> dict[str, dict]:
    from prefect import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    return {
        str(artifact.key): {
            "type": artifact.type,
            "data": json.loads(str(artifact.data)) if artifact.type == "table" else artifact.data,
            "description": artifact.description,
        }
        for artifact in found
    }
