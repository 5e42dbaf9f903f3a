"""What the report and `lmtrain show` tell of text that the stages themselves have read, cut and tokenized."""

from collections import Counter

import pytest
from click.testing import CliRunner
from curated_line import ALIASES, EXAM, LICENSES, MAIL, NOTICE, make_curated_line, texts
from page_reader import Reader

from lmtrain.cli import main
from lmtrain.config import Resources
from lmtrain.manifest import Artifact
from lmtrain.removals import stage as listing
from lmtrain.removals.config import RemovalsConfig
from lmtrain.removals.entries import with_digest
from lmtrain.reporting import page, stage
from lmtrain.reporting.config import ReportConfig
from lmtrain.reporting.line import Line
from lmtrain.reporting.volumes import totals, volumes
from lmtrain.tokenization.stage import read_stream
from lmtrain.totals import BY_SOURCE_AND_LICENSE
from lmtrain.watch import SilentWatch


@pytest.fixture(scope="module")
def curated(
    ray_cluster: None, own_cache: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    return make_curated_line(tmp_path_factory.mktemp("curated"))


@pytest.fixture(scope="module")
def line(curated) -> Line:
    return Line.open(curated)


@pytest.fixture(scope="module")
def shown(line) -> Reader:
    return Reader(page.render(page.gather(line, "two-sources")))


def rows_of(artifacts: list[Artifact], role: str) -> dict[str, dict]:
    return {row["id"]: row for one in artifacts for table in one.tables(role) for row in table.to_pylist()}


def counted(rows: dict[str, dict]) -> dict[tuple[str, str], Counter[str]]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in rows.values():
        key = row["source"], row["license"]
        found.setdefault(key, Counter()).update(documents=1, bytes=len(row["text"].encode()))
    return found


def flat(given: dict) -> dict[tuple[str, str], dict[str, int]]:
    return {(source, name): counts for source, by in given.items() for name, counts in by.items()}


def test_what_was_read_and_kept_adds_up_by_source_and_licence(line):
    told = totals(line)
    read, kept = rows_of(line["corpora"], "documents"), rows_of(line["documents"], "documents")
    assert len(kept) < len(read)
    assert {source for source, _ in flat(told["read"])} == set(ALIASES.values())
    assert len(flat(told["read"])) == sum(map(len, LICENSES.values()))
    for done, rows in (("read", read), ("kept", kept)):
        given = {
            key: {unit: counts[unit] for unit in ("documents", "bytes")}
            for key, counts in flat(told[done]).items()
        }
        assert given == counted(rows)


def test_read_is_kept_and_dropped_and_what_was_taken_out_of_texts(line):
    told, stats = {done: Counter() for done in ("read", "dropped", "kept")}, line["documents"][0].stats
    for done, whole in told.items():
        for counts in flat(totals(line)[done]).values():
            whole.update(counts)
    for unit in ("documents", "bytes", "words"):
        cut = sum(change[unit] for change in stats["rewritten"].values()) if unit != "documents" else 0
        assert told["read"][unit] == told["dropped"][unit] + told["kept"][unit] + cut


def test_tokens_by_source_and_licence_are_those_of_documents_and_shards_joined_by_id(line):
    documents, joined = rows_of(line["documents"], "documents"), {}
    for shards in line["shards"]:
        for record in shards.files("shards"):
            for row in read_stream(shards.open(record)).to_pylist():
                document = documents.pop(row["id"])
                key = document["source"], document["license"]
                joined[key] = joined.get(key, 0) + len(row["input_ids"])
    assert not documents, "every kept document stands in a shard"
    assert {key: counts["tokens"] for key, counts in flat(totals(line)["tokenized"]).items()} == joined


def test_the_table_has_a_line_for_each_licence_of_a_source_and_subtotals(line):
    lines = volumes(line)
    assert [one.source for one in lines if not one.is_part] == ["web", "books", ""]
    assert {(one.source, one.license) for one in lines if one.is_part} == set(flat(totals(line)["read"]))
    for unit in ("documents", "bytes", "words", "tokens"):
        whole = lines[-1].figures[unit]["kept"]
        assert whole == sum(one.figures[unit].get("kept", 0) for one in lines if one.is_part)
        assert whole == sum(one.figures[unit].get("kept", 0) for one in lines[:-1] if not one.is_part)


def test_the_page_shows_the_totals_and_what_was_cut_out(shown):
    assert "By source and licence" in shown.shown
    for told in ("web", "books", "MIT", "CC-BY-SA-4.0", "unknown", "all sources"):
        assert told in shown.shown
    assert "Taken out of texts that were kept" in shown.shown
    assert "policy" in shown.shown
    assert "email" in shown.shown


def test_no_personal_data_is_on_the_page_even_of_what_was_dropped_before_it_was_looked_for(line, shown):
    dropped = rows_of(line["documents"], "dropped")
    assert dropped["web-short"]["reason"] == "few_words"
    assert dropped["web-short"]["text"] == "<EMAIL>"
    assert rows_of(line["documents"], "documents")["web-personal"]["text"].endswith("<EMAIL>")
    assert MAIL not in shown.shown
    assert NOTICE not in shown.shown


def test_what_touched_an_evaluation_example_stands_beside_it_with_the_words_marked(shown):
    assert "2 documents dropped, 2 examples touched" in shown.shown
    marked = "".join(shown.marked)
    for text in EXAM.values():
        assert marked.count(text) == 2, "in the document and in the example"


def test_groups_of_copies_are_told_by_size_with_the_kept_text(line, shown):
    assert line["documents"][0].stats["cluster_sizes"] == {"4": 2}
    assert "2 groups of copies were found" in shown.shown
    for language in ALIASES:
        assert " ".join(texts(language)["good-3"].split()) in shown.shown


def test_a_refused_record_is_shown_with_its_file_and_place(shown):
    assert "not json ingest" in shown.shown
    assert "web.jsonl, record 17" in shown.shown


def test_show_prints_the_same_totals(line, curated):
    root = line["documents"][0].root
    url = stage.build(curated, ReportConfig(name="two-sources"), root, Resources(), SilentWatch())
    assert Artifact(url).stats[BY_SOURCE_AND_LICENSE] == totals(line)
    told = CliRunner().invoke(main, ["show", url, "--rows", "0"])
    assert told.exit_code == 0, told.output
    printed = [row.split() for row in told.output.splitlines()]
    whole = volumes(line)[-1].figures
    for done in ("read", "kept"):
        counts = [f"{whole[unit][done]:,}" for unit in ("documents", "bytes", "words")]
        assert any(row[-4:] == [done, *counts] for row in printed)
    tokens = f"{whole['tokens']['kept']:,}"
    assert any("tokenized" in row and row[-1] == tokens for row in printed)


def test_show_prints_what_was_cut_out_and_the_sizes_of_groups(line):
    told = CliRunner().invoke(main, ["show", line["documents"][0].url, "--rows", "0"]).output
    for heading in (
        "taken out of texts that were kept",
        "copies: documents of a group",
        "by source and licence",
    ):
        assert heading in told
    assert "3 to 4" in told
    assert "CC-BY-SA-4.0" in told


def test_the_text_of_what_was_listed_for_removal_afterwards_is_not_shown(curated, line, tmp_path):
    """The documents are those of before the list, and still hold it."""
    listed = tmp_path / "ids"
    dropped = rows_of(line["documents"], "dropped")
    listed.write_text("\n".join([*rows_of(line["documents"], "documents"), *dropped]))
    config = with_digest(RemovalsConfig(ids=[str(listed)]))
    removals = listing.build({}, config, line["documents"][0].root, Resources(), SilentWatch())
    before = page.render(page.gather(line, "before"))
    after = page.render(page.gather(Line.open({**curated, "removals": [removals]}), "after"))
    beginnings = {row["text"][:25] for row in dropped.values() if row["text"]}
    beginnings = {text for text in beginnings if text in before}
    assert beginnings, "the page shows what was dropped"
    assert not [text for text in beginnings if text in after]
