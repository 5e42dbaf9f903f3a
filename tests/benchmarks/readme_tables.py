"""The tables of figures in READMEs, made from the files that benchmarks wrote. `make readme-tables` runs it.

In: a README, in which `<!-- figures: NAME -->` and `<!-- end of figures -->`
stand around each table, and `results/NAME.json`. Out: the README with the
tables as the files have them. `cost` is reckoned from the files of others; where
a file isn't there yet, the table says how it is made.
"""

import json
import re
from pathlib import Path
from typing import Any

from cost import cost_table
from figures import RESULTS

PROJECT = Path(__file__).parents[2]
READMES = tuple(PROJECT / place / "README.md" for place in (".", "lmtrain/curation", "lmtrain/training"))
BLOCK = re.compile(r"(<!-- figures: (?P<name>[a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

RECKONED = {"cost": (cost_table, ("growth", "curation"))}
"""Tables that are made of several files."""


def with_tables(readme: str, results: Path = RESULTS) -> str:
    """Return a README with its tables renewed."""
    return BLOCK.sub(lambda block: block[1] + _figures(results, block["name"]) + block[3], readme)


def _figures(results: Path, name: str) -> str:
    make, names = RECKONED.get(name, (None, (name,)))
    missing = [needed for needed in names if not (results / f"{needed}.json").exists()]
    if missing:
        return "Not measured yet: " + ", ".join(f"`make bench-{needed}`" for needed in missing) + "\n"
    found = [_read(results, needed) for needed in names]
    if make:
        return make(*found)
    return agreement(found[0]) if name == "agreement" else table(found[0])


def _read(results: Path, name: str) -> dict[str, Any]:
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))


def table(found: dict[str, Any]) -> str:
    """Return the rows of one benchmark as Markdown, and where and how they were measured."""
    peers = sorted({row["peer_name"] for row in found["rows"] if row["peer"] is not None})
    if len(peers) <= 1:
        lines = [f"| measure | ours | {''.join(peers)} | ratio | goal |", "|---|---:|---:|---:|---:|"]
        lines += [_row(row) for row in found["rows"]]
    else:
        lines = ["| measure | ours | beside | | ratio | goal |", "|---|---:|---|---:|---:|---:|"]
        lines += [_row(row, named=True) for row in found["rows"]]
    return "\n".join([*lines, "", _measured(found)]) + "\n"


def _row(row: dict[str, Any], *, named: bool = False) -> str:
    peer = "" if row["peer"] is None else _short(row["peer"])
    goal = "" if row["goal"] is None else f"{row['goal']:g}" + ("" if row["met"] else ", not met")
    beside = f"{row['peer_name']} | {peer}" if named else peer
    ours, ratio = _short(row["ours"]), _short(row["ratio"])
    return f"| {row['measure']}, {row['unit']} | {ours} | {beside} | {ratio} | {goal} |"


def _short(value: float) -> str:
    """Return three digits of a number, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def agreement(found: dict[str, Any]) -> str:
    """Return how many documents of each corpus were judged, and on how many the sides differ, by filter."""
    lines = ["| filter | documents | dropped | differently judged |", "|---|---:|---:|---:|"]
    lines += [
        f"| {row['measure']} | {row['documents']:,} | {row['dropped']:,} | {row['ours']:,} |"
        for row in found["rows"]
        if ": " not in row["measure"]  # one rule alone
    ]
    return "\n".join([*lines, "", _measured(found)]) + "\n"


def _measured(found: dict[str, Any]) -> str:
    return f"{found['machine']}; {found['date']}; `{found['command']}`"


if __name__ == "__main__":
    for path in READMES:
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
