"""The image and the compose file, as far as they can be tested where no container engine runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[2]
DOCKERFILE = TOP / "docker" / "Dockerfile"
COMPOSE = TOP / "docker" / "compose.yaml"


def tool(name: str) -> str:
    """Return a program that a development dependency installs beside Python."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is not installed: make .venv/.installed"
    return found


def test_hadolint_has_nothing_to_say_about_the_image():
    found = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


def instructions() -> list[list[str]]:
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_does_not_run_as_root():
    (user,) = [words[1] for words in instructions() if words[0] == "USER"]
    assert int(user.split(":")[0]) > 0


def test_the_lock_is_installed_before_the_code_is_copied():
    copied = [words[1] for words in instructions() if words[0] == "COPY"]
    assert copied.index("requirements.lock") < copied.index("lmtrain")


def test_whatever_the_image_copies_exists_and_is_not_ignored():
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    for words in instructions():
        if words[0] == "COPY" and not words[1].startswith("--from"):
            for name in words[1:-1]:
                assert (TOP / name).exists(), name
                assert f"!{name}" in ignored, name


def test_the_image_reports_no_usage():
    text = DOCKERFILE.read_text()
    for switch in (
        "DO_NOT_TRACK=1",
        "RAY_USAGE_STATS_ENABLED=0",
        "HF_HUB_DISABLE_TELEMETRY=1",
        "PREFECT_SERVER_ANALYTICS_ENABLED=false",
    ):
        assert switch in text


@pytest.fixture(scope="module")
def services() -> dict:
    """The services as `docker compose config` resolves them."""
    shown = subprocess.run(
        [tool("docker-compose"), "-f", str(COMPOSE), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RAY_AUTH_TOKEN": "a-token"},
    )
    assert shown.returncode == 0, shown.stderr
    return yaml.safe_load(shown.stdout)["services"]


def test_compose_refuses_to_start_without_a_token():
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    refused = subprocess.run(
        [tool("docker-compose"), "-f", str(COMPOSE), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert refused.returncode != 0
    assert "openssl rand" in refused.stderr


def test_there_are_a_prefect_server_a_ray_head_a_worker_and_the_flows(services):
    assert services.keys() == {"prefect", "ray-head", "ray-worker", "flows"}


def test_every_service_says_whether_it_is_well(services):
    for name, service in services.items():
        assert service["healthcheck"]["test"], name


def test_nothing_listens_beyond_this_machine(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port["host_ip"] == "127.0.0.1" for port in published)


def test_every_part_of_the_cluster_has_the_token(services):
    for name in ("ray-head", "ray-worker", "flows"):
        environment = services[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token", name
        assert environment["RAY_AUTH_TOKEN"] == "a-token", name


def test_no_service_may_gain_privileges(services):
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
