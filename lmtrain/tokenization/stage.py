"""Documents and a tokenizer to Arrow shards of token ids.

    documents ─ encode (each file) → by source and split, sorted ─ shard (each range of hashes) → shards

Each file of documents is encoded by itself, its rows sorted by the hash of
their ids; then each shard gathers its range of hashes from all of them. A shard
holds one source and one split, and is cut by tokens, never by workers. Canaries, if a recipe has some,
are encoded as one more file of training documents.
"""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from lmtrain.building import Attempt, Built, ShardOutput, ShardResult, build_once
from lmtrain.canaries import CanaryConfig, canaries
from lmtrain.config import Resources
from lmtrain.distributed.map import Split, map_shards
from lmtrain.errors import StageError
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.schemas import DOCUMENTS, SPLITS, STARTS, row_key, shard_schema, strings
from lmtrain.tokenization.boundaries import starts_of
from lmtrain.tokenization.config import ShardsConfig
from lmtrain.totals import BY_SOURCE_AND_LICENSE, added, totals_of
from lmtrain.watch import Watch

ENCODE_ROWS = 1024
"""Documents that are encoded in one call: bounds memory, changes no result."""


CANARIES = "canaries"
"""The shard of work in which canaries are encoded."""


@dataclass(frozen=True)
class Shared:
    """What the tasks of a tokenization have in common. Travels to workers."""

    attempt: Attempt
    tokenizer: FileRecord
    vocabulary: int
    starts: tuple[str, ...]
    batch_rows: int

    @property
    def schema(self) -> pa.Schema:
        """Columns of the shards."""
        return shard_schema(self.vocabulary, self.starts)


@dataclass(frozen=True)
class Range:
    """The rows of a shard: those of one source and split whose hash lies in [low, high)."""

    source: str
    split: str
    low: int
    high: int
    encoded: list[FileRecord]
    """The files that have rows of the source and split."""


def build(
    inputs: dict[str, list[str]], config: ShardsConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Write token shards; return the URL of their manifest."""

    def work(attempt: Attempt) -> Built:
        tokenizer = Artifact(inputs["tokenizer"][0])
        files = tokenizer.files("tokenizer")
        shared = Shared(
            attempt,
            next(record for record in files if record.path.endswith("/tokenizer.json")),
            tokenizer.stats["vocab_size"],
            tuple(name for name in STARTS if getattr(config, name)),
            config.batch_rows,
        )
        files = [record for url in inputs["documents"] for record in Artifact(url).files("documents")]
        encoded = map_shards(
            encode_file,
            [Split(f"{index:05d}", (f"{index:05d}", record)) for index, record in enumerate(files)],
            attempt, resources, watch, step="encode", shared=shared, unit="files",
        )  # fmt: skip
        records = [record for result in encoded for record in result.files]
        put_in = put_in_canaries(config.canaries, records, shared) if config.canaries.repetitions else None
        if put_in is not None:
            records += put_in.files
        written = map_shards(
            write_shard,
            plan_shards(attempt, records, config.shard_tokens),
            attempt, resources, watch, step="shard", shared=shared, unit="shards",
        )  # fmt: skip
        stats = _totals(written)
        stats[BY_SOURCE_AND_LICENSE] = {
            "tokenized": added(result.stats.get("tokenized", {}) for result in encoded)
        }
        if put_in is not None:
            stats["canaries"] = put_in.stats
        return Built([record for result in written for record in result.files], stats)

    return build_once(config, inputs, root, work)


def encode_file(payload: tuple[str, FileRecord], shared: Shared, output: ShardOutput) -> None:
    """Encode one numbered file of documents into a file for each source and split, sorted by hash.

    Its stats tell tokens by source and licence: here a document's tokens and its licence
    meet, for shards have no licences.
    """
    number, record = payload
    tokenizer = _tokenizer(shared)
    columns = ["id", "text", "source", "split", "language", "license"]
    parquet = pq.ParquetFile(shared.attempt.open(record))
    batches = [
        _encoded(batch, tokenizer, shared) for batch in parquet.iter_batches(ENCODE_ROWS, columns=columns)
    ]
    if not batches:
        return
    table = pa.concat_tables(batches)
    tokens = _list_lengths(table)
    output.stats = {"tokenized": totals_of(table, bytes=table["bytes"], tokens=tokens)}
    _write_encoded(table, number, shared, output)


def put_in_canaries(config: CanaryConfig, encoded: list[FileRecord], shared: Shared) -> ShardResult:
    """Encode each canary as often as it is to stand in the training text, a document each time.

    They are documents of the source that has the most training documents, so that they are read as often as
    its text is. Ingestion would be too early: deduplication drops repetitions.

    Args:
        config: which canaries.
        encoded: what the documents became.
        shared: what tasks have in common.

    Raises:
        StageError: there is no training text.
    """
    done = shared.attempt.finished(CANARIES)
    if done is not None:
        return done
    documents: Counter[str] = Counter()
    for record in encoded:
        if record.split == "train":
            documents[str(record.source)] += record.rows or 0
    if not documents:
        raise StageError("tokenize.canaries: there is no training text to put them into")
    source = min(documents, key=lambda name: (-documents[name], name))
    copies = [(one, copy) for one in canaries(config) for copy in range(one.repetitions)]
    columns = {
        "id": [f"{one.id}-{copy:04d}" for one, copy in copies],
        "text": [one.text() for one, _ in copies],
        "source": [source] * len(copies),
        "split": ["train"] * len(copies),
        "language": [config.language] * len(copies),
        "license": [""] * len(copies),
    }
    schema = pa.schema([DOCUMENTS.field(name) for name in columns])
    table = _encoded(pa.record_batch(columns, schema=schema), _tokenizer(shared), shared)
    with shared.attempt.shard(CANARIES) as output:
        _write_encoded(table, CANARIES, shared, output)
        tokens = int(_list_lengths(table).sum())
        output.stats = {"documents": len(copies), "tokens": tokens, "source": source}
    assert output.result is not None, "it was just recorded"
    return output.result


def _write_encoded(table: pa.Table, number: str, shared: Shared, output: ShardOutput) -> None:
    """Write encoded documents, a file for each source and split, sorted by hash."""
    pairs = table.group_by(["source", "split"]).aggregate([])
    for source, split in sorted(zip(strings(pairs["source"]), strings(pairs["split"]), strict=True)):
        chosen = pc.and_(
            *(pc.equal(table[name], pa.scalar(one)) for name, one in (("source", source), ("split", split)))
        )
        rows = table.filter(chosen).drop_columns(["source", "split", "license"])
        rows = rows.sort_by([("key", "ascending"), ("id", "ascending")])
        name = f"encoded-{number}-{source}-{split}.arrow"
        _write_stream(rows, output.path(name), shared.batch_rows)
        output.add(name, "encoded", rows=rows.num_rows, split=split, source=source)


def _tokenizer(shared: Shared) -> Tokenizer:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the parallelism is that of the tasks
    tokenizer = Tokenizer.from_file(str(shared.attempt.open(shared.tokenizer)))
    tokenizer.encode_special_tokens = True  # a text that writes <|endoftext|> means these letters
    return tokenizer


def _encoded(batch: pa.RecordBatch, tokenizer: Tokenizer, shared: Shared) -> pa.Table:
    """Encode documents; positions in the text are worked out only where they are asked for."""
    texts, identities = strings(batch["text"]), strings(batch["id"])
    encode = tokenizer.encode_batch if shared.starts else tokenizer.encode_batch_fast
    encodings = encode(texts, add_special_tokens=False)
    ids = [one.ids for one in encodings]  # each look at them makes a new list
    offsets = np.zeros(len(ids) + 1, np.int32)
    np.cumsum([len(one) for one in ids], out=offsets[1:])
    width = shared.schema.field("input_ids").type.value_type
    flat = np.fromiter(chain.from_iterable(ids), width.to_pandas_dtype(), offsets[-1])
    columns: dict[str, Any] = {
        "id": batch["id"],
        "source": batch["source"],
        "split": batch["split"],
        "license": batch["license"],
        "key": pa.array([row_key(one) for one in identities], pa.uint64()),
        "input_ids": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat, width)),
        "bytes": pc.binary_length(cast("pa.LargeStringArray", batch["text"])).cast(pa.int64()),
    }
    if shared.starts:
        languages = strings(batch["language"])
        for name in shared.starts:
            found = [
                starts_of(name, text, language, encoding)
                for text, language, encoding in zip(texts, languages, encodings, strict=True)
            ]
            columns[name] = pa.array(found, shared.schema.field(name).type)
    return pa.table(columns)


def _write_stream(table: pa.Table, path: Path, batch_rows: int) -> None:
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=batch_rows)


def read_stream(path: Path) -> pa.Table:
    """Open an Arrow stream in place: memory-mapped, nothing copied."""
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def plan_shards(attempt: Attempt, encoded: list[FileRecord], shard_tokens: int) -> list[Split]:
    """Cut each source and split into ranges of hashes that hold about `shard_tokens` tokens.

    Holds 16 bytes for each document of one source and split.
    """
    files: dict[tuple[str, str], list[FileRecord]] = defaultdict(list)
    for record in encoded:
        files[str(record.source), str(record.split)].append(record)
    planned = []
    for source, split in sorted(files, key=lambda pair: (pair[0], SPLITS.index(pair[1]))):
        records = files[source, split]
        tables = [read_stream(attempt.open(record)) for record in records]
        hashed = np.concatenate([table["key"].to_numpy() for table in tables])
        lengths = np.concatenate([_list_lengths(table) for table in tables])
        order = np.argsort(hashed, kind="stable")
        ordered, tokens = hashed[order], np.cumsum(lengths[order])
        cuts = np.searchsorted(tokens, np.arange(shard_tokens, tokens[-1], shard_tokens))
        bounds = [0, *sorted({int(ordered[cut]) for cut in cuts if cut > 0}), 1 << 64]
        for index, (low, high) in enumerate(pairwise(bounds)):
            planned.append(Split(f"{source}-{split}-{index:05d}", Range(source, split, low, high, records)))
    return planned


def _list_lengths(table: pa.Table) -> np.ndarray:
    return np.asarray(pc.list_value_length(table["input_ids"]).to_numpy(), dtype=np.int64)


def write_shard(rows: Range, shared: Shared, output: ShardOutput) -> None:
    """Gather the rows of one source, split and range of hashes, in the order of the hash."""
    parts = []
    for record in rows.encoded:
        table = read_stream(shared.attempt.open(record))
        keys = table["key"].to_numpy()
        begin, end = _place(keys, rows.low), _place(keys, rows.high)
        parts.append(table.slice(begin, end - begin))
    table = pa.concat_tables(parts).sort_by([("key", "ascending"), ("id", "ascending")])
    table = table.select(shared.schema.names).cast(shared.schema)
    name = f"{rows.source}-{rows.split}-{rows.low:016x}.arrow"
    _write_stream(table, output.path(name), shared.batch_rows)
    output.add(name, "shards", rows=table.num_rows, split=rows.split, source=rows.source)
    output.stats = {
        "source": rows.source,
        "split": rows.split,
        "documents": table.num_rows,
        "tokens": int(_list_lengths(table).sum()),
        "bytes": int(pc.sum(table["bytes"]).as_py() or 0),
        "largest_id": int(pc.max(pc.list_flatten(table["input_ids"])).as_py() or 0),
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
    totals["largest_id"] = max((result.stats.get("largest_id", 0) for result in written), default=0)
    rows = totals["by_split"].values()
    totals["bytes_per_token"] = round(
        sum(row["bytes"] for row in rows) / sum(row["tokens"] for row in rows), 4
    )
    return totals
