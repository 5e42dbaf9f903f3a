"""What benchmarks are made of: their documents, their turns, and what they write."""

import gzip
import json

import corpora
import pytest
from figures import RESULTS, Row, told, write
from paired import Paired, Spent, in_turns
from readme_tables import BLOCK, READMES, with_tables


def test_documents_are_cut_and_joined_at_line_ends_to_the_length_that_is_asked_for():
    texts = ["".join(f"line {number} of {text}\n" for number in range(50)) for text in range(20)]
    found = list(corpora._of_length(texts, 400))
    assert all(400 <= len(text) < 450 for text in found)
    lines = [line for text in found for line in text.splitlines() if line]
    assert lines == "".join(texts).splitlines()[: len(lines)]


def test_documents_come_from_bench_data(tmp_path, monkeypatch):
    (tmp_path / "corpus-en").mkdir()
    with gzip.open(tmp_path / "corpus-en" / "train.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps({"text": f"text {number}"}) + "\n" for number in range(9))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    assert corpora.documents("corpus-en", 0, 21) == ["text 0", "text 3", "text 6"]


def test_without_bench_data_only_english_is_there(monkeypatch):
    monkeypatch.delenv("BENCH_DATA", raising=False)
    assert corpora.has_corpus("corpus-en")
    assert not corpora.has_corpus("corpus-zh")


def test_runs_take_turns_after_one_each_that_isnt_counted():
    order = []

    def run(name, wall):
        order.append(name)
        return Spent(wall, wall)

    found = in_turns(lambda: run("ours", 1.0), lambda: run("peer", 3.0), rounds=3)
    assert order == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer"]
    assert found.ratio == found.processor_ratio == 3
    assert Paired([Spent(1, 1), Spent(2, 1)], [Spent(8, 8), Spent(4, 8)]).ratios == [8, 2]


@pytest.mark.parametrize(("ratio", "met"), [(29.9, False), (30.0, True)])
def test_a_row_that_falls_short_is_written_all_the_same(tmp_path, capsys, ratio, met):
    row = Row("chain", "MB/s", ratio, 1.0, "peer 1.0", ratio, 30, {"documents": 3})
    written = json.loads(write("name", [row], {"peer": "1.0"}, tmp_path).read_text())
    assert set(written) == {"name", "date", "machine", "command", "versions", "rows"}
    assert written["rows"][0]["met"] is met
    assert written["rows"][0]["documents"] == 3
    assert ("NOT met" in told(row)) is not met
    assert told(row) in capsys.readouterr().out


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_the_tables_of_the_readmes_are_what_the_benchmarks_wrote(path):
    readme = path.read_text(encoding="utf-8")
    assert BLOCK.search(readme)
    assert with_tables(readme) == readme, "run: make readme-tables"


def test_whatever_was_measured_stands_in_a_readme():
    shown = {block["name"] for path in READMES for block in BLOCK.finditer(path.read_text(encoding="utf-8"))}
    assert {path.stem for path in RESULTS.glob("*.json")} <= shown


def test_a_table_tells_what_falls_short(tmp_path):
    rows = [
        Row("Chain", "MB/s", 12.0, 0.5, "peer 1.0", 24.0, 30),
        Row("Floor", "MB/s", 12.0, None, "memory", 0.9, 0.8),
    ]
    write("chain", rows, {}, tmp_path)
    told = with_tables("a\n<!-- figures: chain -->\nstale\n<!-- end of figures -->\nb\n", tmp_path)
    assert "| Chain, MB/s | 12 | 0.5 | 24 | 30, not met |" in told
    assert "| Floor, MB/s | 12 |  | 0.9 | 0.8 |" in told
    assert "stale" not in told
    assert told.endswith("<!-- end of figures -->\nb\n")


def test_peers_that_differ_are_named_in_each_row_and_what_nothing_is_asked_of_has_no_goal(tmp_path):
    rows = [
        Row("Signatures", "MB/s", 1234.5, 24.0, "gaoya 0.2", 51.4, 2.5),
        Row("Signatures", "MB/s", 1234.5, 0.5, "datatrove 1.0", 2469.0, None),
    ]
    assert "goal" not in told(rows[1])
    write("signs", rows, {}, tmp_path)
    found = with_tables("<!-- figures: signs -->\n<!-- end of figures -->", tmp_path)
    assert "| Signatures, MB/s | 1,234 | gaoya 0.2 | 24 | 51.4 | 2.5 |" in found
    assert "| Signatures, MB/s | 1,234 | datatrove 1.0 | 0.5 | 2,469 |  |" in found


def test_a_table_that_was_never_measured_says_how_it_is_made(tmp_path):
    found = with_tables("<!-- figures: cost -->\nstale\n<!-- end of figures -->", tmp_path)
    assert "Not measured yet: `make bench-growth`, `make bench-curation`" in found
