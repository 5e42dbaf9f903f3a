"""Who talks to whom: every address that Python asks for, and every socket of every process.

A `sitecustomize` on PYTHONPATH puts an audit hook into each Python process:
the program, Ray's workers and agents, Prefect's server. What Ray does in C++
is seen in the kernel's tables of sockets, looked at again and again.
"""

import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from running import Machine

from lmtrain.watch import Clock

HOOK = """
import json, os, sys

def record(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        asked, kind = arguments[1], int(arguments[0].type)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        asked, kind = arguments[0], 0
    else:
        return
    program = " ".join(getattr(sys, "orig_argv", sys.argv))[:200]
    line = json.dumps({"event": event, "asked": asked, "kind": kind, "program": program}, default=str)
    out = os.open(os.environ["RECORDED_CONNECTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(out, line.encode() + b"\\n")
    os.close(out)

sys.addaudithook(record)
"""

LOOK_SECONDS = 0.3
LISTENS = "0A"


@dataclass(frozen=True)
class Asked:
    """Somebody asked for an address.

    Attributes:
        event: what was asked: the audit event, or the kernel's table.
        host: a name or a number.
        program: the beginning of its command line.
    """

    event: str
    host: str
    program: str


class Recorder:
    """Records what programs ask for that are run in its environment."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(HOOK)
        self.folder = folder
        self.records = folder / "records.jsonl"
        self.sockets: set[Asked] = set()
        self.looks = 0

    def environment(self) -> dict[str, str]:
        """Return what makes Python processes record themselves."""
        return {"PYTHONPATH": str(self.folder), "RECORDED_CONNECTIONS": str(self.records)}

    def asked(self) -> list[Asked]:
        """Return what Python processes asked for, but for the sockets of this machine's file system."""
        found = []
        for line in self.records.read_text().splitlines() if self.records.exists() else ():
            row = json.loads(line)
            asked = row["asked"]
            if isinstance(asked, list) and row["event"].startswith("socket."):
                found.append(Asked(row["event"], str(asked[0]), row["program"]))
            elif row["event"].startswith("socket.get"):
                found.append(Asked(row["event"], asked or "", row["program"]))
        return found

    def sampler(self, machine: Machine) -> Callable[[], None]:
        """Return what looks, now and then, at the sockets of all processes of a machine."""
        clock = Clock(LOOK_SECONDS)

        def look() -> None:
            if clock.due():
                self.looks += 1
                self.sockets.update(sockets_of(machine.processes()))

        return look


def sockets_of(processes: dict[int, str]) -> Iterator[Asked]:
    """Yield the far ends of all internet sockets of some processes."""
    tables = {}
    for name in ("tcp", "tcp6", "udp", "udp6"):
        with suppress(OSError):
            tables[name] = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ends = {
        f"socket:[{fields[9]}]": (name, address(fields[2].split(":")[0]))
        for name, lines in tables.items()
        for fields in map(str.split, lines)
        if fields[3] != LISTENS
    }
    for process, command in processes.items():
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{process}/fd"):
                with suppress(OSError):
                    end = ends.get(os.readlink(entry.path))
                    if end is not None:
                        yield Asked(end[0], end[1], command[:200])


def address(table_form: str) -> str:
    """Return an address as the kernel's tables have it, words of 32 bits in hex, as people write it."""
    words = [bytes.fromhex(table_form[start : start + 8])[::-1] for start in range(0, len(table_form), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def is_here(host: str) -> bool:
    """Tell whether a host is this machine: nothing, its own name, or an address that it can listen at."""
    if host in ("", "localhost", "0.0.0.0", "::", socket.gethostname(), socket.getfqdn()):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family) as probe:
        probe.bind((str(found), 0))
        return True
    return False
