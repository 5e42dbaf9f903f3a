"""The stage `ingest` on large files and on damaged ones: pieces change nothing, nothing is lost unsaid."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmtrain.config import Resources
from lmtrain.ingestion import stage, streams
from lmtrain.ingestion.config import DocstringsSource, FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part
from lmtrain.manifest import Artifact, address_of
from lmtrain.storage import SourceFile, join, write_bytes
from lmtrain.watch import SilentWatch

LINE = {"en": "A line of text, number {}.", "zh": "第{}行文字，不长也不短。"}


def ingest(source: FilesSource, root: str, workers: int = 2) -> Artifact:
    config = IngestConfig(files=source, listing=list_source_files(source).digest)
    return Artifact(stage.build({}, config, root, Resources(workers=workers), SilentWatch()))


def rows(artifact: Artifact, role: str) -> list[dict]:
    return [row for table in artifact.tables(role) for row in table.to_pylist()]


def write_large(folder: Path) -> None:
    """Two large files of lines, one of row groups, and small ones around them."""
    texts = [LINE[("en", "zh")[n % 2]].format(n) for n in range(900)]
    lines = [
        json.dumps({"key": f"k{n % 800}", "text": text}, ensure_ascii=False) for n, text in enumerate(texts)
    ]
    lines[100] = "broken"
    lines[500] = ""
    (folder / "b.jsonl").write_text("\n".join(lines))
    (folder / "a.txt").write_text("\n".join(texts[:300]) + "\n")
    keys = [f"p{n}" for n in range(900)]
    pq.write_table(pa.table({"key": keys, "text": texts}), folder / "c.parquet", row_group_size=50)
    (folder / "d.jsonl").write_text(json.dumps({"key": "d", "text": "The last one."}))


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("id_column", [None, "key"])
def test_large_files_in_pieces_give_the_rows_that_they_give_whole(tmp_path, monkeypatch, id_column):
    folder = tmp_path / "data"
    folder.mkdir()
    write_large(folder)
    source = FilesSource(alias="mine", urls=[str(folder)], text_document="line", id_column=id_column)
    whole = ingest(source, str(tmp_path / "whole"), workers=1)
    assert len(whole.files("documents")) == 1
    monkeypatch.setattr(stage, "FILE_BYTES", 3000)
    pieces = [ingest(source, str(tmp_path / f"pieces-{workers}"), workers) for workers in (1, 2)]
    assert len(pieces[0].files("documents")) > 10
    assert [record.sha256 for record in pieces[0].manifest.files] == [
        r.sha256 for r in pieces[1].manifest.files
    ]
    for role in ("documents", "rejected"):
        assert rows(pieces[0], role) == rows(whole, role)
    assert pieces[0].stats == whole.stats
    assert pieces[0].address == whole.address


@pytest.mark.usefixtures("ray_cluster")
def test_large_files_on_s3_are_read_in_pieces(tmp_path, monkeypatch, s3_root):
    write_large(tmp_path)
    for name in ("b.jsonl", "c.parquet"):
        write_bytes(join(s3_root, "data", name), (tmp_path / name).read_bytes())
    monkeypatch.setattr(stage, "FILE_BYTES", 3000)
    corpus = ingest(FilesSource(alias="mine", urls=[join(s3_root, "data")]), join(s3_root, "runs"))
    assert len(corpus.files("documents")) > 10
    assert [json.loads(row["metadata"])["record"] for row in rows(corpus, "documents")] == [
        *(n for n in range(900) if n not in (100, 500)),
        *range(900),
    ]
    assert corpus.stats["rejected"] == {"empty": 1, "not_json": 1}


GOOD = b'{"text": "good"}\n'
DAMAGED = {
    "bomb.jsonl.gz": gzip.compress(GOOD + b" " * 3_000_000, 9),
    "cut.jsonl.gz": gzip.compress(GOOD * 50)[:-9],
    "cut.parquet": b"",
    "deep.jsonl": GOOD + b"[" * 200_000 + b"\n" + GOOD,
    "empty.json": b"",
    "huge.jsonl": b'{"text": "' + b"x" * 2_000_000 + b'"}\n' + GOOD,
    "latin.txt": "schön".encode("latin-1"),
    "nul.txt": b"a\0b",
    "page.html": b"<html><body><p>" + b"good " * 100 + b"</p></body></html>",
    "records.warc": b"WARC/1.0\r\nContent-Length: 3\r\n\r\nab",
    "shape.json": b'"text"',
}
REASONS = {
    "broken_record": 1,
    "compression_bomb": 1,
    "damaged_file": 2,
    "empty_file": 1,
    "nested_too_deep": 1,
    "not_an_object": 1,
    "nul_bytes": 1,
    "oversized": 1,
    "undecodable": 1,
    "vanished_file": 1,
}


def test_every_damage_is_counted_under_its_own_reason_with_its_file(tmp_path, monkeypatch):
    pq.write_table(pa.table({"text": ["good"] * 100}), tmp_path / "whole")
    contents = {**DAMAGED, "cut.parquet": (tmp_path / "whole").read_bytes()[:-20]}
    monkeypatch.setattr(streams, "BOMB_BYTES", 1_000_000)
    monkeypatch.setattr(streams, "BOMB_RATIO", 100)
    found: dict[str, list] = {}
    for name, content in {**contents, "gone.txt": b"gone"}.items():
        path = tmp_path / name
        if name != "gone.txt":
            path.write_bytes(content)
        found[name] = told(Part(SourceFile(str(path), name, len(content), "")))
    reasons = sorted(reason for items in found.values() for _, reason in items if reason)
    assert reasons == sorted(reason for reason, count in REASONS.items() for _ in range(count))
    assert found["cut.jsonl.gz"] == [*((n, None) for n in range(50)), (50, "damaged_file")]
    assert found["bomb.jsonl.gz"] == [(0, None), (1, "compression_bomb")]
    assert found["deep.jsonl"] == [(0, None), (1, "nested_too_deep"), (2, None)]
    assert found["huge.jsonl"] == [(0, "oversized"), (1, None)]
    assert found["gone.txt"] == [(-1, "vanished_file")]


def told(part: Part) -> list[tuple[int, str | None]]:
    """Numbers, with the reason of what is refused."""
    source = FilesSource(alias="mine", urls=["x"], max_bytes=100_000)
    config = IngestConfig(files=source, listing="")
    return [
        (json.loads(item["metadata"])["record"], None)
        if isinstance(item, dict)
        else (item.number, item.reason)
        for item in stage._documents(part, None, config)
    ]


@pytest.mark.usefixtures("ray_cluster")
def test_a_file_that_vanishes_during_the_run_is_counted_and_the_rest_is_kept(tmp_path, monkeypatch):
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (tmp_path / name).write_bytes(GOOD)
    source = FilesSource(alias="mine", urls=[str(tmp_path)])
    listed = list_source_files(source)
    config = IngestConfig(files=source, listing=listed.digest)
    (tmp_path / "b.jsonl").unlink()
    monkeypatch.setattr(stage, "list_source_files", lambda _: listed)
    corpus = Artifact(stage.build({}, config, str(tmp_path / "runs"), Resources(workers=1), SilentWatch()))
    assert corpus.stats["rejected"] == {"vanished_file": 1}
    assert (corpus.stats["read"], corpus.stats["kept"]) == (3, 2)
    assert [(row["file"], row["record"]) for row in rows(corpus, "rejected")] == [("b.jsonl", -1)]


@pytest.mark.slow
def test_a_line_of_200_megabytes_is_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as stream:
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b"\n" + GOOD)
    part = Part(SourceFile(str(path), "a.jsonl", path.stat().st_size, ""))
    refused, good = read_records(part, Layout("text"))
    assert (refused.reason, refused.bytes) == ("oversized", 200_000_001)
    assert good.values == {"text": "good"}


def test_new_settings_left_alone_move_no_address():
    source = FilesSource(alias="mine", urls=["x"])
    config = IngestConfig(files=source, listing="0" * 64)
    assert address_of(config, {}).digest == "06c610f0c24c"
    docstrings = DocstringsSource(alias="python", packages=["numpy"])
    assert address_of(IngestConfig(docstrings=docstrings, listing="0" * 64), {}).digest == "87c9c48f4392"
    changed = source.model_copy(update={"max_bytes": 5})
    assert address_of(IngestConfig(files=changed, listing="0" * 64), {}).digest != "06c610f0c24c"
