"""The loader: how fast it makes batches, and how long a training waits for them.

`make bench-loading` runs it. Real texts are encoded and written as shards of two
sources; then batches are made of them on one core, for each kind of row, beside
a bare copy of as many bytes; and with the loader's thread beside a training
thread that multiplies matrices for as long as a step at 100,000 tokens/s takes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from corpora import documents, has_corpus
from figures import Row, write
from paired import pin

from lmtrain.objectives.clm import CausalLM
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.mixing import training_order
from lmtrain.schemas import shard_schema
from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.training import train
from lmtrain.training.loading import Loader
from lmtrain.training.packing import PackedRows
from lmtrain.training.process import Process

STEP_RATE = 100_000
"""Tokens/s of the training that must not wait."""

GOAL = 0.01
"""Most of a step that loading may take."""

VOCABULARY = 8192
SHARD_DOCUMENTS = 2000
MICRO_ROWS = 16
KINDS = {
    "concatenate": {},
    "best fit": {"packing": "best_fit"},
    "one document a row": {"packing": "none"},
    "mixed by temperature": {"mixing": {"temperature": 0.5}},
}


def shards_of(texts: list[str], folder: Path) -> dict[str, list[Path]]:
    """Encode texts and write them as shards of two sources, three documents in four to the first."""
    tokenizer = train(iter(texts), TokenizerSettings(vocab_size=VOCABULARY))
    encoded = [one.ids for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    paths: dict[str, list[Path]] = {}
    for source, chosen in (
        ("large", [n for n in range(len(texts)) if n % 4]),
        ("small", range(0, len(texts), 4)),
    ):
        for low in range(0, len(chosen), SHARD_DOCUMENTS):
            numbers = chosen[low : low + SHARD_DOCUMENTS]
            columns = {
                "id": [f"d{number}" for number in numbers],
                "input_ids": [encoded[number] for number in numbers],
                "bytes": [len(texts[number].encode()) for number in numbers],
            }
            table = pa.table(columns, schema=pa.schema(shard_schema(VOCABULARY)))
            path = folder / f"{source}-{low}.arrow"
            with pa.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=512)
            paths.setdefault(source, []).append(path)
    return paths


def loader_of(paths: dict[str, list[Path]], row_tokens: int, settings: dict) -> Loader:
    """Open the shards as a training does."""
    config = PretrainConfig.model_validate({"row_tokens": row_tokens, **settings})
    rows = PackedRows(paths, row_tokens, 0, packing=config.packing, vocabulary=VOCABULARY)
    order = training_order(config, rows)
    return Loader(rows, CausalLM(1), config.seed, MICRO_ROWS, Process(), order)


def rates(loader: Loader, batch_rows: int, seconds: float) -> tuple[float, float]:
    """Return the tokens/s of batches made in this thread, and of a copy of as many bytes; medians.

    Args:
        loader: makes the batches.
        batch_rows: rows of one.
        seconds: for which it is looked at.
    """
    made, copied = [], []
    for batches in _batches(loader, batch_rows, seconds, made):
        tokens = sum(batch.targets for batch in batches)
        made[-1] = tokens / made[-1]
        begun = time.perf_counter()
        for batch in batches:
            for value in batch.tensors.values():
                value.numpy().copy()
        copied.append(tokens / (time.perf_counter() - begun))
    return statistics.median(made), statistics.median(copied)


def _batches(loader: Loader, rows: int, seconds: float, took: list[float]) -> Iterator[list]:
    loader.take(0, rows)  # kernels are compiled, files are read
    start, end = rows, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        batches = loader.take(start, rows)
        took.append(time.perf_counter() - begun)
        start += rows
        yield batches


def waiting(loader: Loader, batch_rows: int, steps: int) -> float:
    """Return the share of its time in which a training waits for its loader's thread."""
    matrix = torch.rand(256, 256)
    loader.take(0, batch_rows)
    loader.prepare(0, batch_rows)
    waited, begun = 0.0, time.perf_counter()
    for step in range(steps):
        asked = time.perf_counter()
        batches = loader.take(step * batch_rows, batch_rows)
        waited += time.perf_counter() - asked
        loader.prepare((step + 1) * batch_rows, batch_rows)
        tokens = sum(batch.tokens for batch in batches)
        _multiply(matrix, until=time.perf_counter() + tokens / STEP_RATE)
    loader.close()
    return waited / (time.perf_counter() - begun)


def _multiply(matrix: torch.Tensor, until: float) -> None:
    """Compute as a training does, until a time of the clock."""
    while time.perf_counter() < until:
        torch.mm(matrix, matrix)


def measure(corpus: str, options: argparse.Namespace) -> Iterator[Row]:
    """Measure every kind of row on one corpus."""
    texts = documents(corpus, 0, options.volume)
    with tempfile.TemporaryDirectory() as folder:
        paths = shards_of(texts, Path(folder))
        for row_tokens in (512, 2048):
            for kind, settings in KINDS.items():
                yield from _rows(
                    f"{kind}, rows of {row_tokens}, {corpus}", paths, row_tokens, settings, options
                )


def _rows(
    name: str, paths: dict[str, list[Path]], row_tokens: int, settings: dict, options: argparse.Namespace
) -> Iterator[Row]:
    opening, loader = _timed(lambda: loader_of(paths, row_tokens, settings))
    batch_rows = options.batch_tokens // row_tokens
    made, copied = rates(loader, batch_rows, options.seconds)
    share = waiting(loader, batch_rows, options.steps)
    assert isinstance(loader.rows, PackedRows)
    packed = loader.rows.figures()
    details = {
        "copy_tokens_per_second": copied,
        "padding": packed["padding"],
        "documents_cut": packed["documents_cut"],
        "opening_seconds": opening,
    }
    floor = STEP_RATE / GOAL
    told = f"{floor:,.0f} tokens/s: {GOAL:.0%} of a step at {STEP_RATE:,}"
    yield Row(f"batches of {name}", "tokens/s", made, None, told, made / floor, 1.0, details)
    told = f"{GOAL:.0%} of a step at {STEP_RATE:,} tokens/s"
    ratio = GOAL / max(share, 1e-6)
    yield Row(f"waiting for {name}", "share", share, None, told, ratio, 1.0, {"steps": options.steps})


def _timed(work: Callable[[], Loader]) -> tuple[float, Loader]:
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def main() -> None:
    """Measure on the English and the Chinese corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volume", type=int, default=40_000_000, help="bytes of text")
    parser.add_argument("--seconds", type=float, default=3.0, help="for which batches are made, each kind")
    parser.add_argument("--steps", type=int, default=40, help="for which a training waits, each kind")
    parser.add_argument("--batch-tokens", type=int, default=16_384, help="of a batch")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"on core {pin()}")
    rows = [
        row for corpus in ("corpus-en", "corpus-zh") if has_corpus(corpus) for row in measure(corpus, options)
    ]
    write("loading", rows, {"torch": torch.__version__, "numpy": np.__version__}, **(
        {"folder": options.out} if options.out else {}
    ))  # fmt: skip


if __name__ == "__main__":
    main()
