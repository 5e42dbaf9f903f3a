"""Copies: bins decide as one order of all documents would, by the policy, and against earlier batches."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmtrain.curation import components, keys, linking
from lmtrain.curation.columns import from_gaps, to_gaps
from lmtrain.curation.config import DeduplicationConfig
from lmtrain.curation.deciding import cluster_sizes, copies_among, in_order
from lmtrain.curation.judging import upper_halves
from lmtrain.errors import StageError
from lmtrain.text import nearness, similarity

BANDS, ROWS = 14, 8
WORDS = [f"word{n}" for n in range(3_000)]


def members(texts: list[str], language: str = "en", **columns: list) -> pa.Table:
    """What a bin holds of documents; columns that aren't given are made up."""
    shingles = [similarity.shingles(text, 5, language) for text in texts]
    bands = similarity.band_keys(similarity.signatures(shingles, BANDS * ROWS), BANDS, ROWS)
    numbers = range(len(texts))
    earlier = columns.get("earlier", [False] * len(texts))
    hashes = [upper_halves(given) for given in shingles]
    made = {
        "id": [f"d{n:05d}" for n in numbers],
        "split": ["train"] * len(texts),
        "characters": [len(text) for text in texts],
        "text_hash": [similarity.normalized(text).encode()[:16].ljust(16) + text.encode() for text in texts],
        "bands": pa.FixedSizeListArray.from_arrays(pa.array(bands.reshape(-1)), BANDS),
        "shingles": [nearness.sketch(own) if old else own for own, old in zip(hashes, earlier, strict=True)],
        "score": pa.nulls(len(texts), pa.float64()),
        "earlier": earlier,
        "document": list(numbers),
        "component": [0] * len(texts),
    }
    return pa.table(made | columns)


def family(chance: random.Random, copies: int, words: int = 120) -> list[str]:
    """A text, and copies of it and of copies with one to four words replaced: ends of a chain are far."""
    texts = [[chance.choice(WORDS) for _ in range(words)]]
    for _ in range(copies):
        edited = list(chance.choice(texts))
        for place in chance.sample(range(words), chance.randint(1, 4)):
            edited[place] = chance.choice(WORDS)
        texts.append(edited)
    return [" ".join(text) for text in texts]


def families(seed: int, count: int, copies: int = 7) -> list[str]:
    chance = random.Random(seed)
    texts = [text for _ in range(count) for text in family(chance, chance.randint(0, copies))]
    chance.shuffle(texts)
    return texts


def linked(table: pa.Table, ranges: int, threshold: float = 0.8) -> np.ndarray:
    """Return verified links as the steps find them, without files."""
    owners = table["document"].to_numpy()
    bands = np.stack(table["bands"].to_pylist()).astype(np.uint64).reshape(-1) >> np.uint64(16)
    bands_of, entries = np.repeat(owners, BANDS), []
    for number in range(ranges):
        mine = bands % np.uint64(ranges) == number
        earlier = np.zeros(mine.sum(), bool)
        _, documents, buckets = keys.shared_keys(bands[mine], bands_of[mine], earlier)
        entries.append((documents, buckets))
    documents, buckets = keys.distinct_entries(*(np.concatenate(each) for each in zip(*entries, strict=True)))
    order = np.lexsort((documents, buckets))
    offsets = np.r_[0, np.flatnonzero(np.diff(buckets[order])) + 1, len(order)]
    links, _ = nearness.near_links(
        [np.array(given, np.uint32) for given in table["shingles"].to_pylist()],
        table["characters"].to_numpy(),
        (offsets, documents[order]),
        threshold,
        fixed=np.zeros(len(table), bool),
    )
    return links


@pytest.mark.parametrize("ranges", [1, 7])
@pytest.mark.parametrize("bin_documents", [1, 10, 10_000])
def test_bins_decide_as_leaders_of_all_documents_in_one_order(bin_documents, ranges):
    table = members(families(seed=1, count=60))
    config = DeduplicationConfig()
    ordered = in_order(table, config)
    arrays = [np.array(given, np.uint32) for given in ordered["shingles"].to_pylist()]
    whole = nearness.leaders(arrays, np.array(ordered["bands"].to_pylist(), np.uint64), config.threshold)
    ids = ordered["id"].to_pylist()
    expected = {ids[n]: ids[kept] for n, kept in enumerate(whole.kept) if kept != n}
    found = {}
    documents, labels = components.components(linked(table, ranges))
    bins = components.bins_of(labels, bin_documents)
    for number in np.unique(bins):
        each = table.take(pa.array(documents[bins == number]))
        each = each.set_column(9, "component", pa.array(labels[bins == number]))
        copies, _ = copies_among(each, config)
        names = [f"d{number:05d}" for number in copies["document"].to_pylist()]
        found |= dict(zip(names, copies["kept"].to_pylist(), strict=True))
    assert len(expected) > 80
    assert found == expected


def chain(length: int, words: int = 78, step: int = 6) -> list[str]:
    """Texts each of which has a Jaccard index of 0.85 with the next, and of 0.72 with the one after that."""
    return [" ".join(f"w{place}" for place in range(step * n, step * n + words)) for n in range(length)]


def test_a_chain_of_five_thousand_documents_does_not_vanish():
    texts = chain(5_000)
    table = members(texts)
    documents, labels = components.components(linked(table, ranges=3))
    assert np.unique(labels, return_counts=True)[1].max() > 100, "it hangs together"
    copies, comparisons = copies_among(table, DeduplicationConfig())
    gone = dict(zip(copies["document"].to_pylist(), copies["kept_document"].to_pylist(), strict=True))
    assert 2_000 < len(gone) <= 2_500
    assert {abs(document - kept) for document, kept in gone.items()} == {1}
    assert not gone.keys() & set(gone.values())
    assert set(gone) <= set(documents.tolist())
    assert comparisons < 10 * len(texts)


def test_components_of_candidates_that_are_not_near_are_not_formed():
    """A footer of half the shingles puts many into common buckets, and links none of them."""
    chance = random.Random(4)
    footer = " ".join(WORDS[:100])
    texts = [" ".join(chance.choice(WORDS) for _ in range(40)) + " " + footer for _ in range(400)]
    assert len(linked(members(texts), ranges=2)) == 0
    bands = np.stack(members(texts)["bands"].to_pylist())
    assert max(np.unique(band, return_counts=True)[1].max() for band in bands.T) > 20


@pytest.mark.parametrize("keep", ["longest", "first", "best_score"])
def test_the_policy_says_which_copy_stays(keep):
    text = " ".join(WORDS[:100])
    texts = [text, text + " word7", text + " word8 word9"]
    config = DeduplicationConfig(keep=keep, score_column="quality" if keep == "best_score" else None)
    table = members(texts, score=pa.array([0.1, 0.9, None], pa.float64()))
    copies, comparisons = copies_among(table, config)
    winner = {"first": "d00000", "longest": "d00002", "best_score": "d00001"}[keep]
    assert set(copies["kept"].to_pylist()) == {winner}
    assert copies.num_rows == comparisons == 2
    crossing = members(texts, split=["test", "validation", "train"])
    assert set(copies_among(crossing, config)[0]["kept"].to_pylist()) == {"d00000"}


def test_a_score_needs_a_column_and_a_column_a_score():
    with pytest.raises(ValidationError, match="go together"):
        DeduplicationConfig(keep="best_score")
    with pytest.raises(ValidationError, match="go together"):
        DeduplicationConfig(score_column="quality")


def test_scores_are_finite_numbers_of_the_metadata():
    given = ['{"quality": 0.5}', '{"quality": "high"}', "{}", None, '{"quality": NaN}', '{"quality": true}']
    assert linking.numbers_in(given, "quality") == [0.5, None, None, None, None, None]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_earlier_documents_win_and_known_ids_go_first(language):
    characters = "".join(chr(0x4E00 + 11 * n) for n in range(420))
    text = characters[:300] if language == "zh" else " ".join(WORDS[:300])
    other = characters[300:420] if language == "zh" else " ".join(WORDS[500:620])
    near = text[:-2] + ("甲乙" if language == "zh" else "01")
    texts = [text, near, text, other]
    ids = ["old", "near", "exact", "old"]
    table = members(
        texts, language, id=ids, earlier=[True, False, False, False], split=["train", "test", "test", "test"]
    )
    copies, _ = copies_among(table, DeduplicationConfig())
    rows = {row["document"]: row for row in copies.to_pylist()}
    assert {n: row["reason"] for n, row in rows.items()} == {1: "near_copy", 2: "exact_copy", 3: "known_id"}
    assert all(row["kept"] == "old" and row["earlier"] for row in rows.values())
    assert rows[3]["value"] is None
    assert rows[1]["value"] >= rows[1]["threshold"] == 0.8


def test_copies_among_earlier_documents_are_nobodys_business():
    text = " ".join(WORDS[:100])
    copies, comparisons = copies_among(members([text, text], earlier=[True, True]), DeduplicationConfig())
    assert copies.num_rows == comparisons == 0


def test_one_id_for_two_documents_that_stay_is_refused():
    table = members([" ".join(WORDS[:50]), " ".join(WORDS[100:150])], id=["same", "same"])
    with pytest.raises(StageError, match="two sources give the id 'same'"):
        copies_among(table, DeduplicationConfig())


def test_empty_and_short_documents_are_copies_of_equal_ones_only():
    texts = ["", "?", "!!", "one", "two", "one", "…", "一", "二"]
    copies, _ = copies_among(members(texts), DeduplicationConfig())
    assert [(row["document"], row["kept"]) for row in copies.to_pylist()] == [(5, "d00003")]


def test_clusters_are_told_with_the_document_that_stays():
    text = " ".join(WORDS[:100])
    texts = [text + " word1 word2", text, text + " word3", text, " ".join(WORDS[200:300])]
    copies, _ = copies_among(members(texts), DeduplicationConfig())
    assert sorted(copies["document"].to_pylist()) == [1, 2, 3]
    assert cluster_sizes(copies).to_pylist() == [{"document": 0, "size": 4}]


@pytest.mark.parametrize("preferred", [0, 1])
def test_one_of_equal_texts_lends_its_shingles_to_the_others(preferred):
    """Only the first of equal texts is compared, and another may be the one that is preferred."""
    text = " ".join(WORDS[:100])
    texts = [text, text, text + " word7"]
    splits = ["train", "train", "train"]
    splits[preferred] = "test"
    table = members(texts, split=splits)
    lists = table["shingles"].to_pylist()
    expected = copies_among(table, DeduplicationConfig())[0]
    lent = table.set_column(5, "shingles", pa.array([lists[0], None, lists[2]], pa.list_(pa.uint32())))
    assert copies_among(lent, DeduplicationConfig())[0].equals(expected)
    assert set(expected["kept"].to_pylist()) == {f"d{preferred:05d}"}


def test_a_document_whose_stand_in_has_another_text_after_all_stays():
    """Equal texts are found by 62 bits of their hash, and decided by all 128."""
    table = members([" ".join(WORDS[:100]), " ".join(WORDS[200:300])])
    table = table.set_column(5, "shingles", pc.if_else(pa.array([True, False]), table["shingles"], None))
    assert copies_among(table, DeduplicationConfig())[0].num_rows == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=9).map(sorted), max_size=6))
def test_gaps_hold_what_the_hashes_were(lists):
    arrays = [np.array(given, np.uint32) for given in lists]
    assert from_gaps(to_gaps(arrays)).to_pylist() == lists
