"""Nothing leaves this machine: in a stock environment, a whole run talks to itself alone.

Prefect, Ray and the Hugging Face libraries report usage, look for news or ask
the hub unless they are told not to; nobody has to tell them.
"""

import socket
import subprocess
import sys
import time

import pytest
from own_files import write_own_files
from recording import Recorder, address, is_here, sockets_of
from running import LMTRAIN, Machine

from lmtrain.distributed.head import answers, free_port, head_command

SETTLES_IN_SECONDS = 10
"""A dashboard's modules ask their questions once it answers: so long it is looked at after that."""


def test_a_run_under_prefect_asks_for_no_other_machine(own_line):
    line, _ = own_line
    asked = line.recorder.asked()
    programs = {given.program for given in asked}
    assert any("flows run" in program for program in programs)
    assert any("prefect" in program for program in programs), "Prefect's server recorded itself"
    assert any("ray" in program for program in programs), "Ray's processes recorded themselves"
    assert [given for given in asked if not is_here(given.host)] == []


def test_no_process_of_a_run_has_a_connection_to_another_machine(own_line):
    line, _ = own_line
    assert line.recorder.looks > 10
    programs = {given.program.split()[0].rpartition("/")[2] for given in line.recorder.sockets}
    assert {"gcs_server", "raylet"} <= programs, "what isn't Python was looked at, too"
    assert [given for given in line.recorder.sockets if not is_here(given.host)] == []


@pytest.mark.slow
def test_a_run_without_prefect_asks_for_no_other_machine(machine, tmp_path):
    recorder = Recorder(tmp_path / "recorded")
    recording = Machine(machine.folder, machine.ray, recorder.environment())
    files = write_own_files(tmp_path / "data")
    recipe = files.write_recipe(tmp_path / "recipe.yaml", str(tmp_path / "runs"), "mine")
    recording.run(LMTRAIN, "run", str(recipe), while_running=recorder.sampler(recording))
    asked = [*recorder.asked(), *recorder.sockets]
    assert asked
    assert [given for given in asked if not is_here(given.host)] == []


@pytest.mark.slow
def test_a_head_of_our_own_asks_for_no_other_machine(machine, tmp_path):
    recorder = Recorder(tmp_path / "recorded")
    recording = Machine(machine.folder, machine.ray, recorder.environment())
    dashboard = free_port(0)
    address = f"127.0.0.1:{dashboard}"
    with recording.started(head_command(free_port(0), dashboard)) as head:
        look = recorder.sampler(recording)
        head.wait_for(lambda: answers(address) or None, while_running=look)
        settled = time.monotonic() + SETTLES_IN_SECONDS
        head.wait_for(lambda: time.monotonic() > settled or None, while_running=look)
        asked = [*recorder.asked(), *recorder.sockets]
    assert any("dashboard.py" in given.program for given in asked)
    assert [given for given in asked if not is_here(given.host)] == []


ASKS = """
import socket, sys
with socket.create_connection(("localhost", int(sys.argv[1]))):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect_ex(("198.51.100.77", 9))
        input()
"""


def test_who_asks_for_another_machine_is_seen(machine, tmp_path):
    """198.51.100.0/24 is nobody's, and connecting a datagram socket sends nothing."""
    recorder = Recorder(tmp_path / "recorded")
    environment = {**machine.environment(), **recorder.environment()}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        with subprocess.Popen(
            [sys.executable, "-c", ASKS, port], env=environment, stdin=subprocess.PIPE
        ) as asking:
            while not any(given.host == "198.51.100.77" for given in recorder.asked()):
                assert asking.poll() is None
            sockets = {given.host for given in sockets_of({asking.pid: "asks"})}
            asking.communicate(b"\n")
    assert {given.event for given in recorder.asked()} == {"socket.getaddrinfo", "socket.connect"}
    assert {given.host for given in recorder.asked() if not is_here(given.host)} == {"198.51.100.77"}
    assert "127.0.0.1" in sockets


@pytest.mark.parametrize(
    ("table_form", "written"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000000000000000000001000000", "::1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
        ("4D6433C6", "198.51.100.77"),
    ],
)
def test_the_kernels_addresses_are_read(table_form, written):
    assert address(table_form) == written
