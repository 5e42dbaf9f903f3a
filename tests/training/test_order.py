"""The order of rows is a permutation that follows from seed and epoch alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.training.order import ROUNDS, BucketedOrder, PermutedOrder, mix, permute, rank_slice


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**31), epoch=st.integers(0, 5))
def test_permute_visits_every_row_once(size, seed, epoch):
    assert sorted(permute(np.arange(size), size, seed, epoch)) == list(range(size))


def by_definition(places: np.ndarray, size: int, seed: int, epoch: int) -> list[int]:
    """A balanced Feistel network over at least log2(size) bits, walked on until it falls inside."""
    half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = mix(
        np.arange(ROUNDS, dtype=np.uint64) + mix(np.array([seed * 0x9E3779B97F4A7C15 % 2**64 ^ epoch]))
    )
    found = []
    for place in places:
        value = np.uint64(place)
        while True:
            left, right = value >> np.uint64(half), value & mask
            for key in keys:
                left, right = right, left ^ (mix(np.array([right + key]))[0] & mask)
            value = (left << np.uint64(half)) | right
            if value < size:
                break
        found.append(int(value))
    return found


@pytest.mark.filterwarnings("ignore:overflow encountered")  # of scalars, on which the definition is written
@settings(max_examples=30, deadline=None)
@given(
    size=st.one_of(st.integers(1, 300), st.integers(1, 2**40)),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 9),
)
def test_the_permutation_is_that_of_its_definition(size, seed, epoch):
    places = np.unique(np.linspace(0, size - 1, 20).astype(np.int64))
    assert permute(places, size, seed, epoch).tolist() == by_definition(places, size, seed, epoch)


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
