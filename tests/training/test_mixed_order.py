"""Sources by weight: blocks are exact, sources keep epochs of their own, any cut reads the same rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.training.order import BLOCK, RUN, MixedOrder, PermutedOrder, permute

FIRST_ROW = np.array([0, 700, 710, 4000])
COUNTS = [500, 24, 500]


def sources_of(rows: np.ndarray) -> np.ndarray:
    return np.searchsorted(FIRST_ROW, rows, side="right") - 1


@pytest.mark.parametrize("lengths", [None, np.random.default_rng(0).integers(1, 500, 4000)])
def test_each_block_holds_as_many_rows_of_each_source_as_its_weight_says(lengths):
    order = MixedOrder(FIRST_ROW, COUNTS, 5, lengths)
    for block in range(4):
        _, rows = order.at(block * BLOCK, (block + 1) * BLOCK)
        assert np.bincount(sources_of(rows)).tolist() == COUNTS


def test_the_kth_row_of_a_source_is_the_kth_of_its_own_passes():
    epochs, rows = MixedOrder(FIRST_ROW, COUNTS, 5).at(0, 4 * BLOCK)
    for source, (low, high) in enumerate(pairwise(FIRST_ROW)):
        here = sources_of(rows) == source
        seen = np.arange(here.sum())
        assert epochs[here].tolist() == (seen // (high - low)).tolist()
        for epoch in np.unique(epochs[here]):
            places = seen[epochs[here] == epoch] % (high - low)
            expected = low + permute(places, int(high - low), 5, int(epoch))
            assert rows[here][epochs[here] == epoch].tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=8), st.integers(0, 3000))
def test_any_cut_into_batches_reads_the_same_rows(sizes, start):
    order = MixedOrder(FIRST_ROW, COUNTS, 5)
    whole = order.at(start, start + sum(sizes))
    ends = np.cumsum([start, *sizes])
    parts = [order.at(low, high) for low, high in pairwise(ends)]
    for side in (0, 1):
        assert whole[side].tolist() == [value for part in parts for value in part[side].tolist()]


def test_rows_seen_are_counted_by_source():
    order = MixedOrder(FIRST_ROW, COUNTS, 5)
    for stop in (0, 1, 100, BLOCK, 3 * BLOCK + 17):
        counted = np.bincount(sources_of(order.at(0, stop)[1]), minlength=3)
        assert order.seen(stop).tolist() == counted.tolist()


def test_one_source_alone_is_read_as_without_weights():
    mixed, plain = MixedOrder(np.array([0, 700]), [BLOCK], 5), PermutedOrder(700, 5)
    for ours, theirs in zip(mixed.at(0, 2000), plain.at(0, 2000), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_blocks_and_seeds_deal_sources_differently():
    dealt = [
        tuple(sources_of(MixedOrder(FIRST_ROW, COUNTS, seed).at(block * BLOCK, (block + 1) * BLOCK)[1]))
        for seed in (0, 1)
        for block in (0, 1)
    ]
    assert len(set(dealt)) == 4


def test_rows_of_like_length_stand_together_in_a_block():
    lengths = np.random.default_rng(0).integers(1, 500, 4000)
    _, rows = MixedOrder(FIRST_ROW, COUNTS, 5, lengths).at(0, BLOCK)
    spread = [np.ptp(lengths[rows[low : low + RUN]]) for low in range(0, BLOCK, RUN)]
    assert np.mean(spread) < 40
