"""The order of rows is a permutation that follows from seed and epoch alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.training.order import BucketedOrder, PermutedOrder, permute, rank_slice


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**31), epoch=st.integers(0, 5))
def test_permute_visits_every_row_once(size, seed, epoch):
    assert sorted(permute(np.arange(size), size, seed, epoch)) == list(range(size))


def test_epochs_and_seeds_give_other_orders():
    orders = [tuple(permute(np.arange(100), 100, seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_a_permutation_is_not_close_to_the_identity():
    places = permute(np.arange(10_000), 10_000, 0, 0)
    assert abs(np.corrcoef(np.arange(10_000), places)[0, 1]) < 0.05


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_any_batch_size_reads_the_same_rows(batch):
    order = PermutedOrder(rows=50, seed=3)
    whole = order.at(0, 128)[1]
    parts = np.concatenate([order.at(start, min(start + batch, 128))[1] for start in range(0, 128, batch)])
    assert (whole == parts).all()
    assert sorted(whole[:50]) == list(range(50))
    assert sorted(whole[50:100]) == list(range(50))


def test_rows_of_like_length_stand_together_and_none_is_lost():
    lengths = np.random.default_rng(0).integers(1, 500, size=5000)
    order = BucketedOrder(lengths, seed=0)
    rows = order.at(0, 5000)[1]
    assert sorted(rows) == list(range(5000))
    spread = np.mean([np.ptp(lengths[rows[start : start + 32]]) for start in range(0, 4000, 32)])
    assert spread < 20, "a run of 32 rows has nearly one length"


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_slices_cover_a_batch_and_differ_by_one_at_most(world):
    parts = [rank_slice(100, 107, rank, world) for rank in range(world)]
    covered = [index for start, stop in parts for index in range(start, stop)]
    assert covered == list(range(100, 107))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1
