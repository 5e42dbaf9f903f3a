"""The tables of figures in READMEs, made from the files that benchmarks wrote. `make readme-tables` runs it.

In: a README, in which `<!-- figures: NAME -->` and `<!-- end of figures -->`
stand around each table, and `results/NAME.json`. Out: the README with the
tables as the files have them. `cost` is reckoned from the files of others; what fits
what comes from `lmtrain.modeling.fitting`; where a file isn't there yet, the table
says how it is made.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cost import cost_table
from figures import RESULTS

from lmtrain.modeling import fitting
from lmtrain.modeling.sizes import BOTH_DIRECTIONS, DECODERS, ENCODER_DECODERS, ENCODERS

PROJECT = Path(__file__).parents[2]
PLACES = ("", "lmtrain/curation", "lmtrain/modeling", "lmtrain/training")
READMES = tuple(PROJECT / place / "README.md" for place in PLACES)
BLOCK = re.compile(r"(<!-- figures: (?P<name>[a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

RECKONED = {"cost": (cost_table, ("growth", "curation"))}
"""Tables that are made of several files."""


def objectives_by_family() -> str:
    """Return which objective trains which family, and how its rows are made."""
    return _by_family(
        list(fitting.OBJECTIVES), lambda name, family: family in fitting.OBJECTIVES[name].families, _rows_of
    )


def tasks_by_family() -> str:
    """Return for which task a model of which family can be fine-tuned."""
    return _by_family(list(fitting.TASKS), lambda name, family: family in fitting.TASKS[name].families)


def _by_family(
    names: list[str], fits: Callable[[str, str], bool], more: Callable[[str], str] | None = None
) -> str:
    heads = [*(name.replace("_", " ") for name in names), *(["rows"] if more else [])]
    lines = [f"| family | {' | '.join(heads)} |", "|---|" + ":-:|" * len(heads)]
    for family in (*ENCODERS, *DECODERS, *BOTH_DIRECTIONS, *ENCODER_DECODERS):
        cells = ["✓" if fits(name, family) else "" for name in names] + ([more(family)] if more else [])
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rows_of(family: str) -> str:
    return "one document" if family in fitting.UNPACKED else "packed"


LISTED = {"objectives": objectives_by_family, "tasks-by-family": tasks_by_family}
"""Tables that come from no measurement."""


def with_tables(readme: str, results: Path = RESULTS) -> str:
    """Return a README with its tables renewed."""
    return BLOCK.sub(lambda block: block[1] + _figures(results, block["name"]) + block[3], readme)


def _figures(results: Path, name: str) -> str:
    if name in LISTED:
        return LISTED[name]()
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
