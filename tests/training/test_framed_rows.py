"""Framed pieces: joined they are the documents, however they are packed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import END, shards_and_skipped, written

from lmtrain.errors import RecipeError
from lmtrain.objectives.packed import Frame
from lmtrain.training.packing import PADDING, PackedRows

OPENING, CLOSING = 70_001, 70_002


def frames(tokens: int) -> list[Frame]:
    return [
        Frame(tokens),
        Frame(tokens, OPENING, CLOSING),
        Frame(tokens, closing=CLOSING),
        Frame(tokens, opening=OPENING),
    ]


@settings(max_examples=100, deadline=None)
@given(shards_and_skipped(), st.integers(1, 9), st.integers(0, 3), st.sampled_from(["best_fit", "none"]))
def test_pieces_joined_are_the_documents(tmp_path_factory, given_shards, tokens, which, packing):
    shards, skipped = given_shards
    frame = frames(tokens)[which]
    folder = tmp_path_factory.mktemp("shards")
    rows = PackedRows(written(folder, shards), frame.full, END, skipped, packing, frame=frame)
    wanted = {name: list(text) for part in shards for name, text in part if name not in skipped and len(text)}
    indices = np.arange(len(rows))
    batch, names = rows.take(indices), rows.documents(indices)
    pieces: dict[str, list[list[int]]] = {}
    for place, own in enumerate(names):
        for number, name in enumerate(own):
            piece = batch.inputs[place][batch.document[place] == number].tolist()
            assert PADDING not in piece
            if frame.opening is not None:
                assert piece.pop(0) == frame.opening
            if frame.closing is not None:
                assert piece.pop() == frame.closing
            assert 1 <= len(piece) <= tokens
            pieces.setdefault(name, []).append(piece)
        assert (batch.inputs[place][batch.document[place] >= len(own)] == PADDING).all()
    assert pieces.keys() == wanted.keys()
    for name, text in wanted.items():
        assert sum(map(len, pieces[name])) == len(text)
        cut = [text[at : at + tokens] for at in range(0, len(text), tokens)]
        assert sorted(pieces[name]) == sorted(cut)


def test_a_column_that_is_not_there_is_named(tmp_path):
    paths = written(tmp_path, [[("a", [1, 2, 3])]])
    frame = Frame(8, starts=("sentence_starts",))
    with pytest.raises(RecipeError, match=r"no sentence_starts.*set tokenize\.sentence_starts: true"):
        PackedRows(paths, frame.full, END, packing="none", frame=frame)
