"""What a benchmark writes down: rows of ours against a peer's, with the machine and the versions."""

import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass
class Row:
    """One figure: ours, the peer's, and their ratio in the sense in which more is better."""

    measure: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float
    goal: float | None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the ratio is what the project asks for; None where it asks for nothing."""
        return None if self.goal is None else self.ratio >= self.goal

    def as_json(self) -> dict[str, Any]:
        """Return the row as it stands in the file; figures to four digits."""
        row = {key: value for key, value in asdict(self).items() if key != "details"} | {"met": self.met}
        return {key: _rounded(value) for key, value in (row | self.details).items()}


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine() -> str:
    """Return the processor's name, how many there are, and the operating system."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"


def write(name: str, rows: list[Row], versions: dict[str, str], folder: Path = RESULTS) -> Path:
    """Write `NAME.json` and print its rows; return where it is.

    Args:
        name: of the benchmark.
        rows: what was measured.
        versions: of the peer's packages; ours are added.
        folder: where to.
    """
    for row in rows:
        print(told(row))
    ours = {package: metadata.version(package) for package in ("lmtrain", "numba", "numpy", "pyarrow")}
    content = {
        "name": name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "command": shlex.join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        "versions": ours | {f"peer: {package}": version for package, version in versions.items()},
        "rows": [row.as_json() for row in rows],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    print(f"written to {path}")
    return path


def told(row: Row) -> str:
    """Return a row in one line."""
    theirs = "" if row.peer is None else f" against {row.peer:.4g} of {row.peer_name}"
    times = f"{row.ratio:.3g} times"
    if row.goal is not None:
        times += f" (goal {row.goal:g}, {'met' if row.met else 'NOT met'})"
    return f"{row.measure}: {row.ours:.4g} {row.unit}{theirs}: {times}"
