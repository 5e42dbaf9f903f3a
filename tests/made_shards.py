"""Token shards of a few documents, in which no two tokens are alike, and what their rows must hold."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from lmtrain.schemas import shard_schema
from lmtrain.training.packing import PackedRows

END = 0
KINDS = ("concatenate", "best_fit", "none")
Document = tuple[str, list[int]]
Shards = list[list[Document]]


def write_shard(path: Path, documents: list[Document], batch_rows: int = 2) -> Path:
    columns = {
        "id": [name for name, _ in documents],
        "input_ids": [tokens for _, tokens in documents],
        "bytes": [1] * len(documents),
    }
    table = pa.table(columns, schema=pa.schema(shard_schema(1000)))
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return path


def written(folder: Path, shards: Shards) -> dict[str, list[Path]]:
    """Write shards, each of a source of its own; one without documents isn't written, as in tokenization."""
    return {
        f"source{number}": [write_shard(folder / f"{number}.arrow", documents)]
        for number, documents in enumerate(shards)
        if documents
    }


def joined(paths: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Return all shards as those of one source."""
    return {"one": [path for own in paths.values() for path in own]}


def made(lengths: list[list[int]]) -> Shards:
    """Return shards of documents of these lengths."""
    shards, token = [], 1
    for part in lengths:
        documents = []
        for length in part:
            documents.append((f"d{token}", [*range(token, token + length)]))
            token += length + 1
        shards.append(documents)
    return shards


@st.composite
def shards_and_skipped(draw):
    lengths = draw(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=3))
    shards = made(lengths)
    names = [name for part in shards for name, _ in part]
    return shards, draw(st.sets(st.sampled_from(names))) if names else set()


def pairs_of(shards: Shards) -> list[tuple[int, int]]:
    """Return each input with its target, by the definition: the end token before and after each document."""
    found = []
    for part in shards:
        for _, tokens in part:
            found += pairwise([END, *tokens, END])
    return sorted(found)


def pairs_in(inputs: np.ndarray, targets: np.ndarray) -> list[tuple[int, int]]:
    """Return each input with its target, of rows in which padding is below 0."""
    assert ((inputs < 0) == (targets < 0)).all(), "a slot has both or neither"
    used = targets >= 0
    return sorted(zip(inputs[used].tolist(), targets[used].tolist(), strict=True))


def all_rows(rows: PackedRows) -> list[tuple[list[int], list[int], list[int]]]:
    taken = [rows.take(np.array([index]))[0] for index in range(len(rows))]
    return [(row.tokens.tolist(), row.targets.tolist(), row.document.tolist()) for row in taken]
