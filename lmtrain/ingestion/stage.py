"""The stage `ingest`: one source becomes a corpus of documents, and nothing is lost without a reason.

In: files of records, or the Python source of installed packages. Out: an
artifact `corpus` of Parquet files, documents and rejected records, with the law
read = kept + rejected in its stats.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmtrain.building import Attempt, Built, ShardOutput, ShardResult, build_once
from lmtrain.config import Resources
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import StageError
from lmtrain.ingestion.config import IngestConfig
from lmtrain.ingestion.docstrings import Package, package_of
from lmtrain.ingestion.documents import Row, documents_of_module, documents_of_part, layout_of
from lmtrain.ingestion.duplicates import Repeats, reject_repeats, repeated_rows, write_hashes
from lmtrain.ingestion.listing import check_unchanged, list_docstrings, list_source_files
from lmtrain.ingestion.measuring import measure
from lmtrain.ingestion.records import Layout, Part, Refusal
from lmtrain.ingestion.splits import (
    cut_files,
    digest_of,
    is_splittable,
    numbered,
    pieces_to_measure,
    split_name,
)
from lmtrain.ingestion.writer import added_up, corpus_shard
from lmtrain.storage import SourceFile
from lmtrain.watch import Watch

PYTHON_BYTES = 2_000_000
"""Python source in one task: less than a second of parsing."""
FILE_BYTES = 16_000_000
"""Files in one task; a file of more than twice as much is read in pieces, if its form allows."""


@dataclass(frozen=True)
class Work:
    """What one task reads: files or pieces, each with the package it belongs to (docstrings only)."""

    name: str
    parts: tuple[Part, ...]
    packages: tuple[Package | None, ...]


def build(
    inputs: dict[str, list[str]], config: IngestConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Ingest one source; return the URL of the corpus manifest.

    Args:
        inputs: none; the source is outside.
        config: the source, and the hash of its listing when the run was planned.
        root: where artifacts lie; absolute.
        resources: at most so many tasks at once.
        watch: told each finished task.

    Raises:
        SourceError: the source is missing, or changed since the run was planned.
        StageError: nothing of it can be used.
    """
    return build_once(config, inputs, root, lambda attempt: _ingest(attempt, config, resources, watch))


def _ingest(attempt: Attempt, config: IngestConfig, resources: Resources, watch: Watch) -> Built:
    works = _works(attempt, config, resources, watch)
    parts = [part for work in works for part in work.parts]
    in_pieces = any(part.stop is not None for part in parts)
    step = f"ingest-{digest_of(parts)}" if in_pieces else "ingest"
    splits = [Split(work.name, work) for work in works]
    results = map_shards(ingest_files, splits, attempt, resources, watch, step=step, shared=config)
    if config.files and config.files.id_column:
        unique = step.replace("ingest", "unique")
        results = _without_repeats(results, attempt, config, resources, watch, unique)
    stats = added_up([result.stats for result in results])
    assert stats["read"] == stats["kept"] + sum(stats["rejected"].values())
    if not stats["kept"]:
        raise StageError(f"source {config.source.alias}: no document is left of {told_reasons(stats)}")
    files = [record for result in results for record in result.files if record.role != "ids"]
    return Built(files, stats)


def _works(attempt: Attempt, config: IngestConfig, resources: Resources, watch: Watch) -> list[Work]:
    packages: dict[str, Package] = {}
    if config.docstrings:
        listing = list_docstrings(config.docstrings)
        check_unchanged(config, config.source.alias, listing)
        packages = {name: package_of(name) for name in sorted(set(listing.marks))}
        parts, target = [Part(file) for file in listing.files], PYTHON_BYTES
    else:
        assert config.files is not None
        listing = list_source_files(config.files)
        check_unchanged(config, config.source.alias, listing)
        parts = _parts(listing.files, layout_of(config.files), attempt, resources, watch)
        target = FILE_BYTES
    marks = dict(zip(listing.files, listing.marks, strict=True))
    return [
        _work(number, [parts[place] for place in run], marks, packages)
        for number, run in enumerate(cut_files([part.bytes for part in parts], target))
    ]


def _work(number: int, parts: list[Part], marks: dict[SourceFile, str], packages: dict[str, Package]) -> Work:
    return Work(split_name(number), tuple(parts), tuple(packages.get(marks[part.file]) for part in parts))


def _parts(
    files: Sequence[SourceFile], layout: Layout, attempt: Attempt, resources: Resources, watch: Watch
) -> list[Part]:
    """Return the files, large ones in pieces; a first pass counts the records before each piece."""
    to_measure = {
        file: pieces_to_measure(file, FILE_BYTES)
        for file in files
        if file.bytes > 2 * FILE_BYTES and is_splittable(file, layout)
    }
    if not to_measure:
        return [Part(file) for file in files]
    pieces = [piece for pieces in to_measure.values() for piece in pieces]
    splits = [Split(split_name(number), piece) for number, piece in enumerate(pieces)]
    step, shared = f"measure-{digest_of(pieces)}", (FILE_BYTES, layout)
    results = map_shards(measure, splits, attempt, resources, watch, step=step, shared=shared)
    told = iter(results)
    parts: list[Part] = []
    for file in files:
        if file in to_measure:
            parts += numbered(file, [next(told).stats["pieces"] for _ in to_measure[file]], layout)
        else:
            parts.append(Part(file))
    return parts


def ingest_files(work: Work, config: IngestConfig, output: ShardOutput) -> None:
    """Read some files into one shard of documents and one of rejected records."""
    ids: list[str] = []
    keeps_ids = config.files is not None and config.files.id_column is not None
    with corpus_shard(output, work.name, config.source.alias) as shard:
        for part, package in zip(work.parts, work.packages, strict=True):
            for item in _documents(part, package, config):
                if isinstance(item, Refusal):
                    shard.reject(part.file.name, item)
                    continue
                shard.keep(item)
                if keeps_ids:
                    ids.append(item["id"])
    if keeps_ids:
        name = f"ids-{work.name}.npy"
        write_hashes(output.path(name), ids)
        output.add(name, "ids")


def _documents(part: Part, package: Package | None, config: IngestConfig) -> Iterator[Row | Refusal]:
    if package:
        return documents_of_module(part.file.name, package, config)
    return documents_of_part(part, config)


def _without_repeats(
    results: list[ShardResult],
    attempt: Attempt,
    config: IngestConfig,
    resources: Resources,
    watch: Watch,
    step: str,
) -> list[ShardResult]:
    """Return the shards, those with ids that stood before written again without them."""
    files = [{record.role: record for record in result.files} for result in results]
    rows = repeated_rows([np.load(attempt.open(roles["ids"])) for roles in files])
    splits = []
    places = [place for place, repeated in enumerate(rows) if len(repeated)]
    for place in places:
        roles = files[place]
        name = split_name(place)
        payload = Repeats(
            name, config.source.alias, attempt, roles["documents"], roles["rejected"], rows[place]
        )
        splits.append(Split(name, payload))
    rewritten = map_shards(reject_repeats, splits, attempt, resources, watch, step=step)
    changed = dict(zip(places, rewritten, strict=True))
    return [changed.get(place, result) for place, result in enumerate(results)]


def told_reasons(stats: dict[str, Any]) -> str:
    """Return how much was read and the most frequent reasons of rejection, for one line."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(stats["rejected"]).most_common(4))
    return f"{stats['read']} read" + (f" (rejected: {reasons})" if reasons else "")
