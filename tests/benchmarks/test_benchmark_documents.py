"""What benchmarks make: documents of known similarity, hostile texts, and figures carried on."""

import random

import numpy as np
import pytest
from agreement import Compared, each_rule, judged, options_of, published
from cost import Line, cost_table
from edited import COPIED, Documents, edited, exponent
from hostile import hostile
from in_process import InProcess

from lmtrain.curation.document import Document
from lmtrain.distributed.map import Split
from lmtrain.text import nearness, similarity

DRAWN = random.Random(0)
BASES = [(" ".join(f"w{DRAWN.getrandbits(20):x}" for _ in range(300)), "en") for _ in range(5)] + [
    ("".join(chr(DRAWN.randrange(0x4E00, 0x9FA0)) for _ in range(300)), "zh") for _ in range(5)
]


@pytest.mark.parametrize(("text", "language"), [BASES[0], BASES[-1]], ids=["en", "zh"])
@pytest.mark.parametrize("close", [0.6, 0.8, 0.95, 1.0])
def test_an_edited_text_is_as_alike_as_was_asked_for(text, language, close):
    drawn = random.Random(1)
    found = [
        nearness.jaccard(
            similarity.shingles(text, 5, language),
            similarity.shingles(edited(text, close, language, drawn), 5, language),
        )
        for _ in range(20)
    ]
    assert abs(np.mean(found) - close) < 0.06


def test_documents_are_the_same_whoever_makes_them_and_copies_are_like_their_originals():
    one, other = Documents(BASES), Documents(BASES)
    texts = [one.text(number) for number in range(60)]
    assert [other.text(number) for number in reversed(range(60))] == texts[::-1]
    copies = [number for number in range(60) if one.is_copy(number)]
    assert len(copies) == 60 // COPIED
    for number in copies:
        assert one.original_of(number) < number
        assert not one.is_copy(one.original_of(number))
        assert one.similarity(number) > 0.55


def test_the_exponent_of_linear_growth_is_one():
    assert exponent([10, 100, 1000], [2, 20, 200]) == pytest.approx(1)
    assert exponent([10, 100], [1, 100]) == pytest.approx(2)


def test_hostile_texts_can_be_made_again_by_their_number():
    texts = [hostile(number) for number in range(300)]
    assert [hostile(number) for number in range(300)] == texts
    assert len(set(texts)) > 250
    for piece in ("\u2028", "\r", "[citation needed]", "lorem ipsum", "。", "한국어", "{"):
        assert any(piece in text for text in texts), piece


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_rule_alone_is_told_to_datatrove_too(language):
    silent = {
        name: options_of(name, {}, language) for name in ("gopher_quality", "gopher_repetition", "fineweb")
    }
    for name, form in each_rule(language).items():
        if form.filter in silent:
            assert form.options != silent[form.filter], name


def test_a_disagreement_is_one_of_verdict_reason_or_text():
    found = Compared()
    for theirs in [
        (None, "a b"),
        (None, "a"),
        ("gopher_short_doc", "a b"),
        ("raised ZeroDivisionError", "a b"),
    ]:
        found.add("a b", (None, "a b"), theirs)
    assert [told for _, told in found.different] == [
        "ours leaves 'a b', theirs 'a'",
        "ours kept, theirs few_words",
    ]
    assert (found.documents, found.raised, found.dropped) == (4, 1, 1)


def test_our_side_is_judged_with_its_reason_and_the_text_that_it_leaves():
    text = "The cat sat on the mat [1].\n" * 6
    forms = published("en")
    assert judged(forms["gopher_quality"], Document("few words", "en")) == ("few_words", "few words")
    assert judged(forms["c4"], Document(text, "en")) == (None, text.replace(" [1]", " ").strip())


def test_steps_that_run_in_this_process_are_clocked(tmp_path):
    class Nowhere:
        def shard(self, name):
            return self

        def __enter__(self):
            self.result = "done"
            return self

        def __exit__(self, *_):
            return None

    here, seen = InProcess(), []
    splits = [Split("a", 1), Split("b", 2)]
    found = here.map_shards(
        lambda payload, shared, _: seen.append(payload + shared), splits, Nowhere(), step="add", shared=5
    )
    assert (found, seen) == (["done", "done"], [6, 7])
    assert here.steps[0].name == "add"
    assert here.steps[0].begin <= here.steps[0].end


def test_what_grows_reaches_its_limit_where_the_line_says():
    line = Line((100, 10), (200, 20))
    assert line.slope == pytest.approx(0.1)
    assert (line.at(1000), line.reaches(50)) == pytest.approx((100, 500))
    assert Line((100, 10), (200, 9)).reaches(50) == float("inf")


def test_the_cost_of_ten_billion_documents_follows_from_the_files():
    def size(count, worker, driver):
        run = {"count": count, "bytes": count * 1000, "workers": 2, "seconds": count / 5000, "dropped": 0}
        run |= {"tasks": {"judge": count // 10_000}, "disk_bytes": count * 2000}
        run |= {"bytes_by_role": {"signatures": count * 700}}
        return [
            {"measure": f"Peak memory of a worker, {count:,} documents", "ours": worker, **run},
            {"measure": f"Peak memory of the driver, {count:,} documents", "ours": driver},
        ]

    rows = [*size(100_000, 600, 500), *size(1_000_000, 600, 1400)]
    growth = {"rows": [{"measure": "Time of curation, 1 to 2 documents", "ours": 1.0}, *rows]}
    stage = {"measure": "English stage, 4 kB", "mean_bytes": 4000.0, "ours": 10.0}
    found = cost_table(growth, {"rows": [stage]})
    assert "1,111 core hours" in found  # 4e13 bytes at 10 MB/s
    assert "20 TB" in found
    assert "7 TB at most" in found
    assert "Memory of the driver: 1,000 B a document, 10,000 GB at 10 billion" in found
    assert "full at 6.4e+07 documents" in found
    assert "Memory of a worker: 600 MB at 1,000,000 documents" in found
