"""A head of our own listens to this machine only, and has a token that nobody else can read."""

import os
import socket
import stat

import pytest
from ray._private import ray_constants

from lmtrain.distributed.head import (
    answers,
    find_head,
    free_port,
    head_command,
    is_loopback,
    keep_to_loopback,
    token_environment,
)
from lmtrain.errors import ResourceError


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_head_is_bound_to_loopback():
    command = head_command(6379, 8265)
    assert "--node-ip-address=127.0.0.1" in command
    assert "--dashboard-host=127.0.0.1" in command


def test_a_token_is_made_once_and_is_its_owners_only(home):
    assert token_environment() == {"RAY_AUTH_MODE": "token"}
    token = home / ".ray" / "auth_token"
    made = token.read_text()
    assert len(made) == 64
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    token_environment()
    assert token.read_text() == made


def test_a_token_that_is_given_is_used(home, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    token_environment()
    assert not (home / ".ray").exists()


def test_a_port_that_is_taken_is_not_given(listening):
    assert free_port(listening) != listening


def test_what_listens_answers(listening):
    assert answers(f"127.0.0.1:{listening}")
    assert answers(f"ray://127.0.0.1:{listening}")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", ""])
def test_what_does_not_listen_does_not(address):
    assert not answers(address)


def test_a_named_cluster_that_does_not_answer_is_refused(home, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ResourceError, match=r"RAY_ADDRESS=127\.0\.0\.1:1"):
        find_head()


def test_a_named_cluster_that_answers_is_used(home, monkeypatch, listening):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{listening}")
    assert find_head() == f"127.0.0.1:{listening}"


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "ray://127.0.0.1:10001", "localhost:6379"])
def test_an_address_on_this_machine_is_known_as_one(address):
    assert is_loopback(address)
    assert not is_loopback(address.replace("127.0.0.1", "192.0.2.1").replace("localhost", "head"))


@pytest.mark.parametrize(
    ("address", "kept"), [("local", True), ("127.0.0.1:6379", True), ("192.0.2.1:6379", False)]
)
def test_ray_keeps_to_loopback_unless_a_cluster_is_elsewhere(home, monkeypatch, address, kept):
    switch = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    monkeypatch.setenv(switch, "1")
    monkeypatch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", True)
    monkeypatch.setenv("RAY_ADDRESS", address)
    keep_to_loopback()
    assert (os.environ[switch] == "0") is kept
    assert ray_constants.ENABLE_RAY_CLUSTER is not kept
