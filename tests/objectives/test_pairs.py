"""Pairs of segments: how often they are changed, and that nothing of a text is lost."""

import numpy as np
import pytest
from tiny_models import FIRST, FRAMED, ROW, VOCABULARY, framed_rows, tiny_model

from lmtrain.objectives.packed import PackedBatch
from lmtrain.objectives.pairs import CHANGED, FRAME, IN_PLACE, NextSentence, SentenceOrder
from lmtrain.training.loading import Loader
from lmtrain.training.process import Process

ROWS = 400
TEXTS = [[FIRST + row % 60, *range(FIRST, FIRST + 19 + row % 9)] for row in range(ROWS)]
KINDS = [NextSentence, SentenceOrder]


class Pieces:
    """Rows of bare pieces."""

    lengths = None

    def __len__(self) -> int:
        return ROWS

    def take(self, indices: np.ndarray) -> PackedBatch:
        batch = framed_rows([TEXTS[index] for index in indices], ROW - FRAME, frame=False)
        return PackedBatch(batch.inputs, batch.targets, batch.document, batch.starts, np.array(indices))

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [[str(index)] for index in indices]


def batch_of(kind, **settings):
    objective = kind(FRAMED, VOCABULARY, ROW, **settings)
    return Loader(Pieces(), objective, 3, ROWS, Process()).take(0, ROWS)[0].tensors


def segments(batch, row: int) -> tuple[list[int], list[int]]:
    used = batch["input_ids"][row][batch["attention_mask"][row] == 1].tolist()
    types = batch["token_type_ids"][row][: len(used)].tolist()
    ends = [place for place, token in enumerate(used) if token == FRAMED.end]
    assert used[0] == FRAMED.begin
    assert ends == [types.index(1) - 1, len(used) - 1]
    return used[1 : ends[0]], used[ends[0] + 1 : ends[1]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_pair_is_changed(kind):
    labels = batch_of(kind, probability=0.0)["labels_of_pairs"]
    assert labels.float().mean() == pytest.approx(0.5, abs=0.07)


def test_swapped_segments_are_the_text_the_other_way_round():
    batch = batch_of(SentenceOrder, probability=0.0)
    found = []
    for row in range(ROWS):
        first, second = segments(batch, row)
        found.append(second + first if batch["labels_of_pairs"][row] == CHANGED else first + second)
    assert sorted(found) == sorted(TEXTS)


def test_a_second_segment_that_does_not_follow_is_of_another_row_and_no_longer():
    batch = batch_of(NextSentence, probability=0.0)
    for row in range(ROWS):
        first, second = segments(batch, row)
        own = [text for text in TEXTS if text[: len(first)] == first]
        follows = any(text[len(first) :] == second for text in own)
        if batch["labels_of_pairs"][row] == IN_PLACE:
            assert follows
        assert (
            any(second == text[at : at + len(second)] for text in TEXTS for at in range(0, len(text), 4))
            or follows
        )


@pytest.mark.parametrize("kind", KINDS)
def test_segments_are_cut_where_a_sentence_begins(kind):
    batch = batch_of(kind, probability=0.0)
    for row in range(ROWS):
        first, second = segments(batch, row)
        if batch["labels_of_pairs"][row] == IN_PLACE:
            assert len(first) % 4 == 0
            assert second


@pytest.mark.parametrize(
    ("kind", "family"), [(NextSentence, "bert"), (SentenceOrder, "albert"), (SentenceOrder, "bert")]
)
def test_both_losses_are_theirs(kind, family):
    model = tiny_model(family, "pairs").eval()
    objective = kind(FRAMED, VOCABULARY, ROW)
    batch = Loader(Pieces(), objective, 3, 8, Process()).take(0, 8)[0].tensors
    ours = objective.loss(model, batch).detach()
    theirs = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    logits = theirs.sop_logits if family == "albert" else theirs.seq_relationship_logits
    expected = -logits.log_softmax(-1).gather(1, batch["labels_of_pairs"][:, None]).sum()
    assert float(ours[1]) == pytest.approx(float(expected.detach()), rel=1e-5)
    counted = batch["labels"] >= 0
    tokens = theirs.prediction_logits.flatten(0, 1)[batch["places"][counted]].log_softmax(-1)
    expected = -tokens.gather(1, batch["labels"][counted][:, None]).sum()
    assert float(ours[0]) == pytest.approx(float(expected.detach()), rel=1e-5)
