"""Near copies: signatures beside gaoya, rensa and datatrove, their bias, and the whole of deduplication.

`make bench-minhash` runs it: all on one core, in turns with the peer. Signatures
are made from raw text: 112 permutations over word 5-grams (5 characters in
Chinese), of 64 bits but for rensa's 32; ours makes the sets of hashes that
verification needs on the way. Deduplication begins with texts that the filters
kept: hashes, sets and bands are made and written as the stage's first pass does
it, then all that the curate stage does up to where it knows what is kept is
timed in a run of its own: copies are found by bands and verified by the Jaccard
index. Every fifth document is a near copy.

`BENCH_DATA` names the folder that holds `corpus-en` and `corpus-zh`.
"""

import argparse
import gzip
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpora import documents, has_corpus
from edited import SHINGLE_WORDS, edited
from figures import Row, write
from in_process import InProcess, without_ray
from paired import Peer, Spent, in_turns, median_wall, pin, spent_by
from peers import DATATROVE, SIGNERS, python_of

from lmtrain.config import Resources
from lmtrain.curation import stage as curate
from lmtrain.curation.config import CurateConfig, DeduplicationConfig
from lmtrain.curation.judging import comparable
from lmtrain.ingestion import stage as ingest
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.manifest import read_manifest
from lmtrain.text import nearness, similarity
from lmtrain.text.hashing import text_hash
from lmtrain.watch import SilentWatch

PERMUTATIONS = DeduplicationConfig().bands * DeduplicationConfig().rows
MEAN_BYTES = 4000
GOALS = {"gaoya": 2.5, "rensa": 4.5, "datatrove": None}
"""Nothing is asked beside datatrove, whose words are cut in another way: the ratio stands for itself."""

PASSES = {"gaoya": 10, "rensa": 10, "datatrove": 1}
"""In a run: the fast ones take but milliseconds each."""

LANGUAGES = {"corpus-en": "en", "corpus-zh": "zh"}
DEDUPLICATION_GOAL, PAIRS_GOAL, PAIRS_SHINGLES = 15, 77_000, 1509
DEDUPLICATION_VOLUME = 10
"""Times the text of signatures: finding has costs that don't grow with it."""

GRID = [tenth / 20 for tenth in range(1, 20)]
"""Jaccard indices at which the estimate is held against the truth."""


def sign(texts: Sequence[str], language: str, passes: int) -> None:
    """Make our signatures."""
    for _ in range(passes):
        sets = [similarity.shingles(text, SHINGLE_WORDS, language) for text in texts]
        similarity.signatures(sets, PERMUTATIONS)


def measure_signatures(name: str, python: str, corpus: str, rounds: int, volume: float) -> tuple[Row, str]:
    """Compare with one peer; return the row and the peer's version."""
    language, passes = LANGUAGES[corpus], PASSES[name]
    texts = documents(corpus, MEAN_BYTES, int(volume))
    size = sum(len(text.encode()) for text in texts) * passes / 1e6
    with Peer(python, str(Path(__file__).parent / "minhash_peer.py")) as peer:
        version = peer.ask(do="setup", peer=name, language=language, texts=texts)["version"]
        ours = partial(spent_by, partial(sign, texts, language, passes))
        found = in_turns(ours, lambda: Spent(**peer.ask(do="sign", passes=passes)), rounds)
    details = {
        "documents": len(texts),
        "mean_bytes": size * 1e6 / passes / len(texts),
        "rounds": rounds,
        "least_ratio": min(found.ratios),
        "largest_ratio": max(found.ratios),
        "processor_ratio": found.processor_ratio,
    }
    rates = [size / median_wall(runs) for runs in (found.ours, found.peer)]
    measured = f"MinHash signatures from raw text, {corpus}"
    told = f"{name} {version}"
    return Row(measured, "MB/s per core", *rates, told, found.ratio, GOALS[name], details), version


def measure_bias(pairs: int = 400) -> Row:
    """Hold estimates against the truth: sets of hashes of known Jaccard index, drawn by a fixed seed.

    Each index has `pairs` pairs. The mean error of all must be within two standard
    errors, as it is for 19 of 20 families without bias; those of each index are in the row.
    """
    drawn = np.random.default_rng(0)
    means, errors = {}, []
    for close in GRID:
        own = [_error(drawn, close) for _ in range(pairs)]
        errors += own
        means[f"{close:g}"] = [statistics.mean(own), statistics.stdev(own) / pairs**0.5]
    apart = abs(statistics.mean(errors)) / (statistics.stdev(errors) / len(errors) ** 0.5)
    details = {
        "pairs": len(errors),
        "mean_error": statistics.mean(errors),
        "farthest_of_grid": max(abs(mean) / error for mean, error in means.values()),
        "mean_and_standard_error": {
            close: [float(f"{figure:.2g}") for figure in found] for close, found in means.items()
        },
    }
    return Row(
        "Bias of the estimated Jaccard index", "standard errors", apart, None, "2 standard errors",
        2 / max(apart, 1e-9), 1, details,
    )  # fmt: skip


def _error(drawn: np.random.Generator, close: float, union: int = 800) -> float:
    """Return estimate less truth for two sets whose shingles are those of words."""
    hashes = np.unique(drawn.integers(0, 2**63, union, dtype=np.uint64) * np.uint64(2))
    drawn.shuffle(hashes)
    common = round(close * len(hashes))
    middle = (common + len(hashes)) // 2
    sets = [hashes[:middle], np.concatenate([hashes[:common], hashes[middle:]])]
    rows = similarity.signatures(sets, PERMUTATIONS)
    return float((rows[0] == rows[1]).mean()) - common / len(hashes)


def measure_pairs(rounds: int) -> Row:
    """Verify pairs: the exact Jaccard index of two sets that have most of their hashes in common."""
    drawn = np.random.default_rng(0)
    pairs = []
    for _ in range(2000):
        hashes = drawn.choice(2**32, PAIRS_SHINGLES + 150, replace=False).astype(np.uint32)
        pairs.append((np.sort(hashes[150:]), np.sort(hashes[:-150])))
    assert {len(one) for pair in pairs for one in pair} == {PAIRS_SHINGLES}
    compare = partial(spent_by, lambda: [nearness.jaccard(*pair) for pair in pairs])
    compare()
    rate = len(pairs) / median_wall([compare() for _ in range(rounds)])
    return Row(
        f"Exact Jaccard index, {PAIRS_SHINGLES} shingles", "pairs/s", rate, None, "the known rate",
        rate / PAIRS_GOAL, 1, {"rounds": rounds},
    )  # fmt: skip


def measure_deduplication(corpus: str, rounds: int, volume: float, here: InProcess) -> Row:
    """Find the near copies among documents of which every fifth is one; filters aren't counted."""
    language = LANGUAGES[corpus]
    texts = list(with_copies(documents(corpus, MEAN_BYTES, int(volume * 0.8)), language))
    size = sum(len(text.encode()) for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        ingested = ingest_texts(texts, folder)
        prepared = [spent_by(partial(_prepare, texts, language, folder)).wall for _ in range(rounds + 1)][1:]
        runs = [_curate(ingested, here) for _ in range(rounds + 1)][1:]
    seconds = statistics.median(prepared), statistics.median(linked for linked, _ in runs)
    rate = size / 1e6 / sum(seconds)
    details = {
        "documents": len(texts),
        "mean_bytes": size / len(texts),
        "rounds": rounds,
        "prepare_seconds": seconds[0],
        "find_seconds": seconds[1],
        **runs[0][1],
    }
    return Row(
        f"Fuzzy deduplication with verification, {corpus}", "MB/s per core", rate, None, "the asked rate",
        rate / DEDUPLICATION_GOAL, 1, details,
    )  # fmt: skip


def _prepare(texts: Sequence[str], language: str, folder: str) -> None:
    """Write what copies are found by, as the stage's first pass does of what its filters keep."""
    hashes = pa.array([text_hash(text) for text in texts], pa.binary(16))
    sets = [similarity.shingles(text, SHINGLE_WORDS, language) for text in texts]
    columns = {"text_hash": hashes, **comparable(sets, DeduplicationConfig())}
    pq.write_table(pa.table(columns), Path(folder) / "prepared.parquet", compression="zstd")


def with_copies(texts: Sequence[str], language: str) -> Iterator[str]:
    """Yield texts, and after every fourth a near copy of it: between 0.7 and 1 in the Jaccard index."""
    for number, text in enumerate(texts):
        yield text
        if number % 4 == 3:
            drawn = random.Random(number)
            yield edited(text, drawn.uniform(0.7, 1), language, drawn)


def ingest_texts(texts: Sequence[str], folder: str) -> tuple[str, str]:
    """Make a corpus of texts; return the folder and the corpus' URL."""
    lines = Path(folder) / "texts.jsonl.gz"
    with gzip.open(lines, "wt", encoding="utf-8", compresslevel=1) as stream:
        for number, text in enumerate(texts):
            stream.write(json.dumps({"id": f"{number:032d}", "text": text}, ensure_ascii=False) + "\n")
    source = FilesSource(alias="corpus", urls=[str(lines)])
    listed = IngestConfig(files=source, listing=list_source_files(source).digest)
    return folder, ingest.build({}, listed, folder, Resources(), SilentWatch())


def _curate(ingested: tuple[str, str], here: InProcess) -> tuple[float, dict[str, int]]:
    """Curate without filters; return the seconds between the first pass and the last, and what is kept."""
    folder, corpus = ingested
    here.steps.clear()
    url = curate.build({"corpora": [corpus]}, CurateConfig(preset="none"), folder, Resources(), SilentWatch())
    last = read_manifest(url).stats["funnel"][-1]
    shutil.rmtree(Path(folder) / "documents")
    steps = {step.name: step for step in here.steps}
    found = {"kept": last["documents"], "dropped": last["dropped"]}
    return steps["write"].begin - steps["judge"].end, found


def main() -> None:
    """Measure all of it, or what `--only` names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=2.0, help="text that signatures are made of")
    parser.add_argument("--rounds", type=int, default=7, help="runs, or pairs of runs, of each measure")
    parser.add_argument("--only", default="", help="signatures, bias, pairs or deduplication")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    signers, datatrove = python_of("signers", SIGNERS), python_of("datatrove", DATATROVE)
    print(f"on core {pin()}")
    here = without_ray()
    volume = options.megabytes * 1e6
    corpora = [corpus for corpus in LANGUAGES if has_corpus(corpus)]
    rows: list[Row] = []
    versions: dict[str, str] = {}
    for corpus in corpora if options.only in ("", "signatures") else []:
        for name in GOALS:
            python = datatrove if name == "datatrove" else signers
            row, versions[name] = measure_signatures(name, python, corpus, options.rounds, volume)
            rows.append(row)
    if options.only in ("", "bias"):
        rows.append(measure_bias())
    if options.only in ("", "pairs"):
        rows.append(measure_pairs(options.rounds))
    if options.only in ("", "deduplication"):
        more = DEDUPLICATION_VOLUME * volume
        rows += [measure_deduplication(corpus, options.rounds, more, here) for corpus in corpora]
    write("minhash", rows, versions, **({"folder": options.out} if options.out else {}))


if __name__ == "__main__":
    main()
