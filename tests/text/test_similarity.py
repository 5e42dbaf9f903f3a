"""Shingles and MinHash: kernels equal their definitions, estimates have no bias."""

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
