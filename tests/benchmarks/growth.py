"""How curation grows: time, memory and what a second worker gains, from 100,000 documents to 1,000,000.

`make bench-growth` runs it. Documents of about 1 kB are made from real ones by
controlled edits, English and Chinese, every fifth a near copy of another one,
and ingested. The curate stage, with no filter but deduplication, then runs over
each size with the most workers, and over the middle one with a single worker
too; each run has a Ray of its own, so that a worker's peak is that of this run.

Peaks are what Linux calls VmHWM: the most memory that a process ever had.
`--documents 2000,6000,20000` is for a look.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq
from corpora import documents, has_corpus
from edited import COPIED, Documents, exponent
from figures import Row, write

from lmtrain.config import Resources
from lmtrain.curation import stage as curate
from lmtrain.curation.config import CurateConfig
from lmtrain.distributed.cluster import connect, session
from lmtrain.ingestion import stage as ingest
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.manifest import Artifact, read_manifest
from lmtrain.watch import SilentWatch

MEAN_BYTES = 1000
SHARD_DOCUMENTS = 25_000
SAMPLED_COPIES = 2000
"""Copies whose similarity is computed to see how many were found."""

EXPONENT, PEAK_MB, SPEED_UP, RECALL = 1.1, 2000, 1.7, 0.92
FLAT = 0.8
"""Least quotient of the worker's peaks at the smallest and the largest size that is called flat."""


@cache
def made() -> Documents:
    """Return the documents of every size: the smaller are the beginning of the larger."""
    bases = [
        (text, language)
        for corpus, language in (("corpus-en", "en"), ("corpus-zh", "zh"))
        if has_corpus(corpus)
        for text in documents(corpus, MEAN_BYTES, 10**9)
    ]
    random.Random(0).shuffle(bases)
    return Documents(bases)


def write_shard(folder: str, start: int, stop: int) -> int:
    """Write documents by number as one `.jsonl.gz`; return the bytes of their text."""
    size = 0
    with gzip.open(f"{folder}/{start:09d}.jsonl.gz", "wt", encoding="utf-8", compresslevel=1) as lines:
        for number in range(start, stop):
            text = made().text(number)
            size += len(text.encode())
            lines.write(json.dumps({"id": f"{number:032d}", "text": text}, ensure_ascii=False) + "\n")
    return size


def write_documents(folder: Path, count: int, workers: int) -> int:
    """Write so many documents; return the bytes of their text."""
    folder.mkdir(parents=True)
    starts = range(0, count, SHARD_DOCUMENTS)
    stops = [min(start + SHARD_DOCUMENTS, count) for start in starts]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(partial(write_shard, str(folder)), starts, stops))


class Observer:
    """Looks, until it is left, at the peaks of Ray's workers, and at what a stage has done and holds."""

    def __init__(self, root: str, seconds: float = 2.0) -> None:
        self.root, self.seconds = Path(root), seconds
        self.peaks: dict[int, float] = {}
        self.tasks: dict[str, int] = {}
        self.disk = 0
        self._failure: OSError | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _watch(self) -> None:
        try:
            while not self._left.wait(self.seconds):
                self._look()
        except OSError as error:
            self._failure = error

    def _look(self) -> None:
        for process in children(os.getpid()):
            peak = peak_megabytes(process)
            if peak:
                self.peaks[process] = max(peak, self.peaks.get(process, 0))
        self._look_at_disk()

    def _look_at_disk(self) -> None:
        held, tasks = 0, {}
        # Folders and files that vanish while one looks are passed over.
        listed = [
            Path(folder, name) for folder, _, names in os.walk(self.root / "documents") for name in names
        ]
        for path in listed:
            with suppress(FileNotFoundError):
                held += path.stat().st_size
            parts = path.relative_to(self.root).parts
            if len(parts) > 3 and parts[2] == "done" and path.suffix == ".json":
                tasks[parts[3]] = tasks.get(parts[3], 0) + 1
        self.disk = max(self.disk, held)
        self.tasks = {step: max(tasks.get(step, 0), self.tasks.get(step, 0)) for step in self.tasks | tasks}


def children(parent: int) -> Iterator[int]:
    """Yield the Ray workers that a process, or a child of it, started: they say which task they run."""
    family, parents = {parent}, _parents()
    for process in sorted(parents):  # children have higher numbers, but where numbers began anew
        if parents[process][0] in family:
            family.add(process)
            if parents[process][1].startswith("ray::"):
                yield process


def _parents() -> dict[int, tuple[int, str]]:
    """Return the parent and the command of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(folder.name)] = int(parent), command
    return found


def peak_megabytes(process: int | str) -> float:
    """Return the most memory that a process ever had, in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), 0.0)


def run_ingest(folder: str, root: str, workers: int) -> dict[str, Any]:
    """Ingest the shards of a folder; return the corpus' URL."""
    source = FilesSource(alias="made", urls=[f"{folder}/*.jsonl.gz"], id_column="id")
    listed = IngestConfig(files=source, listing=list_source_files(source).digest)
    with session():
        return {"corpus": ingest.build({}, listed, root, Resources(workers=workers), SilentWatch())}


def run_curate(corpus: str, root: str, workers: int) -> dict[str, Any]:
    """Curate a corpus with nothing but deduplication; return the manifest's URL and what it took."""
    resources = Resources(workers=workers)
    with session():
        connect(resources)
        os.sync()  # what was written before isn't this run's work
        with Observer(root) as observer:
            begin = time.perf_counter()
            url = curate.build(
                {"corpora": [corpus]}, CurateConfig(preset="none"), root, resources, SilentWatch()
            )
            seconds = time.perf_counter() - begin
    return {
        "documents": url,
        "seconds": seconds,
        "workers": workers,
        "worker_megabytes": max(observer.peaks.values(), default=0.0),
        "driver_megabytes": peak_megabytes("self"),
        "tasks": observer.tasks,
        "disk_bytes": observer.disk,
    }


def apart(function: str, **arguments: Any) -> dict[str, Any]:
    """Run a function of this file in a process, and a Ray, of its own; return what it returns."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, __file__, "--run", json.dumps([function, arguments, str(answer)])]
        subprocess.run(command, check=True, env=os.environ | {"RAY_ADDRESS": "local"})
        return json.loads(answer.read_text())


def found_of(url: str, count: int) -> dict[str, Any]:
    """Tell what became of the copies: how many were found, and how alike those that left are."""
    artifact = Artifact(url)
    columns = ["id", "reason", "value"]
    tables = [pq.read_table(artifact.open(record), columns=columns) for record in artifact.files("dropped")]
    left = {
        int(row["id"]): row["value"]
        for table in tables
        for row in table.to_pylist()
        if row["reason"] in ("near_copy", "exact_copy")
    }
    copies = range(COPIED - 1, count, max(count // COPIED // SAMPLED_COPIES, 1) * COPIED)
    alike = [
        number for number in copies if made().similarity(number) >= CurateConfig().deduplication.threshold
    ]
    parted = sum(number in left or made().original_of(number) in left for number in alike)
    return {
        "dropped": len(left),
        "least_jaccard_of_dropped": min(left.values(), default=1.0),
        "pairs_looked_at": len(alike),
        "recall": parted / len(alike) if alike else 1.0,
    }


def measure(count: int, folder: Path, workers: int, *, alone: bool) -> dict[str, Any]:
    """Make, ingest and curate so many documents; `alone` curates them with a single worker too."""
    root = str(folder / f"root-{count}")
    size = write_documents(folder / f"shards-{count}", count, workers)
    corpus = apart("run_ingest", folder=str(folder / f"shards-{count}"), root=root, workers=workers)["corpus"]
    found = {"count": count, "bytes": size}
    if alone:
        single = apart("run_curate", corpus=corpus, root=root, workers=1)
        found |= {"single_seconds": single["seconds"], "single_megabytes": single["worker_megabytes"]}
        Path(single["documents"]).unlink()
    run = apart("run_curate", corpus=corpus, root=root, workers=workers)
    manifest = read_manifest(run["documents"])
    roles: dict[str, int] = {}
    for record in manifest.files:
        roles[record.role] = roles.get(record.role, 0) + record.bytes
    found |= run | found_of(run["documents"], count) | {"bytes_by_role": roles}
    print(json.dumps({key: value for key, value in found.items() if key != "documents"}))
    return found


def rows_of(runs: list[dict[str, Any]]) -> list[Row]:
    """Return the rows of all sizes."""
    counts = [run["count"] for run in runs]
    smallest, largest = runs[0], runs[-1]
    span = f"{counts[0]:,} to {counts[-1]:,} documents"
    power = exponent(counts, [run["seconds"] for run in runs])
    rows = [
        Row(f"Time of curation, {span}", "exponent", power, None, "the most that is allowed",
            EXPONENT / power, 1, {"seconds": [run["seconds"] for run in runs]}),
    ]  # fmt: skip
    for run in runs:
        told = ("count", "bytes", "workers", "seconds", "tasks", "disk_bytes", "bytes_by_role", "dropped",
                "least_jaccard_of_dropped", "driver_megabytes")  # fmt: skip
        rows.append(
            Row(f"Peak memory of a worker, {run['count']:,} documents", "MB", run["worker_megabytes"], None,
                "the most that is allowed", PEAK_MB / run["worker_megabytes"], 1,
                {name: run[name] for name in told})
        )  # fmt: skip
        rows.append(
            Row(f"Peak memory of the driver, {run['count']:,} documents", "MB", run["driver_megabytes"], None,
                f"{PEAK_MB} MB", PEAK_MB / run["driver_megabytes"], None)
        )  # fmt: skip
    rows.append(
        Row(f"Peak of a worker, {span}", "times", largest["worker_megabytes"] / smallest["worker_megabytes"],
            None, "a flat line", smallest["worker_megabytes"] / largest["worker_megabytes"], FLAT)
    )  # fmt: skip
    rows += [
        Row(f"{run['workers']} workers, {run['count']:,} documents", "seconds", run["seconds"],
            run["single_seconds"], "1 worker", run["single_seconds"] / run["seconds"], SPEED_UP)
        for run in runs
        if "single_seconds" in run
    ]  # fmt: skip
    rows.append(
        Row("Pairs of a Jaccard index of 0.8 or more that were found", "share", largest["recall"], None,
            "the least that is asked", largest["recall"] / RECALL, 1, {"pairs": largest["pairs_looked_at"]})
    )  # fmt: skip
    return rows


def main() -> None:
    """Measure all sizes, or be one of the processes that do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--documents", default="100000,300000,1000000", help="sizes, from the smallest to the largest"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="folder on a disk of 10 GB; default: a temporary one")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        function, arguments, answer = json.loads(options.run)
        found = {"run_ingest": run_ingest, "run_curate": run_curate}[function](**arguments)
        Path(answer).write_text(json.dumps(found))
        return
    counts = [int(count) for count in options.documents.split(",")]
    runs = []
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="growth-", dir=options.scratch) as folder:
            runs.append(measure(count, Path(folder), options.workers, alone=count == counts[-1]))
    write("growth", rows_of(runs), {}, **({"folder": options.out} if options.out else {}))


if __name__ == "__main__":
    main()
