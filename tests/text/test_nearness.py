"""The Jaccard index and what is decided by it: kernels equal definitions, no bucket costs too much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.curation.components import components, components_plain
from lmtrain.text import nearness, similarity

SETS = st.sets(st.integers(0, 40), max_size=30)


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_jaccard_is_intersection_over_union(a, b):
    found = nearness.jaccard(*(np.array(sorted(each), dtype=np.uint64) for each in (a, b)))
    assert found == (len(a & b) / len(a | b) if a | b else 0.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 12), max_size=10), max_size=12),
    st.sampled_from([0.3, 0.5, 0.8, 1.0]),
    st.sampled_from([1, 2, 256]),
)
def test_leaders_are_what_their_definition_says(sets, threshold, at_most):
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in sets]
    keys = similarity.band_keys(similarity.signatures(arrays, 6), 3, 2)
    found = nearness.leaders(arrays, keys, threshold, at_most=at_most)
    plain = nearness.leaders_plain([each.tolist() for each in arrays], keys, threshold, at_most)
    assert found.kept.tolist() == plain
    for document, leader in enumerate(plain):
        alike = 1.0 if leader == document else nearness.jaccard(arrays[document], arrays[leader])
        assert found.similarity[document] == alike


def test_copies_are_not_chained():
    """Each set is near its neighbour, yet the third is far from the first and stays."""
    arrays = [np.arange(start, start + 20, dtype=np.uint64) for start in (0, 2, 4)]
    keys = np.zeros((3, 1), dtype=np.uint64)
    assert nearness.leaders(arrays, keys, 0.8).kept.tolist() == [0, 0, 2]


@pytest.mark.parametrize("documents", [2_000, 4_000])
def test_a_band_that_all_documents_share_costs_each_the_same(documents):
    """Boilerplate: one key for all, and otherwise nothing in common."""
    arrays = [np.arange(8 * n, 8 * n + 8, dtype=np.uint32) for n in range(documents)]
    keys = np.stack([np.full(documents, 7), np.arange(documents)], axis=1).astype(np.uint64)
    found = nearness.leaders(arrays, keys, 0.8, at_most=50)
    assert found.kept.tolist() == list(range(documents))
    assert found.comparisons == 50 * documents - 50 * 51 // 2


def test_in_a_band_that_all_documents_share_copies_are_compared_with_what_is_kept_alone():
    documents = 5_000
    arrays = [np.arange(50, dtype=np.uint32)] * documents
    found = nearness.leaders(arrays, np.zeros((documents, 3), np.uint64), 0.8)
    assert not found.kept.any()
    assert found.comparisons == documents - 1


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 2**32 - 1), max_size=60), st.sets(st.integers(0, 2**32 - 1), max_size=60))
def test_sketches_of_small_sets_are_the_sets_in_fewer_bits(a, b):
    sketches = [nearness.sketch(np.array(sorted(each), np.uint32)) for each in (a, b)]
    assert [each.tolist() for each in sketches] == [sorted({n >> 8 for n in each}) for each in (a, b)]
    assert nearness.sketch_jaccard(*sketches) == nearness.jaccard(*sketches)


def test_a_sketch_has_the_smallest_hashes_of_a_large_set():
    dense = np.arange(0, 2**20, dtype=np.uint32)  # 256 hashes of 32 bits for each of 24
    assert nearness.sketch(dense).tolist() == list(range(nearness.SKETCH))
    assert nearness.sketch(dense[:1000]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [400, 800, 5_000])
@pytest.mark.parametrize("index", [0.5, 0.8, 0.95])
def test_the_error_of_sketches_is_what_their_docstring_says(size, index):
    """No bias, and a standard deviation within sqrt(J (1 - J) / k)."""
    chance = np.random.default_rng(size)
    errors = []
    for _ in range(150):
        union = chance.choice(2**32, size, replace=False).astype(np.uint32)
        common, left = round(index * size), (size - round(index * size)) // 2
        a, b = np.sort(union[: common + left]), np.sort(np.r_[union[:common], union[common + left :]])
        estimate = nearness.sketch_jaccard(nearness.sketch(a), nearness.sketch(b))
        errors.append(estimate - nearness.jaccard(a, b))
    bound = np.sqrt(index * (1 - index) / nearness.SKETCH)
    assert np.std(errors) < 1.2 * bound
    assert abs(np.mean(errors)) < 4 * bound / np.sqrt(len(errors)) + size / 2**24


def test_documents_of_earlier_batches_stay_and_are_known_by_their_sketches():
    earlier = np.arange(0, 2**32 - 1, 2**22, dtype=np.uint32)  # 1,024 hashes
    near, far = np.sort(np.r_[earlier[40:], earlier[:20] + 99]), earlier[::2]
    keys = np.zeros((5, 2), np.uint64)
    fixed = [nearness.sketch(earlier), nearness.sketch(earlier)]
    found = nearness.leaders([near, far, near], keys, 0.8, fixed=fixed)
    assert found.kept.tolist() == [0, 1, 0, 3, 0]
    assert found.similarity[2] == pytest.approx(nearness.jaccard(near, earlier), abs=0.05)


def test_a_thousand_empty_documents_are_nobodys_copies():
    arrays = [np.empty(0, np.uint64)] * 1000
    rows = similarity.signatures(arrays, 8)
    assert nearness.leaders(arrays, similarity.band_keys(rows, 2, 4), 0.8).kept.tolist() == list(range(1000))


def buckets_of(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and members."""
    return np.cumsum([0, *map(len, lists)]), np.array([one for each in lists for one in each], np.int64)


NEIGHBOURS = st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=12), min_size=1, max_size=14)


@settings(max_examples=120, deadline=None)
@given(NEIGHBOURS, st.sampled_from([0.3, 0.5, 0.6, 0.75, 0.8, 1.0]), st.randoms(use_true_random=False))
def test_links_hold_together_all_near_pairs_of_a_bucket_and_no_others(sets, threshold, chance):
    numbers = range(len(sets))
    lists = [chance.sample(numbers, chance.randint(1, len(sets))) for _ in range(3)]
    arrays = [np.array(sorted(each), np.uint32) for each in sets]
    lengths = np.array([chance.randrange(4) for _ in sets])
    fixed = np.zeros(len(sets), bool)
    links, _ = nearness.near_links(arrays, lengths, buckets_of(lists), threshold, fixed=fixed)
    plain = nearness.near_links_plain(sets, lists, threshold)
    assert {(min(pair), max(pair)) for pair in links.tolist()} <= plain
    vertices, labels = components(links)
    assert dict(zip(vertices.tolist(), labels.tolist(), strict=True)) == components_plain(sorted(plain))


@settings(max_examples=100, deadline=None)
@given(NEIGHBOURS, st.data())
def test_what_is_near_an_earlier_document_is_linked_with_it(sets, data):
    arrays = [np.array(sorted(n << 8 for n in each), np.uint32) for each in sets]
    fixed = np.array(data.draw(st.lists(st.booleans(), min_size=len(sets), max_size=len(sets))))
    given = [nearness.sketch(own) if old else own for own, old in zip(arrays, fixed, strict=True)]
    everyone = buckets_of([list(range(len(sets)))])
    links, _ = nearness.near_links(given, np.zeros(len(sets)), everyone, 0.75, fixed=fixed)
    assert not any(fixed[a] and fixed[b] for a, b in links.tolist())
    for a, b in nearness.near_links_plain(sets, [range(len(sets))], 0.75):
        if fixed[a] != fixed[b]:
            new = b if fixed[a] else a
            assert any(new in pair and fixed[pair].any() for pair in links)


@pytest.mark.parametrize("documents", [2_000, 4_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_bucket_of_documents_that_are_far_from_each_other_costs_each_the_same(documents):
    arrays = [np.arange(8 * n, 8 * n + 8, dtype=np.uint32) for n in range(documents)]
    links, comparisons = nearness.near_links(
        arrays,
        np.zeros(documents),
        buckets_of([list(range(documents))]),
        0.8,
        fixed=np.zeros(documents, bool),
        at_most=50,
    )
    assert len(links) == 0
    assert comparisons == 50 * documents - 50 * 51 // 2


def test_a_bucket_of_copies_is_compared_with_one_of_them():
    documents = 5_000
    arrays = [np.arange(50, dtype=np.uint32)] * documents
    everyone = buckets_of([list(range(documents))])
    links, comparisons = nearness.near_links(
        arrays, np.zeros(documents), everyone, 0.8, fixed=np.zeros(documents, bool)
    )
    assert comparisons == len(links) == documents - 1
