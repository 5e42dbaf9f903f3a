"""Spans that are taken out: how long and how many, and that source and target give the text back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import FIRST, FRAMED, ROW, VOCABULARY, framed_rows, tiny_model

from lmtrain.errors import RecipeError
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.denoising import Denoising
from lmtrain.objectives.gap_sentences import GapSentences, overlaps
from lmtrain.objectives.span_corruption import SpanCorruption, piece_tokens
from lmtrain.objectives.spans import poisson_spans, span_counts, t5_spans

SENTINELS = tuple(range(1000, 1100))
IDS = SpecialIds(begin=0, end=2, pad=1, mask=3, sentinels=SENTINELS)


@given(st.integers(0, 200), st.floats(0.05, 0.6), st.floats(1, 8), st.integers(0, 99))
def test_spans_are_apart_and_as_many_as_told(tokens, share, mean, seed):
    begins, lengths = t5_spans(tokens, share, mean, np.random.default_rng(seed))
    assert (lengths.sum(), len(lengths)) == span_counts(tokens, share, mean)
    assert (lengths > 0).all()
    assert (begins[1:] > (begins + lengths)[:-1]).all()
    assert not len(begins) or (begins[0] > 0 and begins[-1] + lengths[-1] == tokens)


def test_spans_have_the_mean_length_and_take_the_share():
    found = [t5_spans(500, 0.15, 3.0, np.random.default_rng(seed))[1] for seed in range(50)]
    lengths = np.concatenate(found)
    assert lengths.mean() == pytest.approx(3.0, abs=0.1)
    assert lengths.sum() / (50 * 500) == pytest.approx(0.15, abs=0.002)
    assert lengths.std() > 1


@given(st.integers(2, 120), st.integers(0, 99))
def test_source_and_target_together_are_the_text(tokens, seed):
    objective = SpanCorruption(IDS, 128)
    text = np.arange(FIRST, FIRST + tokens)
    source, target = objective.corrupted(text, np.random.default_rng(seed))
    assert source[-1] == target[-1] == IDS.end
    spans: dict[int, list[int]] = {}
    for token in target[:-1].tolist():
        if token in SENTINELS:
            spans[token] = []
            last = token
        else:
            spans[last].append(token)
    assert list(spans) == list(SENTINELS[: len(spans)])
    back = [one for token in source[:-1].tolist() for one in spans.get(token, [token])]
    assert back == text.tolist()


@pytest.mark.parametrize("row_tokens", [16, 64, 512])
def test_pieces_are_as_long_as_a_row_of_source_allows(row_tokens):
    tokens = piece_tokens(row_tokens, 0.15, 3.0)
    objective = SpanCorruption(IDS, row_tokens)
    source, target = objective.corrupted(np.arange(tokens), np.random.default_rng(0))
    assert max(len(source), len(target)) <= row_tokens
    assert tokens > row_tokens


def test_a_tokenizer_without_sentinels_is_refused():
    with pytest.raises(RecipeError, match=r"0 sentinels; set tokenize\.special_tokens: t5"):
        SpanCorruption(SpecialIds(0, 2, 1), 128)


@given(st.integers(1, 200), st.floats(0.05, 0.6), st.integers(0, 99))
def test_poisson_spans_do_not_overlap_and_take_the_share(tokens, share, seed):
    begins, lengths = poisson_spans(tokens, share, 3.0, np.random.default_rng(seed))
    assert (begins[1:] >= (begins + lengths)[:-1]).all()
    assert lengths.sum() in (int(tokens * share), int(tokens * share) + 1)
    assert not len(begins) or begins[-1] + lengths[-1] <= tokens


def test_poisson_spans_have_their_lengths():
    found = [poisson_spans(500, 0.3, 3.0, np.random.default_rng(seed))[1] for seed in range(60)]
    lengths = np.concatenate([one[:-1] for one in found])  # the last one is cut to what is left
    assert lengths.mean() == pytest.approx(3.0, abs=0.15)
    assert (lengths == 0).mean() == pytest.approx(np.exp(-3), abs=0.02)


@given(st.integers(1, 60), st.integers(0, 199))
def test_a_corrupted_text_is_no_longer_and_what_stays_is_of_it(tokens, seed):
    objective = Denoising(IDS, 64, permute=False)
    text = np.arange(FIRST, FIRST + tokens)
    found = objective.corrupted(text, None, np.random.default_rng(seed))
    kept = found[found != IDS.mask]
    assert len(found) <= len(text)
    assert (np.diff(kept) > 0).all()
    assert set(kept.tolist()) <= set(text.tolist())


def test_sentences_change_places_and_stay_whole():
    objective = Denoising(IDS, 64, share=1e-9)
    text, begins = np.arange(20, 32), np.array([0, 3, 8])
    orders = set()
    for seed in range(60):
        found = objective.corrupted(text, begins, np.random.default_rng(seed))
        kept = found[found != IDS.mask].tolist()
        parts = {tuple(text[0:3]), tuple(text[3:8]), tuple(text[8:12])}
        assert sorted(kept) == text.tolist()
        at = [kept.index(part[0]) for part in parts]
        assert all(
            tuple(kept[place : place + len(part)]) == part for place, part in zip(at, parts, strict=True)
        )
        orders.add(tuple(kept))
    assert len(orders) == 6


def test_the_target_of_denoising_is_the_text_in_its_frame():
    batch = Denoising(FRAMED, ROW).collate(
        framed_rows([[20, 21, 22, 23, 24]], ROW - 2, frame=False), np.arange(1), np.zeros(1, int), 0
    )
    labels = batch["labels"][0]
    assert labels[labels >= 0].tolist() == [FRAMED.begin, 20, 21, 22, 23, 24, FRAMED.end]


def test_the_sentence_that_shares_most_with_the_rest_is_taken_out():
    text = np.array([5, 6, 7, 5, 6, 9, 30, 31, 32])
    source, target = GapSentences(IDS, 64, ratio=0.3).taken_out(text, np.array([0, 3, 6]))
    assert target.tolist() in ([5, 6, 7], [5, 6, 9])
    assert source.tolist() == [IDS.mask, 5, 6, 9, 30, 31, 32]


def test_overlap_is_rouge_1_with_the_rest():
    parts = [np.array([1, 2]), np.array([1, 3, 3]), np.array([9])]
    assert overlaps(parts)[0] == pytest.approx(2 * 1 / (2 + 4))
    assert overlaps(parts)[2] == 0.0


@pytest.mark.parametrize("tokens", [1, 2, 9])
def test_a_text_of_one_sentence_is_cut_in_the_middle(tokens):
    text = np.arange(20, 20 + tokens)
    source, target = GapSentences(IDS, 64).taken_out(text, np.array([0]))
    kept = source[source != IDS.mask].tolist()
    assert sorted([*kept, *target.tolist()]) == text.tolist()


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_row_of_an_encoder_decoder_has_the_loss_it_has_alone(family):
    model = tiny_model(family).double().eval()
    objective = SpanCorruption(FRAMED, ROW)
    texts = [list(range(20, 40)), list(range(30, 37))]

    def loss_of(rows: list[int]) -> float:
        given_rows = framed_rows([texts[row] for row in rows], ROW, frame=False)
        batch = objective.collate(given_rows, np.array(rows), np.zeros(len(rows), int), 0)
        return float(objective.loss(model, batch).detach())

    assert loss_of([0, 1]) == pytest.approx(loss_of([0]) + loss_of([1]), rel=1e-9)
    assert max(texts[0]) < VOCABULARY
