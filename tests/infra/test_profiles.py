"""Profiles and cluster files say what the code understands, and keep what listens to itself."""

from pathlib import Path

import pytest
import yaml

from lmtrain.config import Resources

INFRA = Path(__file__).parents[2] / "infra"
PROFILES = sorted((INFRA / "profiles").glob("*.yaml"))


def test_there_is_a_profile_for_each_place():
    assert [path.stem for path in PROFILES] == ["cluster", "gpu-box", "laptop"]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_is_the_resources_of_a_recipe_and_nothing_else(path):
    profile = yaml.safe_load(path.read_text())
    assert profile.keys() == {"resources"}
    resources = Resources.model_validate(profile["resources"])
    assert resources.model_dump().keys() >= profile["resources"].keys()


@pytest.fixture(scope="module")
def cluster() -> dict:
    return yaml.safe_load((INFRA / "ray" / "on-premise.yaml").read_text())


def test_the_cluster_file_is_what_ray_up_accepts(cluster):
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_asks_for_the_token_and_reports_no_usage(cluster, commands):
    start = cluster[commands][-1]
    assert "RAY_AUTH_MODE=token" in start
    assert "RAY_USAGE_STATS_ENABLED=0" in start


def test_the_dashboard_stays_on_loopback(cluster):
    assert "--dashboard-host=127.0.0.1" in cluster["head_start_ray_commands"][-1]
