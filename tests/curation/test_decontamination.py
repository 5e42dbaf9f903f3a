"""Documents that give away evaluation items are dropped, and every item that they touch is named."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_corpora import CorpusConfig, corpus, document, prose, rows_of

from lmtrain.building import Attempt, Built, build_once
from lmtrain.curation import stage
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.decontamination import Item, evaluation_of, runs_of, runs_plain
from lmtrain.manifest import Artifact
from lmtrain.schemas import LABELLED
from lmtrain.watch import SilentWatch

WORDS = [f"w{n}" for n in range(40)]
HAN = [chr(0x4E00 + n) for n in range(60)]
TEXTS = st.lists(
    st.sampled_from(["ab", "c", "3.5", "don’t", "don't", "中", "文", "ア", "...", "。", "→", "Ａb"]),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["", " "]))
def test_runs_are_what_their_definition_says(pieces, between):
    text = between.join(pieces)
    hashes, plain = runs_of(text).tolist(), runs_plain(text)
    assert len(hashes) == len(plain)
    assert len({*zip(hashes, plain, strict=True)}) == len({*hashes}) == len({*plain})


@pytest.mark.parametrize(("units", "between", "least"), [(WORDS, " ", 13), (HAN, "", 20)])
def test_a_run_is_thirteen_words_or_twenty_characters(units, between, least):
    item = between.join(units[:30])
    evaluation = evaluation_of([Item("q", "set", [item])])
    shared = between.join(units[5 : 5 + least])
    assert evaluation.hits(f"Before {shared} after") == [(0, 1)]
    assert evaluation.hits(between.join(units[5 : 4 + least])) == []
    assert evaluation.without_runs == 0


def test_case_punctuation_width_and_spacing_make_no_difference():
    item = "It isn't what you say, but how you say it: that is 3.5 times as much."
    written = "IT ISN’T what you say — but, how you say it! That　is ３.5"
    assert evaluation_of([Item("q", "set", [item])]).hits(written) == [(0, 1)]


def test_texts_of_an_item_are_not_joined():
    texts = [" ".join(WORDS[:8]), " ".join(WORDS[8:20])]
    assert evaluation_of([Item("q", "set", texts)]).hits(" ".join(WORDS)) == []


def test_items_that_are_too_short_are_counted_and_touch_nothing():
    evaluation = evaluation_of([Item("short", "set", ["yes"]), Item("empty", "set", [])])
    assert evaluation.without_runs == 2
    assert evaluation.hits("yes") == evaluation.hits("") == []


def test_every_item_that_a_document_touches_is_found():
    chance = random.Random(4)
    items = [Item(f"q{n}", "set", [" ".join(chance.choices(WORDS, k=30))]) for n in range(50)]
    evaluation = evaluation_of([*items, items[7]])
    hits = evaluation.hits(f"{items[7].texts[0]} and {items[3].texts[0]}")
    assert [hit.item for hit in hits] == [7, 50, 3]
    assert {hit.runs for hit in hits} == {18}


def labelled(root: str, name: str, task: str, rows: list[dict[str, str]]) -> str:
    """Write examples as a labelled artifact."""

    def work(attempt: Attempt) -> Built:
        records = []
        for split in sorted({row["split"] for row in rows}):
            with attempt.shard(split) as output:
                own = [{"group": row["id"], **row} for row in rows if row["split"] == split]
                pq.write_table(
                    pa.Table.from_pylist(own, schema=LABELLED[task]), output.path(f"{split}.parquet")
                )
                output.add(f"{split}.parquet", "labelled", rows=len(own), split=split)
            assert output.result is not None
            records += output.result.files
        return Built(records, {})

    return build_once(CorpusConfig(name=name), {}, root, work)


@pytest.mark.usefixtures("ray_cluster")
def test_contaminated_documents_are_dropped_and_attributed(root, resources):
    questions = labelled(
        root, "questions", "classification",
        [{"id": "q1", "split": "test", "text": prose(50), "label": "a"},
         {"id": "q2", "split": "train", "text": prose(51), "label": "b"}],
    )  # fmt: skip
    summaries = labelled(
        root, "summaries", "summarization",
        [{"id": "s1", "split": "test", "document": prose(52), "summary": prose(53, 20)},
         {"id": "s2", "split": "test", "document": prose(54), "summary": "Too short."}],
    )  # fmt: skip
    rows = [
        document("both", prose(1) + " " + prose(50) + " " + prose(53, 20)),
        document("copy", prose(1) + " " + prose(50)),
        document("train", prose(51)),
        document("clean", prose(2)),
    ]
    inputs = {"corpora": [corpus(root, "made", [rows])], "evaluation": [questions, summaries]}
    artifact = Artifact(stage.build(inputs, CurateConfig(preset="none"), root, resources, SilentWatch()))
    assert set(rows_of(artifact, "documents")) == {"train", "clean"}
    dropped = rows_of(artifact, "dropped")
    assert {row["reason"] for row in dropped.values()} == {"contaminated"}
    assert {row["detail"] for row in dropped.values()} == {"q1"}
    (hits,) = artifact.tables("contamination")
    assert {(row["id"], row["example"], row["data_set"]) for row in hits.to_pylist()} == {
        ("both", "q1", "questions"), ("both", "s1", "summaries"), ("copy", "q1", "questions"),
    }  # fmt: skip
    stats = artifact.stats
    assert stats["dropped"] == {"decontamination/contaminated": 2}
    assert [step["filter"] for step in stats["funnel"]][-2:] == ["decontamination", "deduplication"]
    assert (stats["evaluation_items"], stats["evaluation_items_too_short"]) == (3, 0)
    assert np.sum(hits["runs"].to_numpy()) > 100
