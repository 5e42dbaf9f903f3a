"""Sizes of groups of copies in bins, and the words that a document and an example share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtrain.reporting import svg
from lmtrain.reporting.clusters import binned
from lmtrain.reporting.contamination import shared_run


@given(st.dictionaries(st.integers(2, 5000), st.integers(1, 9)))
def test_every_group_stands_in_the_bin_of_its_size(sizes):
    edges, counts = binned({str(size): number for size, number in sizes.items()})
    assert len(edges) == len(counts) + 1
    for low, following, number in zip(edges, edges[1:], counts, strict=False):
        assert number == sum(groups for size, groups in sizes.items() if low <= size < following)
    assert sum(counts) == sum(sizes.values())


def test_bins_double_and_their_names_are_sizes_of_groups():
    edges, counts = binned({"2": 5, "3": 1, "4": 1, "9": 2})
    assert (edges, counts) == ([2, 3, 5, 9, 17], [5, 2, 0, 2])
    drawn = svg.cluster_histogram(edges, counts, title="groups")
    for told in ("2 documents: 5 groups", "3–4 documents: 2 groups", "9–16 documents: 2 groups"):
        assert told in drawn


@pytest.mark.parametrize(
    ("document", "example", "shared"),
    [
        (
            "It is so. The old Man counted, seven ships! Then",
            "old man counted seven ships",
            "old Man counted, seven ships",
        ),
        ("前面是别的。老人在灯塔上，数过七条船。后面", "老人在灯塔上数过七条船", "老人在灯塔上，数过七条船"),
        ("one two", "three", ""),
        ("", "", ""),
    ],
)
def test_the_longest_run_of_words_is_told_apart_whatever_its_case_and_punctuation(document, example, shared):
    pieces, of_example = shared_run(document, example)
    assert [text for text, marked in pieces if marked] == [shared]
    assert "".join(text for text, _ in pieces) == document
    assert "".join(text for text, _ in of_example) == example


def test_long_texts_are_cut_to_what_is_near_the_shared_words():
    before, after = "before " * 900, " after" * 900
    pieces, _ = shared_run(f"{before}the shared words{after}", "the shared words")
    whole = "".join(text for text, _ in pieces)
    assert whole.startswith("… ")
    assert whole.endswith(" …")
    assert "the shared words" in whole
    assert len(whole) < 400
