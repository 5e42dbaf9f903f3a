"""The stage as a whole: every document accounted for, the same bytes whatever the workers."""

import numpy as np
import pytest
from made_corpora import corpus, curated, document, edited, prose, rows_of

from lmtrain.curation import components, keys, stage
from lmtrain.curation.config import CurateConfig, ListsConfig
from lmtrain.curation.judging import upper_halves
from lmtrain.curation.lists import with_digest
from lmtrain.errors import StageError
from lmtrain.manifest import Artifact
from lmtrain.schemas import DOCUMENTS, DROPPED
from lmtrain.text import nearness, similarity
from lmtrain.watch import SilentWatch

pytestmark = pytest.mark.usefixtures("ray_cluster")


def mixed_files() -> list[list[dict[str, str]]]:
    """Two files with every fate of a document among them."""
    good = [
        document(f"{n:032x}", prose(n), ["train", "train", "validation", "test"][n % 4]) for n in range(90)
    ]
    bad = [
        document("short", "This is a text that is too short to keep."),
        document(
            "german", "Dies ist ein deutscher Text über die Verarbeitung von Daten in einer Pipeline. " * 3
        ),
        document("figures", "The mean of that is: " + ", ".join(f"{n}.{n}25" for n in range(10, 40))),
        document("repeating", "The same line of the text stands here again and again.\n" * 8),
        document("exact", f"  {prose(3)}\n"),
        document("near", edited(prose(2), [30])),
    ]
    return [good[:50] + bad, good[50:]]


def test_every_document_is_kept_or_dropped_with_a_reason(root, resources):
    artifact = curated(root, mixed_files(), resources)
    kept, dropped, stats = rows_of(artifact, "documents"), rows_of(artifact, "dropped"), artifact.stats
    assert stats["read"] == 96 == stats["kept"] + sum(stats["dropped"].values())
    assert set(kept) | set(dropped) == {row["id"] for rows in mixed_files() for row in rows}
    assert not set(kept) & set(dropped)
    reasons = {name: f"{row['filter']}/{row['reason']}" for name, row in dropped.items()}
    assert reasons["short"] == "gopher_quality/few_words"
    assert reasons["german"] == "language/other_language"
    assert dropped["german"]["detail"] == "de"
    assert reasons["figures"] == "gopher_quality/few_alphabetic_words"
    assert reasons["repeating"].startswith("gopher_repetition/")
    assert reasons["exact"] == "deduplication/exact_copy"
    assert reasons["near"] == "deduplication/near_copy"
    assert dropped["near"]["detail"] == f"{2:032x}"
    assert dropped["short"]["value"] == 10
    assert dropped["short"]["threshold"] == 20
    assert len(kept) == 90


def test_files_have_the_columns_of_the_contract(root, resources):
    artifact = curated(root, mixed_files(), resources)
    assert all(table.schema.equals(DOCUMENTS) for table in artifact.tables("documents"))
    assert all(table.schema.equals(DROPPED) for table in artifact.tables("dropped"))
    kept = rows_of(artifact, "documents")
    assert all(row["language"] == "en" and row["cluster"] == name for name, row in kept.items())
    assert {record.role for record in artifact.manifest.files} == {"documents", "dropped", "signatures"}


def test_signatures_hold_what_a_later_batch_is_compared_by(root, resources):
    artifact = curated(root, mixed_files(), resources)
    kept, signatures = rows_of(artifact, "documents"), rows_of(artifact, "signatures")
    assert set(signatures) == set(kept)
    for name, row in signatures.items():
        shingles = similarity.shingles(kept[name]["text"], 5, "en")
        sketch = nearness.sketch(upper_halves(shingles))
        assert np.cumsum(row["sketch_gaps"]).tolist() == sketch.tolist()
        keys = similarity.band_keys(similarity.signatures([shingles], 14 * 8), 14, 8)[0]
        assert row["bands"] == (keys >> np.uint64(16)).tolist()


def test_stats_add_up(root, resources):
    artifact = curated(root, mixed_files(), resources)
    stats, kept = artifact.stats, rows_of(artifact, "documents")
    volume = sum(len(row["text"].encode()) for row in kept.values())
    for name in ("by_source", "by_license", "by_language", "by_split"):
        assert sum(entry["documents"] for entry in stats[name].values()) == len(kept)
        assert sum(entry["bytes"] for entry in stats[name].values()) == volume
    assert [step["filter"] for step in stats["funnel"]] == [
        "read", "language", "gopher_quality", "gopher_repetition", "deduplication",
    ]  # fmt: skip
    assert stats["funnel"][-1]["documents"] == len(kept)
    assert stats["funnel"][-1]["bytes"] == volume
    assert sum(stats["lengths"]["counts"]) == len(kept)
    assert len(stats["lengths"]["counts"]) == len(stats["lengths"]["edges"]) - 1
    assert stats["clusters"] == 2
    assert stats["signature_bytes_per_document"] > 0


def test_words_and_bytes_are_told_by_rule_and_add_up(root, resources):
    artifact = curated(root, mixed_files(), resources)
    stats = artifact.stats
    assert {name: row["documents"] for name, row in stats["taken"].items()} == stats["dropped"]
    assert stats["taken"]["gopher_quality/few_words"] == {"documents": 1, "bytes": 41, "words": 10}
    first, last = stats["funnel"][0], stats["funnel"][-1]
    for figure in ("documents", "bytes", "words"):
        assert first[figure] == last[figure] + sum(row[figure] for row in stats["taken"].values())
        assert last[figure] == sum(row[figure] for row in stats["by_source"].values())


def test_what_c4_takes_out_of_texts_is_counted_and_the_changed_text_goes_on(root, resources):
    """Documents that are equal but for a notice are copies once it is gone."""
    lines = "\n".join(prose(seed, 20) for seed in range(6))
    rows = [
        document("a", f"{lines}\nWe use cookies on this page.\nMenu\n"),
        document("b", f"Home\n{lines}"),
        document("c", "\n".join(prose(seed, 20) for seed in range(10, 16))),
        document("code", f"{lines}\nfunction is {{ and more."),
    ]
    artifact = curated(root, [rows], resources, preset="c4", thresholds={"min_language_score": 0.3})
    kept, dropped, stats = rows_of(artifact, "documents"), rows_of(artifact, "dropped"), artifact.stats
    assert {name: row["text"] for name, row in kept.items()} == {"a": lines, "c": rows[2]["text"]}
    assert {name: row["reason"] for name, row in dropped.items()} == {
        "b": "exact_copy",
        "code": "curly_bracket",
    }
    assert dropped["b"]["text"] == lines, "as the filters left it"
    assert dropped["code"]["text"] == rows[3]["text"]
    changed = stats["rewritten"]["c4"]
    assert (changed["documents"], changed["words"]) == (2, 8)
    assert {reason: count for reason, count in changed["removed"].items() if count} == {
        "policy": 1, "unpunctuated": 2,
    }  # fmt: skip
    volume = sum(len(row["text"].encode()) for row in kept.values())
    assert stats["funnel"][-1]["bytes"] == volume == stats["by_source"]["made"]["bytes"]
    assert stats["funnel"][0]["bytes"] == sum(len(row["text"].encode()) for row in rows)
    taken = sum(row["bytes"] for row in stats["taken"].values())
    assert stats["funnel"][0]["bytes"] == volume + taken + changed["bytes"]


def test_documents_go_by_the_lists_of_the_recipe(root, tmp_path, resources):
    (tmp_path / "domains").write_text("bad.com\n")
    (tmp_path / "words").write_text("forbidden\n")
    rows = [
        {**document("listed", prose(1)), "url": "https://www.bad.com/a"},
        {**document("other", prose(2)), "url": "https://fine.com/a"},
        document("word", f"{prose(3)} It is forbidden."),
    ]
    lists = ListsConfig(domains=[str(tmp_path / "domains")], bad_words={"en": [str(tmp_path / "words")]})
    config = with_digest(CurateConfig(lists=lists))
    url = stage.build({"corpora": [corpus(root, "made", [rows])]}, config, root, resources, SilentWatch())
    artifact = Artifact(url)
    assert set(rows_of(artifact, "documents")) == {"other"}
    dropped = {name: (row["reason"], row["detail"]) for name, row in rows_of(artifact, "dropped").items()}
    assert dropped == {"listed": ("domain", "bad.com"), "word": ("bad_word", "forbidden")}
    assert [step["filter"] for step in artifact.stats["funnel"]][-3:] == [
        "urls",
        "bad_words",
        "deduplication",
    ]
    assert str(tmp_path) not in artifact.manifest.model_dump_json(), "a manifest holds no local path"


def test_one_worker_or_two_write_the_same_bytes(tmp_path, resources):
    hashes = []
    for workers in (1, 2):
        artifact = curated(
            str(tmp_path / str(workers)), mixed_files(), resources.model_copy(update={"workers": workers})
        )
        hashes.append([(record.path.rsplit("/", 1)[-1], record.sha256) for record in artifact.manifest.files])
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 5  # the second file has nothing to drop


def test_many_ranges_small_groups_and_small_bins_write_the_same_bytes(tmp_path, resources, monkeypatch):
    """The corpora's size decides how many there are; they decide nothing."""
    hashes = []
    sizes = {
        (keys, "KEYS_OF_A_RANGE"): 300,
        (keys, "BYTES_OF_A_TASK"): 1_000,
        (keys, "GROUP_DOCUMENTS"): 1,
        (components, "LINKS_OF_A_RANGE"): 40,
    }
    for name in ("one", "many"):
        for (module, size), value in sizes.items() if name == "many" else []:
            monkeypatch.setattr(module, size, value)
        artifact = curated(str(tmp_path / name), mixed_files(), resources)
        hashes.append([record.sha256 for record in artifact.manifest.files])
        assert artifact.stats["components"] == artifact.stats["clusters"] == 2
    assert hashes[0] == hashes[1]


def test_a_build_that_broke_off_goes_on_to_the_same_bytes(tmp_path, resources, monkeypatch):
    """The first pass is done and the second isn't: the next attempt adopts what is there."""
    undisturbed = curated(str(tmp_path / "a"), mixed_files(), resources)
    with monkeypatch.context() as broken:
        broken.setattr(stage, "find_copies", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            curated(str(tmp_path / "b"), mixed_files(), resources)
    judged = []
    passed = stage.map_shards

    def told(function, splits, attempt, *rest, step, **more):
        judged.extend(attempt.finished(f"{step}/{split.name}") is not None for split in splits)
        return passed(function, splits, attempt, *rest, step=step, **more)

    monkeypatch.setattr(stage, "map_shards", told)
    resumed = curated(str(tmp_path / "b"), mixed_files(), resources)
    assert judged == [True, True, False, False]
    assert [r.sha256 for r in resumed.manifest.files] == [r.sha256 for r in undisturbed.manifest.files]


def test_no_copy_is_removed_for_one_that_is_far_from_it(root, resources):
    """A chain of edits: neighbours are alike, the ends aren't."""
    chain = [edited(prose(5, 200), list(range(10, 10 + 12 * step, 12))) for step in range(12)]
    rows = [document(f"d{n:02d}", text) for n, text in enumerate(chain)]
    artifact = curated(root, [rows], resources, preset="none")
    texts = {row["id"]: row["text"] for row in rows}
    kept, dropped = rows_of(artifact, "documents"), rows_of(artifact, "dropped")
    assert dropped
    assert len(kept) > 1
    for name, row in dropped.items():
        assert row["detail"] in kept
        near = nearness.jaccard(
            *(similarity.shingles(texts[each], 5, "en") for each in (name, row["detail"]))
        )
        assert near >= 0.8
        assert row["value"] == pytest.approx(near, abs=0.01)


def test_text_of_twenty_dropped_documents_a_reason_is_kept_or_of_all(root, tmp_path, resources):
    rows = [
        document(f"d{n:02d}", f"This is text number {n}, and it is too short to keep.") for n in range(30)
    ] + [document("good", prose(1))]
    artifact = curated(root, [rows[:10], rows[10:]], resources)
    shown = [row["id"] for row in rows_of(artifact, "dropped").values() if row["text"] is not None]
    assert shown == [f"d{n:02d}" for n in range(20)]
    every = curated(str(tmp_path / "all"), [rows], resources, keep_text="all")
    assert all(row["text"] is not None for row in rows_of(every, "dropped").values())


def test_nothing_left_is_told_in_one_line_with_what_would_loosen_it(root, resources):
    rows = [document(f"d{n}", f"This is text number {n}, and it is too short to keep.") for n in range(3)]
    with pytest.raises(StageError) as told:
        curated(root, [rows], resources)
    assert str(told.value) == (
        "curation kept none of 3 documents: "
        "gopher_quality/few_words took 3 (curate.thresholds.min_words is 20)"
    )


def test_thresholds_of_the_recipe_replace_those_of_the_preset(root, resources):
    rows = [document("short", "This is a text that is too short to keep."), document("good", prose(1))]
    artifact = curated(root, [rows], resources, thresholds={"min_words": 10, "max_top_4_gram_ratio": 1})
    assert artifact.stats["kept"] == 2


def test_chinese_is_kept_and_copies_of_it_are_found(root, resources):
    text = (
        "数据质量决定了模型能够达到的水平。我们在这里介绍一种清洗中文语料的方法，它先识别语言，再检查重复的句子。"
        "第一步是读取所有的文件，并且记录每个文件的来源和许可。第二步是计算每篇文章的词数与标点的比例，去掉不合格的文章。"
        "最后比较文章之间的相似程度，只保留其中最长的一篇，其他的都作为副本删除，并且写明原因。"
    )
    rows = [
        document("zh", text),
        document("copy", text.replace("最后", "末", 1)),
        document("english", prose(1)),
        document("menu", "首页\n新闻\n体育\n财经\n科技\n娱乐\n" * 12),
    ]
    artifact = curated(root, [rows], resources, preset="chinese")
    assert set(rows_of(artifact, "documents")) == {"zh"}
    reasons = {name: row["reason"] for name, row in rows_of(artifact, "dropped").items()}
    assert reasons["copy"] == "near_copy"
    assert "menu" in reasons
    assert reasons["english"] == "other_language"
