"""Packed rows are the documents joined: no token lost, none seen by another document."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lmtrain.modeling.isolation import attention_mask
from lmtrain.objectives.clm import CausalLM
from lmtrain.schemas import shard_schema
from lmtrain.training.packing import PADDING, PackedRows

END = 0


def write_shard(path: Path, documents: list[list[int]], batch_rows: int = 2) -> Path:
    table = pa.table(
        {
            "id": [str(index) for index in range(len(documents))],
            "input_ids": documents,
            "bytes": [1] * len(documents),
        },
    ).cast(shard_schema(1000))
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return path


DOCUMENTS = [[[5, 6], [7], [], [8, 9, 10, 11, 12]], [[13], [14, 15, 16]]]


@pytest.fixture
def paths(tmp_path):
    return [write_shard(tmp_path / f"{index}.arrow", part) for index, part in enumerate(DOCUMENTS)]


@pytest.mark.parametrize("row_tokens", [1, 2, 3, 5, 8, 100])
def test_rows_joined_are_the_documents_joined(paths, row_tokens):
    rows = PackedRows({"a": paths}, row_tokens, END)
    stream = [END]
    for part in DOCUMENTS:
        for document in part:
            stream += [*document, END]
    taken = rows.take(np.arange(len(rows)))
    inputs = np.concatenate([row.tokens[:-1] for row in taken])
    targets = np.concatenate([row.tokens[1:] for row in taken])
    assert inputs[inputs != PADDING].tolist()[: len(stream) - 1] == stream[:-1]
    assert targets[targets != PADDING].tolist() == stream[1:]


@pytest.mark.parametrize("row_tokens", [3, 8])
def test_every_token_is_a_target_exactly_once(paths, row_tokens):
    rows = PackedRows({"a": paths}, row_tokens, END)
    batch = CausalLM(pad=1).collate(rows.take(np.arange(len(rows))), np.arange(len(rows)), np.zeros(1), 0)
    seen = Counter(batch["labels"][batch["labels"] != -100].tolist())
    wanted = Counter(token for part in DOCUMENTS for document in part for token in document)
    wanted[END] = sum(len(part) for part in DOCUMENTS)
    assert seen == wanted


def test_sources_keep_to_rows_of_their_own(tmp_path, paths):
    other = write_shard(tmp_path / "b.arrow", [[20, 21]])
    rows = PackedRows({"b": [other], "a": paths}, 8, END)
    last = rows.take(np.array([len(rows) - 1]))[0]
    assert last.tokens.tolist() == [END, 20, 21, END] + [PADDING] * 5


def test_positions_begin_anew_in_each_document(paths):
    row = PackedRows({"a": paths}, 8, END).take(np.array([0]))
    batch = CausalLM(pad=1).collate(row, np.array([0]), np.zeros(1), 0)
    # stream: 0 5 6 | 0 7 | 0 | 0 8 ...
    assert batch["position_ids"][0].tolist() == [0, 1, 2, 0, 1, 0, 0, 1]


def test_the_mask_lets_a_token_see_earlier_tokens_of_its_document_only(paths):
    row = PackedRows({"a": paths}, 8, END).take(np.array([0]))
    batch = CausalLM(pad=1).collate(row, np.array([0]), np.zeros(1), 0)
    numbers = batch["document"]
    mask = attention_mask(numbers, numbers, "sdpa", torch.float32, causal=True)[0, 0]
    document = numbers[0]
    for query in range(8):
        for key in range(8):
            assert bool(mask[query, key] == 0) == (key <= query and document[query] == document[key])
