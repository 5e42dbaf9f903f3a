"""Shingles, MinHash and the Jaccard index: kernels equal their definitions, estimates have no bias."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.text import similarity

TEXTS = st.text(
    st.sampled_from("abI 1_,.\n中文字éÉ①Ａ\u0130\u03a3\ud800\u0301\U00020000\U000e0100"), max_size=40
)
SETS = st.sets(st.integers(0, 40), max_size=30)


@pytest.mark.parametrize("language", ["en", "zh"])
@settings(max_examples=60, deadline=None)
@given(text=TEXTS, size=st.integers(1, 6))
def test_shingles_are_what_their_definition_says(language, text, size):
    assert similarity.shingles(text, size, language).tolist() == similarity.shingles_plain(
        text, size, language
    )


def test_case_punctuation_width_and_spacing_make_no_difference():
    plain = similarity.shingles("the quick brown fox jumps over 3 dogs", 5, "en")
    written = similarity.shingles("The “quick” brown\n\nfox, jumps; over ３ dogs!", 5, "en")
    assert plain.tolist() == written.tolist()
    assert (
        similarity.shingles("今天天气很好，我们去公园。", 5, "zh").tolist()
        == similarity.shingles("今天 天气很好 我们去公园", 5, "zh").tolist()
    )


def test_chinese_is_cut_by_characters_and_english_by_words():
    assert len(similarity.shingles("今天天气很好", 5, "zh")) == 2
    assert len(similarity.shingles("one two three four five six", 5, "en")) == 2
    assert len(similarity.shingles("one two", 5, "en")) == 1
    assert len(similarity.shingles(" ... ", 5, "en")) == 0


@settings(max_examples=40, deadline=None)
@given(SETS)
def test_a_signature_is_what_its_definition_says(hashes):
    row = similarity.signatures([np.array(sorted(hashes), dtype=np.uint64)], 6)[0]
    assert row.tolist() == similarity.signature_plain(sorted(hashes), 6)


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_jaccard_is_intersection_over_union(a, b):
    found = similarity.jaccard(*(np.array(sorted(each), dtype=np.uint64) for each in (a, b)))
    assert found == (len(a & b) / len(a | b) if a | b else 0.0)


@pytest.mark.parametrize(("common", "apart"), [(10, 40), (50, 25), (80, 10), (95, 2)])
def test_the_share_of_equal_minhashes_estimates_jaccard_without_bias(common, apart):
    """Over many pairs the mean error must lie within four standard errors of zero."""
    sets = []
    for pair in range(300):
        shared = " ".join(f"s{pair}x{word}" for word in range(common))
        sets += [
            similarity.shingles(shared + "".join(f" {side}{pair}x{word}" for word in range(apart)), 1, "en")
            for side in "ab"
        ]
    rows = similarity.signatures(sets, 112)
    errors = (rows[::2] == rows[1::2]).mean(axis=1) - common / (common + 2 * apart)
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))


def test_the_estimate_varies_no_more_than_independent_hashes_would():
    sets = []
    for pair in range(300):
        shared = " ".join(f"s{pair}x{word}" for word in range(60))
        sets += [
            similarity.shingles(shared + "".join(f" {side}{pair}x{word}" for word in range(20)), 1, "en")
            for side in "ab"
        ]
    rows = similarity.signatures(sets, 112)
    spread = (rows[::2] == rows[1::2]).mean(axis=1).std()
    assert spread < 1.2 * np.sqrt(0.6 * 0.4 / 112)


@settings(max_examples=40, deadline=None)
@given(st.lists(SETS, max_size=8))
def test_candidates_agree_in_a_whole_band(sets):
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in sets]
    rows = similarity.signatures(arrays, 6)
    expected = [
        [i, j]
        for i in range(len(sets))
        for j in range(i + 1, len(sets))
        if sets[i] and any((rows[i, b : b + 2] == rows[j, b : b + 2]).all() for b in (0, 2, 4))
    ]
    keys = similarity.band_keys(rows, 3, 2)
    meets = (keys[:, None] == keys[None]) & (keys != similarity.NOTHING)[:, None]
    assert [[i, j] for i, j in np.argwhere(meets.any(axis=2)).tolist() if i < j] == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 12), max_size=10), max_size=12),
    st.sampled_from([0.3, 0.5, 0.8, 1.0]),
    st.sampled_from([1, 2, 256]),
)
def test_leaders_are_what_their_definition_says(sets, threshold, at_most):
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in sets]
    keys = similarity.band_keys(similarity.signatures(arrays, 6), 3, 2)
    found = similarity.leaders(arrays, keys, threshold, at_most=at_most)
    plain = similarity.leaders_plain([each.tolist() for each in arrays], keys, threshold, at_most)
    assert found.kept.tolist() == plain
    for document, leader in enumerate(plain):
        alike = 1.0 if leader == document else similarity.jaccard(arrays[document], arrays[leader])
        assert found.similarity[document] == alike


def test_copies_are_not_chained():
    """Each set is near its neighbour, yet the third is far from the first and stays."""
    arrays = [np.arange(start, start + 20, dtype=np.uint64) for start in (0, 2, 4)]
    keys = np.zeros((3, 1), dtype=np.uint64)
    assert similarity.leaders(arrays, keys, 0.8).kept.tolist() == [0, 0, 2]


@pytest.mark.parametrize("documents", [2_000, 4_000])
def test_a_band_that_all_documents_share_costs_each_the_same(documents):
    """Boilerplate: one key for all, and otherwise nothing in common."""
    arrays = [np.arange(8 * n, 8 * n + 8, dtype=np.uint32) for n in range(documents)]
    keys = np.stack([np.full(documents, 7), np.arange(documents)], axis=1).astype(np.uint64)
    found = similarity.leaders(arrays, keys, 0.8, at_most=50)
    assert found.kept.tolist() == list(range(documents))
    assert found.comparisons == 50 * documents - 50 * 51 // 2


def test_in_a_band_that_all_documents_share_copies_are_compared_with_what_is_kept_alone():
    documents = 5_000
    arrays = [np.arange(50, dtype=np.uint32)] * documents
    found = similarity.leaders(arrays, np.zeros((documents, 3), np.uint64), 0.8)
    assert not found.kept.any()
    assert found.comparisons == documents - 1


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 2**32 - 1), max_size=60), st.sets(st.integers(0, 2**32 - 1), max_size=60))
def test_sketches_of_small_sets_are_the_sets_in_fewer_bits(a, b):
    sketches = [similarity.sketch(np.array(sorted(each), np.uint32)) for each in (a, b)]
    assert [each.tolist() for each in sketches] == [sorted({n >> 8 for n in each}) for each in (a, b)]
    assert similarity.sketch_jaccard(*sketches) == similarity.jaccard(*sketches)


def test_a_sketch_has_the_smallest_hashes_of_a_large_set():
    dense = np.arange(0, 2**20, dtype=np.uint32)  # 256 hashes of 32 bits for each of 24
    assert similarity.sketch(dense).tolist() == list(range(similarity.SKETCH))
    assert similarity.sketch(dense[:1000]).tolist() == [0, 1, 2, 3]


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
        estimate = similarity.sketch_jaccard(similarity.sketch(a), similarity.sketch(b))
        errors.append(estimate - similarity.jaccard(a, b))
    bound = np.sqrt(index * (1 - index) / similarity.SKETCH)
    assert np.std(errors) < 1.2 * bound
    assert abs(np.mean(errors)) < 4 * bound / np.sqrt(len(errors)) + size / 2**24


def test_documents_of_earlier_batches_stay_and_are_known_by_their_sketches():
    earlier = np.arange(0, 2**32 - 1, 2**22, dtype=np.uint32)  # 1,024 hashes
    near, far = np.sort(np.r_[earlier[40:], earlier[:20] + 99]), earlier[::2]
    keys = np.zeros((5, 2), np.uint64)
    fixed = [similarity.sketch(earlier), similarity.sketch(earlier)]
    found = similarity.leaders([near, far, near], keys, 0.8, fixed=fixed)
    assert found.kept.tolist() == [0, 1, 0, 3, 0]
    assert found.similarity[2] == pytest.approx(similarity.jaccard(near, earlier), abs=0.05)


def test_a_thousand_empty_documents_are_nobodys_copies():
    arrays = [np.empty(0, np.uint64)] * 1000
    rows = similarity.signatures(arrays, 8)
    assert similarity.leaders(arrays, similarity.band_keys(rows, 2, 4), 0.8).kept.tolist() == list(
        range(1000)
    )
