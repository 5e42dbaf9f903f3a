"""Documents and a tokenizer to Arrow shards of token ids.

Two passes: each file of documents is encoded by itself, its rows sorted by the
hash of their ids; then each shard gathers its range of hashes from all of them.
A shard holds one source and one split, and is cut by tokens, never by workers.
"""

import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from lmtrain.building import Attempt, Built, ShardOutput, ShardResult, build_once
from lmtrain.config import Resources
from lmtrain.distributed.map import Split, map_shards
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.schemas import SPLITS, shard_schema, strings
from lmtrain.tokenization.config import ShardsConfig
from lmtrain.totals import BY_SOURCE_AND_LICENSE, added, totals_of
from lmtrain.watch import Watch

ENCODE_ROWS = 1024
"""Documents that are encoded in one call: bounds memory, changes no result."""


def build(
    inputs: dict[str, list[str]], config: ShardsConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Write token shards; return the URL of their manifest."""

    def work(attempt: Attempt) -> Built:
        tokenizer = Artifact(inputs["tokenizer"][0])
        files = tokenizer.files("tokenizer")
        shared = {
            "tokenizer": next(record for record in files if record.path.endswith("/tokenizer.json")),
            "vocabulary": tokenizer.stats["vocab_size"],
            "batch_rows": config.batch_rows,
            "attempt": attempt,
        }
        files = [record for url in inputs["documents"] for record in Artifact(url).files("documents")]
        encoded = map_shards(
            encode_file,
            [Split(f"{index:05d}", (f"{index:05d}", record)) for index, record in enumerate(files)],
            attempt, resources, watch, step="encode", shared=shared, unit="files",
        )  # fmt: skip
        shared["encoded"] = [record for result in encoded for record in result.files]
        written = map_shards(
            write_shard,
            plan_shards(attempt, shared["encoded"], config.shard_tokens),
            attempt, resources, watch, step="shard", shared=shared, unit="shards",
        )  # fmt: skip
        stats = _totals(written)
        stats[BY_SOURCE_AND_LICENSE] = {
            "tokenized": added(result.stats.get("tokenized", {}) for result in encoded)
        }
        return Built([record for result in written for record in result.files], stats)

    return build_once(config, inputs, root, work)


def row_key(identity: str) -> int:
    """Return the 64-bit hash that orders rows: neighbours of one manual shall not always meet."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")


def encode_file(payload: tuple[str, FileRecord], shared: dict[str, Any], output: ShardOutput) -> None:
    """Encode one numbered file of documents into rows sorted by source, split and hash of the id.

    Its stats tell tokens by source and licence: here a document's tokens and its licence
    meet, for shards have no licences.
    """
    number, record = payload
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the parallelism is that of the tasks
    attempt: Attempt = shared["attempt"]
    tokenizer = Tokenizer.from_file(str(attempt.open(shared["tokenizer"])))
    tokenizer.encode_special_tokens = True  # a text that writes <|endoftext|> means these letters
    width = shard_schema(shared["vocabulary"]).field("input_ids").type
    batches, tokenized = [], []
    columns = ["id", "text", "source", "split", "license"]
    for batch in pq.ParquetFile(attempt.open(record)).iter_batches(ENCODE_ROWS, columns=columns):
        texts = strings(batch["text"])
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        sizes, lengths = [len(text.encode()) for text in texts], [len(encoding.ids) for encoding in encodings]
        tokenized.append(totals_of(pa.Table.from_batches([batch]), bytes=sizes, tokens=lengths))
        batches.append(
            pa.table(
                {
                    "id": batch["id"],
                    "source": batch["source"],
                    "split": batch["split"],
                    "key": pa.array([row_key(one) for one in strings(batch["id"])], pa.uint64()),
                    "input_ids": pa.array([encoding.ids for encoding in encodings], width),
                    "bytes": pa.array(sizes, pa.int64()),
                }
            )
        )
    if not batches:
        return
    table = pa.concat_tables(batches)
    table = table.sort_by([(name, "ascending") for name in ("source", "split", "key", "id")])
    name = f"encoded-{number}.arrow"
    _write_stream(table, output.path(name), shared["batch_rows"])
    output.add(name, "encoded", rows=table.num_rows)
    output.stats = {"tokenized": added(tokenized)}


def _write_stream(table: pa.Table, path: Path, batch_rows: int) -> None:
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=batch_rows)


def read_stream(path: Path) -> pa.Table:
    """Open an Arrow stream in place: memory-mapped, nothing copied."""
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def plan_shards(attempt: Attempt, encoded: list[FileRecord], shard_tokens: int) -> list[Split]:
    """Cut each (source, split) into ranges of hashes that hold about `shard_tokens` tokens."""
    tables = [read_stream(attempt.open(record)) for record in encoded]
    keys = pa.concat_tables([table.select(["source", "split", "key"]) for table in tables])
    lengths = np.concatenate([_list_lengths(table) for table in tables])
    sources = np.asarray(keys["source"].to_pylist())
    splits = np.asarray(keys["split"].to_pylist())
    hashed = keys["key"].to_numpy()
    planned = []
    for source in sorted(set(sources)):
        for split in SPLITS:
            chosen = (sources == source) & (splits == split)
            if not chosen.any():
                continue
            order = np.argsort(hashed[chosen], kind="stable")
            tokens = np.cumsum(lengths[chosen][order])
            ordered = hashed[chosen][order]
            cuts = np.searchsorted(tokens, np.arange(shard_tokens, tokens[-1], shard_tokens))
            bounds = [0, *sorted({int(ordered[cut]) for cut in cuts if cut > 0}), 1 << 64]
            for index, (low, high) in enumerate(pairwise(bounds)):
                name = f"{source}-{split}-{index:05d}"
                planned.append(Split(name, {"source": source, "split": split, "low": low, "high": high}))
    return planned


def _list_lengths(table: pa.Table) -> np.ndarray:
    return np.asarray(pc.list_value_length(table["input_ids"]).to_numpy(), dtype=np.int64)


def write_shard(payload: dict[str, Any], shared: dict[str, Any], output: ShardOutput) -> None:
    """Gather the rows of one source, split and range of hashes, in the order of the hash."""
    attempt: Attempt = shared["attempt"]
    parts = []
    for record in shared["encoded"]:
        table = read_stream(attempt.open(record))
        rows = pc.and_(
            pc.equal(table["source"], payload["source"]),
            pc.equal(table["split"], payload["split"]),
        )
        table = table.filter(rows)
        keys = table["key"].to_numpy()
        bounds = [_place(keys, payload[end]) for end in ("low", "high")]
        parts.append(table.slice(bounds[0], bounds[1] - bounds[0]))
    table = pa.concat_tables(parts).sort_by([("key", "ascending"), ("id", "ascending")])
    table = table.select(["id", "input_ids", "bytes"]).cast(shard_schema(shared["vocabulary"]))
    name = f"{payload['source']}-{payload['split']}-{payload['low']:016x}.arrow"
    _write_stream(table, output.path(name), shared["batch_rows"])
    output.add(name, "shards", rows=table.num_rows, split=payload["split"], source=payload["source"])
    output.stats = {
        "source": payload["source"],
        "split": payload["split"],
        "documents": table.num_rows,
        "tokens": int(_list_lengths(table).sum()),
        "bytes": int(pc.sum(table["bytes"]).as_py() or 0),
    }


def _place(keys: np.ndarray, bound: int) -> int:
    """Return how many of the sorted keys lie below a bound, which may be 2^64."""
    return len(keys) if bound >= 1 << 64 else int(np.searchsorted(keys, np.uint64(bound)))


def _totals(written: list[ShardResult]) -> dict[str, Any]:
    counted = ("documents", "tokens", "bytes")
    totals: dict[str, Any] = {"by_split": {}, "by_source": {}}
    for result in written:
        for axis in ("split", "source"):
            row = totals[f"by_{axis}"].setdefault(result.stats[axis], dict.fromkeys(counted, 0))
            for name in counted:
                row[name] += result.stats[name]
    rows = totals["by_split"].values()
    totals["bytes_per_token"] = round(
        sum(row["bytes"] for row in rows) / sum(row["tokens"] for row in rows), 4
    )
    return totals
