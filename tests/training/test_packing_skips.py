"""Documents that are skipped leave no trace: the rows are those of shards that never held them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.schemas import shard_schema
from lmtrain.training.packing import PackedRows

END = 0
Shards = list[list[tuple[str, list[int]]]]


def written(folder: Path, shards: Shards) -> dict[str, list[Path]]:
    """Write shards, each of a source of its own; one without documents isn't written, as in tokenization."""
    paths = {}
    for number, documents in enumerate(shards):
        if not documents:
            continue
        columns = {
            "id": [name for name, _ in documents],
            "input_ids": [tokens for _, tokens in documents],
            "bytes": [1] * len(documents),
        }
        table = pa.table(columns, schema=pa.schema(shard_schema(1000)))
        path = folder / f"{number}.arrow"
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        paths[f"source{number}"] = [path]
    return paths


def joined(paths: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Return all shards as those of one source."""
    return {"one": [path for own in paths.values() for path in own]}


def all_rows(rows: PackedRows) -> list[tuple[list[int], list[int]]]:
    taken = rows.take(np.arange(len(rows)))
    return [(row.tokens.tolist(), row.document.tolist()) for row in taken]


@st.composite
def shards_and_skipped(draw):
    lengths = draw(st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=3))
    shards, token = [], 1
    for part in lengths:
        documents = []
        for length in part:
            documents.append((f"d{token}", [*range(token, token + length)]))
            token += length + 1
        shards.append(documents)
    names = [name for part in shards for name, _ in part]
    return shards, draw(st.sets(st.sampled_from(names))) if names else set()


@settings(max_examples=60, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9))
def test_the_stream_without_documents_is_that_of_shards_without_them(tmp_path_factory, made, row_tokens):
    shards, skipped = made
    left = [[document for document in part if document[0] not in skipped] for part in shards]
    whole = written(tmp_path_factory.mktemp("whole"), shards)
    less = written(tmp_path_factory.mktemp("less"), left)
    for paths, paths_less in ((whole, less), (joined(whole), joined(less))):
        rows = all_rows(PackedRows(paths, row_tokens, END, skipped))
        assert rows == all_rows(PackedRows(paths_less, row_tokens, END))
    everything = all_rows(PackedRows(whole, row_tokens, END))
    assert all_rows(PackedRows(whole, row_tokens, END, {"unknown"})) == everything


@settings(max_examples=60, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9))
def test_the_rows_of_a_document_are_those_that_hold_its_tokens(tmp_path_factory, made, row_tokens):
    shards, skipped = made
    paths = written(tmp_path_factory.mktemp("shards"), shards)
    rows = PackedRows(paths, row_tokens, END, skipped)
    holding = [set(tokens) for tokens, _ in all_rows(rows)]
    documents = {name: tokens for part in shards for name, tokens in part if name not in skipped}
    found = rows.rows_of({*documents, "unknown", *skipped})
    assert found.keys() == documents.keys()
    for name, tokens in documents.items():
        assert [*found[name]] == [n for n, row in enumerate(holding) if row.intersection(tokens)]


def test_a_source_that_loses_everything_has_no_rows(tmp_path):
    paths = written(tmp_path, [[("one", [1, 2])]])
    assert len(PackedRows(paths, 4, END, {"one"})) == 0
    assert len(PackedRows(paths, 4, END)) == 1


def test_the_ids_of_documents_are_looked_at_only_where_some_are_skipped(tmp_path, monkeypatch):
    paths = written(tmp_path, [[("one", [1, 2])]])
    monkeypatch.setattr("lmtrain.training.shards.pc.is_in", lambda *_: pytest.fail("it was looked at"))
    assert len(PackedRows(paths, 4, END)) == 1
