"""An artifact as lines of text: its manifest, its files, and the first rows of each kind of file.

In: an opened artifact. Out: lines for a terminal.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from tqdm import tqdm

from lmtrain.manifest import Artifact, FileRecord
from lmtrain.reporting.clusters import binned
from lmtrain.totals import BY_SOURCE_AND_LICENSE, Row, Totals, table

FILES_SHOWN = 20
TABLES = ("funnel", "taken", "rewritten", "cluster_sizes", BY_SOURCE_AND_LICENSE)
"""Stats that are shown as a table."""

UNITS = ("documents", "bytes", "words", "tokens")

WIDTH = 110
"""Longer values are cut to so many characters."""


def describe(artifact: Artifact, rows: int) -> Iterator[str]:
    """Yield what there is to tell about an artifact.

    Args:
        artifact: whose files are read; those of a remote root are fetched.
        rows: sample rows of the first file of each role.
    """
    manifest = artifact.manifest
    yield f"{manifest.kind} {manifest.label}, digest {manifest.digest}"
    yield (
        f"made by {manifest.stage} version {manifest.stage_version} of lmtrain {manifest.code_version} "
        f"at {manifest.created_at} in {manifest.seconds} s"
    )
    yield from _section("packages", manifest.packages)
    yield from _section("config (what differs from the defaults)", manifest.config)
    yield from _section("inputs", [f"{given.role}: {given.url}" for given in manifest.inputs])
    yield from _funnel(manifest.stats.get("funnel", []), manifest.stats.get("taken", {}))
    yield from _rewritten(manifest.stats.get("rewritten", {}))
    yield from _clusters(manifest.stats.get("cluster_sizes", {}))
    yield from _totals(manifest.stats.get(BY_SOURCE_AND_LICENSE, {}))
    yield from _section("stats", {k: v for k, v in manifest.stats.items() if k not in TABLES})
    yield ""
    yield f"files ({len(manifest.files)})"
    yield from _file_table(manifest.files)
    if rows:
        for role in dict.fromkeys(record.role for record in manifest.files):
            yield from _sample(artifact, artifact.files(role)[0], rows)


def _funnel(funnel: list[dict[str, Any]], taken: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield what each filter left, and below it what each of its rules took."""
    if not funnel:
        return
    read = max(funnel[0]["documents"], 1)
    yield ""
    yield f"{'funnel':<42} {'documents':>11} {'of read':>8} {'bytes':>8} {'words':>8}"
    for step in funnel:
        share = f"{step['documents'] / read:.1%}"
        name = step["filter"] + (f" (score from {step['threshold']:.6g})" if "threshold" in step else "")
        yield f"  {name:<40} {step['documents']:>11,} {share:>8} {_volume(step)}"
        rules = [(name, row) for name, row in taken.items() if name.startswith(f"{step['filter']}/")]
        for name, row in sorted(rules, key=lambda rule: -rule[1]["documents"]):
            share = f"{-row['documents'] / read:.1%}"
            yield f"    {name.partition('/')[2]:<38} {-row['documents']:>11,} {share:>8} {_volume(row, '-')}"


def _volume(row: dict[str, Any], sign: str = "") -> str:
    """Return bytes and words, of which older artifacts have only the first."""
    cells = [
        sign + tqdm.format_sizeof(row[name], divisor=1000) if name in row else ""
        for name in ("bytes", "words")
    ]
    return " ".join(f"{cell:>8}" for cell in cells).rstrip()


def _rewritten(rewritten: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield what each filter took out of texts that it kept, and below it of what kind."""
    if not rewritten:
        return
    yield ""
    yield f"{'taken out of texts that were kept':<42} {'documents':>11} {'':>8} {'bytes':>8} {'words':>8}"
    for name, change in rewritten.items():
        yield f"  {name:<40} {change['documents']:>11,} {'':>8} {_volume(change, '-')}"
        kinds = [(number, kind) for kind, number in change["removed"].items() if number]
        for number, kind in sorted(kinds, key=lambda one: (-one[0], one[1])):
            yield f"    {kind:<38} {number:>11,}"


def _clusters(sizes: dict[str, int]) -> Iterator[str]:
    if not sizes:
        return
    edges, counts = binned(sizes)
    yield ""
    yield f"{'copies: documents of a group':<42} {'groups':>11}"
    for low, following, number in zip(edges, edges[1:], counts, strict=False):
        size = f"{low:,}" if low == following - 1 else f"{low:,} to {following - 1:,}"
        yield f"  {size:<40} {number:>11,}"


def _totals(given: dict[str, Totals]) -> Iterator[str]:
    """Yield documents, bytes, words and tokens by source and licence, with subtotals."""
    if not given:
        return
    rows, whole = table(given)
    yield ""
    yield f"{'by source and licence':<32} {'':<9}" + "".join(f" {unit:>15}" for unit in UNITS)
    for row in rows:
        yield from _totals_of(row, "  ")
        for part in row.parts:
            yield from _totals_of(part, "    ")
    if len(rows) > 1:
        yield from _totals_of(whole, "  ")


def _totals_of(row: Row, indent: str) -> Iterator[str]:
    of_part = len(indent) > 2
    name = row.license if of_part else "  ".join(filter(None, [row.source or "all sources", row.license]))
    for done, counts in row.counts.items():
        cells = "".join(f" {counts[unit]:>15,}" if unit in counts else f" {'':>15}" for unit in UNITS)
        yield f"{_cut_to(indent + name, 32):<32} {done:<9}{cells}".rstrip()
        name = ""


def _section(title: str, content: Any) -> Iterator[str]:
    if content:
        yield ""
        yield title
        told = yaml.safe_dump(
            json.loads(json.dumps(content)), allow_unicode=True, sort_keys=False, width=WIDTH
        )
        yield from (f"  {line}" for line in told.splitlines())


def _file_table(files: list[FileRecord]) -> Iterator[str]:
    yield f"  {'role':<12} {'split':<11} {'rows':>9} {'bytes':>8}  path"
    for record in files[:FILES_SHOWN]:
        rows = "" if record.rows is None else f"{record.rows:,}"
        size = tqdm.format_sizeof(record.bytes, divisor=1000)
        yield f"  {record.role:<12} {record.split or '':<11} {rows:>9} {size:>8}  {record.path}"
    if len(files) > FILES_SHOWN:
        yield f"  … and {len(files) - FILES_SHOWN} more"


def _sample(artifact: Artifact, record: FileRecord, rows: int) -> Iterator[str]:
    path = artifact.open(record)
    yield ""
    yield f"{record.role}: the first of {Path(record.path).name}"
    if path.suffix == ".parquet":
        yield from _rows(_first_of_parquet(path, rows))
    elif path.suffix == ".arrow":
        yield from _rows(_first_of_stream(path, rows))
    elif path.suffix in {".json", ".jsonl", ".md"}:
        with path.open(encoding="utf-8") as lines:
            yield from (f"  {_cut(line.rstrip())}" for line in islice(lines, rows))
    else:
        yield f"  ({record.bytes:,} bytes)"


def _first_of_parquet(path: Path, rows: int) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        batch = next(table.iter_batches(batch_size=rows), None)
        return batch.to_pylist() if batch is not None else []


def _first_of_stream(path: Path, rows: int) -> list[dict[str, Any]]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        for batch in stream:
            return batch.slice(0, rows).to_pylist()
    return []


def _rows(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        if number:
            yield "  ·"
        for name, value in row.items():
            if value is not None:
                yield f"  {name}: {_cut(value)}"


def _cut(value: Any) -> str:
    return _cut_to(" ".join(str(value).split()), WIDTH)


def _cut_to(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
