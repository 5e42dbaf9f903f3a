"""The stage `ingest` on large files: reading them in pieces changes nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmtrain.config import Resources
from lmtrain.ingestion import stage
from lmtrain.ingestion.config import DocstringsSource, FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.manifest import Artifact, address_of
from lmtrain.storage import join, write_bytes
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


def test_new_settings_left_alone_move_no_address():
    source = FilesSource(alias="mine", urls=["x"])
    config = IngestConfig(files=source, listing="0" * 64)
    assert address_of(config, {}).digest == "06c610f0c24c"
    docstrings = DocstringsSource(alias="python", packages=["numpy"])
    assert address_of(IngestConfig(docstrings=docstrings, listing="0" * 64), {}).digest == "87c9c48f4392"
    changed = source.model_copy(update={"max_bytes": 5})
    assert address_of(IngestConfig(files=changed, listing="0" * 64), {}).digest != "06c610f0c24c"
