"""Links, stars and components are what their plain definitions say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.curation import components, keys

PAIRS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=20)


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_components_are_what_their_definition_says(pairs):
    vertices, labels = components.components(np.array(pairs, np.int64).reshape(-1, 2))
    plain = components.components_plain(pairs)
    assert dict(zip(vertices.tolist(), labels.tolist(), strict=True)) == plain


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_a_spanning_forest_keeps_components_whole(pairs):
    forest = components.spanning_forest(np.array(pairs, np.int64).reshape(-1, 2))
    plain = components.components_plain(pairs)
    kept = components.components_plain([tuple(pair) for pair in forest.tolist()])
    assert {vertex: kept.get(vertex, vertex) for vertex in plain} == plain
    assert len(forest) == len(plain) - len(set(plain.values()))


def dealt(pairs: np.ndarray, ranges: int, *, at_both: bool) -> list[np.ndarray]:
    """Show pairs to the ranges of both their ends, or of the larger one alone, as `write_pairs` does."""
    places = components.places_of_vertices(pairs.reshape(-1), ranges).reshape(-1, 2)
    return [
        pairs[(places[:, 1] == number) | (at_both & (places[:, 0] == number))] for number in range(ranges)
    ]


def joined_by_stars(pairs: np.ndarray, ranges: int) -> tuple[np.ndarray, int]:
    """Take turns with large and small stars until nothing changes; return the pairs, and how many turns."""
    for turn in range(1, 100):
        changed, found = 0, []
        for number, mine in enumerate(dealt(pairs, ranges, at_both=True)):
            ends = np.concatenate([mine, mine[:, ::-1]])
            stars, moved = components.large_star(
                ends[components.places_of_vertices(ends[:, 0], ranges) == number]
            )
            changed, found = changed + moved, [*found, stars]
        pairs, found = np.concatenate(found), []
        for mine in dealt(pairs, ranges, at_both=False):
            stars, moved = components.small_star(mine)
            changed, found = changed + moved, [*found, stars]
        pairs = np.concatenate(found)
        if not changed:
            return pairs, turn
    raise AssertionError("it goes on and on")


@settings(max_examples=80, deadline=None)
@given(PAIRS, st.sampled_from([1, 2, 5]))
def test_stars_made_by_ranges_are_the_components(pairs, ranges):
    edges = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    given = np.array(edges, np.int64).reshape(-1, 2)
    stars, _ = joined_by_stars(given, ranges)
    plain = components.components_plain(given.tolist())
    expected = {(label, vertex) for vertex, label in plain.items() if vertex != label}
    assert {tuple(pair) for pair in stars.tolist()} == expected
    assert len(stars) == len(expected)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_long_chain_takes_few_rounds(shuffled):
    vertices = np.arange(5_000)
    if shuffled:
        np.random.default_rng(1).shuffle(vertices)
    chain = np.sort(np.stack([vertices[:-1], vertices[1:]], axis=1), axis=1)
    stars, turns = joined_by_stars(chain, 7)
    assert len(stars) == 4_999
    assert not stars[:, 0].any()
    assert turns <= 20


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 9)), max_size=30, unique=True))
def test_documents_with_an_id_or_text_in_common_are_linked_and_those_with_a_band_share_a_bucket(entries):
    """Documents from 6 on are earlier ones: what they alone have in common is nobody's business."""
    given = np.array(entries, np.uint64).reshape(-1, 3)
    documents = given[:, 2].astype(np.int64)
    pairs, found, buckets = keys.shared_keys(
        given[:, 0] | given[:, 1] << np.uint64(62), documents, documents >= 6
    )
    holders: dict[tuple[int, int], set[int]] = {}
    for key, kind, document in entries:
        holders.setdefault((kind, key), set()).add(document)
    shared = {key: each for key, each in holders.items() if len(each) > 1 and min(each) < 6}
    same = [
        (min(each), one) for (kind, _), each in shared.items() if kind for one in each if one != min(each)
    ]
    assert components.components_plain(pairs.tolist()) == components.components_plain(same)
    met: dict[int, set[int]] = {}
    for document, bucket in zip(found.tolist(), buckets.tolist(), strict=True):
        met.setdefault(bucket, set()).add(document)
    texts = [each for (kind, _), each in shared.items() if kind == 1]
    assert met.pop(0, set()) == {one for each in texts for one in each if min(each) < one < 6}
    assert {frozenset(each) for each in met.values()} == {
        frozenset(each) for (kind, _), each in shared.items() if kind == 0
    }
