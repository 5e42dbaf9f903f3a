"""However documents become rows, every token is a target once, and for any number of workers."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import END, KINDS, all_rows, joined, made, pairs_in, pairs_of, shards_and_skipped, written

from lmtrain.errors import CorruptArtifactError
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.loading import Loader
from lmtrain.training.order import DataOrder, MixedOrder
from lmtrain.training.packing import PAD_MULTIPLE, PackedRows
from lmtrain.training.process import Process

PAD = 999


def opened(folder: Path, shards, packing: str, row_tokens: int) -> PackedRows:
    return PackedRows(written(folder, shards), row_tokens, END, packing=packing)


@settings(max_examples=100, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9), st.sampled_from(KINDS))
def test_every_token_and_every_end_is_a_target_once(tmp_path_factory, given_shards, row_tokens, packing):
    shards, skipped = given_shards
    left = [[document for document in part if document[0] not in skipped] for part in shards]
    paths = written(tmp_path_factory.mktemp("shards"), shards)
    for some in (paths, joined(paths)):
        rows = PackedRows(some, row_tokens, END, skipped, packing)
        batch = rows.take(np.arange(len(rows)))
        assert pairs_in(batch.inputs, batch.targets) == pairs_of(left)


@settings(max_examples=60, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9), st.sampled_from(KINDS))
def test_documents_in_a_row_are_told_apart_and_named(tmp_path_factory, given_shards, row_tokens, packing):
    shards, _ = given_shards
    rows = opened(tmp_path_factory.mktemp("shards"), shards, packing, row_tokens)
    texts = {name: [END, *tokens, END] for part in shards for name, tokens in part}
    indices = np.arange(len(rows))[::-1]
    batch, names = rows.take(indices), rows.documents(indices)
    for row, own in zip(batch, names, strict=True):
        used = row.targets >= 0
        assert not (np.diff(used.astype(int)) > 0).any(), "padding stands at the end"
        assert row.document[used].tolist() == sorted(row.document[used].tolist())
        assert set(row.document[~used].tolist()) <= {len(own)}, "padding is a document of its own"
        for number, name in enumerate(own):
            here = row.document == number
            piece = [*row.inputs[here].tolist(), int(row.targets[here][-1])]
            assert any(texts[name][at : at + len(piece)] == piece for at in range(len(texts[name])))
            assert row.targets[here].tolist() == piece[1:]


@pytest.mark.parametrize("packing", KINDS)
def test_a_row_does_not_depend_on_the_rows_beside_it(tmp_path, packing):
    rows = opened(tmp_path, made([[3, 0, 20, 7, 1], [5, 5, 9]]), packing, 8)
    alone = all_rows(rows)
    for row, (_, targets, document) in zip(rows.take(np.arange(len(rows))), alone, strict=True):
        width = len(targets)
        assert (row.targets.tolist()[:width], row.document.tolist()[:width]) == (targets, document)


def test_best_fit_leaves_documents_whole_that_fit_into_a_row(tmp_path):
    shards = made([[3, 0, 20, 7, 1, 6, 2, 14, 7]])
    rows = opened(tmp_path, shards, "best_fit", 8)
    where = rows.rows_of({name for name, _ in shards[0]})
    assert all(len(where[name]) == -(-(len(tokens) + 1) // 8) for name, tokens in shards[0] if tokens)
    assert rows.figures()["documents_cut"] == round(2 / 9, 6)
    assert rows.figures()["rows"] == 9, "69 slots fill nine rows of 8 but for three"
    assert rows.figures()["padding"] == round(3 / 72, 6)


def test_without_packing_rows_are_as_wide_as_the_longest_needs_it(tmp_path):
    rows = opened(tmp_path, made([[3, 70, 300]]), "none", 200)
    assert rows.lengths.tolist() == [4, 71, 200, 101]
    assert [rows.take(np.array([index])).inputs.shape[1] for index in range(4)] == [
        PAD_MULTIPLE,
        2 * PAD_MULTIPLE,
        200,
        2 * PAD_MULTIPLE,
    ]
    assert rows.figures() == {
        "kind": "none", "rows": 4, "padding": round(1 - 376 / 800, 6), "documents_cut": round(1 / 3, 6),
    }  # fmt: skip


def test_figures_of_joined_documents_count_those_that_a_row_ends_in(tmp_path):
    rows = opened(tmp_path, made([[3, 3, 3]]), "concatenate", 6)
    assert rows.figures() == {
        "kind": "concatenate", "rows": 2, "padding": 0.0, "documents_cut": round(1 / 3, 6),
    }  # fmt: skip


def batches_of(rows: PackedRows, world: int, sizes: list[int], order: DataOrder | None) -> list[list]:
    """Return for each global batch the pairs of input and target of all workers, in their order."""
    found = []
    loaders = [Loader(rows, CausalLM(PAD), 3, 2, Process(rank, world), order) for rank in range(world)]
    start = 0
    for size in sizes:
        batch = []
        for loader in loaders:
            for micro, *_ in loader.take(start, size):
                used = micro["labels"].numpy() != -100
                pairs = micro["input_ids"].numpy()[used], micro["labels"].numpy()[used]
                batch += zip(*(side.tolist() for side in pairs), strict=True)
        found.append(batch)
        start += size
    for loader in loaders:
        loader.close()
    return found


LENGTHS = [[3, 0, 20, 7, 1, 6, 2, 14, 7, 5], [4, 4, 9, 30], [8]]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KINDS), st.booleans(), st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_any_number_of_workers_reads_each_token_of_an_epoch_once(tmp_path_factory, packing, mixed, sizes):
    shards = made(LENGTHS)
    rows = opened(tmp_path_factory.mktemp("shards"), shards, packing, 8)
    order = MixedOrder(rows.first_row, [512, 384, 128], 3, rows.lengths) if mixed else None
    sizes = [*sizes, max(1, len(rows) - sum(sizes))]
    whole = batches_of(rows, 1, sizes, order)
    for world in (2, 3):  # of which some have shorter slices than others, or none
        assert batches_of(rows, world, sizes, order) == whole
    if not mixed and sum(sizes) == len(rows):
        assert sorted(pair for batch in whole for pair in batch) == pairs_of(shards)


@pytest.mark.parametrize("packing", KINDS)
def test_each_epoch_of_a_mixed_source_reads_each_of_its_tokens_once(tmp_path, packing):
    shards = made(LENGTHS)
    rows = opened(tmp_path, shards, packing, 8)
    epochs, indices = MixedOrder(rows.first_row, [512, 384, 128], 3, rows.lengths).at(0, 2048)
    for (low, high), own in zip(pairwise(rows.first_row), shards, strict=True):
        here = (indices >= low) & (indices < high)
        for epoch in range(epochs[here].max()):
            batch = rows.take(indices[here & (epochs == epoch)])
            assert pairs_in(batch.inputs, batch.targets) == pairs_of([own])


@pytest.mark.parametrize("packing", KINDS)
def test_ids_beyond_the_vocabulary_are_refused_before_a_model_sees_them(tmp_path, packing):
    rows = PackedRows(written(tmp_path, made([[3, 4]])), 8, END, packing=packing, vocabulary=8)
    with pytest.raises(CorruptArtifactError, match="source0 hold token 8, but the vocabulary has 8 entries"):
        rows.take(np.arange(len(rows)))
