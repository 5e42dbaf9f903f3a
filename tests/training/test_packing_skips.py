"""Documents that are skipped leave no trace: the rows are those of shards that never held them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import END, KINDS, all_rows, joined, shards_and_skipped, written

from lmtrain.training.packing import PackedRows


@settings(max_examples=60, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9), st.sampled_from(KINDS))
def test_the_rows_without_documents_are_those_of_shards_without_them(
    tmp_path_factory, made, row_tokens, packing
):
    shards, skipped = made
    left = [[document for document in part if document[0] not in skipped] for part in shards]
    whole = written(tmp_path_factory.mktemp("whole"), shards)
    less = written(tmp_path_factory.mktemp("less"), left)
    for paths, paths_less in ((whole, less), (joined(whole), joined(less))):
        rows = all_rows(PackedRows(paths, row_tokens, END, skipped, packing))
        assert rows == all_rows(PackedRows(paths_less, row_tokens, END, packing=packing))
    everything = all_rows(PackedRows(whole, row_tokens, END, packing=packing))
    assert all_rows(PackedRows(whole, row_tokens, END, {"unknown"}, packing)) == everything


@settings(max_examples=60, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9), st.sampled_from(KINDS))
def test_the_rows_of_a_document_are_those_that_hold_its_tokens(tmp_path_factory, made, row_tokens, packing):
    shards, skipped = made
    paths = written(tmp_path_factory.mktemp("shards"), shards)
    rows = PackedRows(paths, row_tokens, END, skipped, packing)
    holding = [{*tokens, *targets} for tokens, targets, _ in all_rows(rows)]
    documents = {name: tokens for part in shards for name, tokens in part if name not in skipped}
    found = rows.rows_of({*documents, "unknown", *skipped})
    assert found.keys() == documents.keys()
    for name, tokens in documents.items():
        assert [*found[name]] == [n for n, row in enumerate(holding) if row.intersection(tokens)]


@pytest.mark.parametrize("packing", KINDS)
def test_a_source_that_loses_everything_has_no_rows(tmp_path, packing):
    paths = written(tmp_path, [[("one", [1, 2])]])
    assert len(PackedRows(paths, 4, END, {"one"}, packing)) == 0
    assert len(PackedRows(paths, 4, END, packing=packing)) == 1


def test_the_ids_of_documents_are_looked_at_only_where_some_are_skipped(tmp_path, monkeypatch):
    paths = written(tmp_path, [[("one", [1, 2])]])
    monkeypatch.setattr("lmtrain.training.shards.pc.is_in", lambda *_: pytest.fail("it was looked at"))
    assert len(PackedRows(paths, 4, END)) == 1
