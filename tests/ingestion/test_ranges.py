"""Large files on web servers: in pieces where the server gives ranges, whole where it doesn't."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_ingest_pieces import ingest, rows, write_large
from test_places import Bare, Quiet, serve
from test_splits import in_pieces, layout, read

from lmtrain.ingestion import stage
from lmtrain.ingestion.config import FilesSource
from lmtrain.ingestion.records import Part
from lmtrain.ingestion.splits import is_splittable
from lmtrain.storage import SourceFile


class Ranged(SimpleHTTPRequestHandler):
    """A server that gives ranges, and keeps an account of what it sent."""

    def __init__(self, *arguments: Any, sent: list[int], **options: Any) -> None:
        self.sent = sent
        super().__init__(*arguments, **options)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        first, last = 0, len(data) - 1
        asked = self.headers.get("Range")
        if asked:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(begin), min(int(end or last), last)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(data[first : last + 1])
        self.sent.append(last - first + 1)


@pytest.fixture
def sent() -> list[int]:
    """Bytes that the server sent, by request."""
    return []


@pytest.fixture
def web(tmp_path: Path, sent: list[int]) -> Iterator[str]:
    yield from serve(partial(Ranged, directory=str(tmp_path), sent=sent))


@pytest.mark.usefixtures("ray_cluster")
def test_large_files_on_a_web_server_are_read_in_pieces(tmp_path, monkeypatch, web):
    write_large(tmp_path)
    names = ("b.jsonl", "c.parquet")
    there = FilesSource(alias="mine", urls=[f"{web}/{name}" for name in names])
    whole = ingest(there, str(tmp_path / "whole"))
    assert len(whole.files("documents")) == 1
    monkeypatch.setattr(stage, "FILE_BYTES", 3000)
    pieces = ingest(there, str(tmp_path / "pieces"))
    assert len(pieces.files("documents")) > 10
    assert rows(pieces, "documents") == rows(whole, "documents")
    assert rows(pieces, "rejected") == rows(whole, "rejected")


@pytest.mark.parametrize("handler", [Quiet, Bare])
def test_a_server_that_gives_no_ranges_is_asked_for_the_whole_file(tmp_path, handler):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' * 9)
    for url in serve(partial(handler, directory=str(tmp_path))):
        file = SourceFile(f"{url}/a.jsonl", "a.jsonl", 126, "")
        assert not is_splittable(file, layout())
        assert len(read([Part(file)])) == 9


def test_a_piece_of_a_file_that_vanished_is_a_refusal(tmp_path, web):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n' * 9)
    file = SourceFile(f"{web}/a.jsonl", "a.jsonl", 126, "")
    assert is_splittable(file, layout())
    parts = in_pieces(file, 14)
    assert len(parts) == 9
    (tmp_path / "a.jsonl").unlink()
    assert [(number, reason) for number, reason, *_ in read(parts[:2])] == [
        (-1, "vanished_file"),
        (1, "vanished_file"),
    ]


def test_of_a_remote_table_only_the_columns_and_rows_that_are_wanted_are_fetched(tmp_path, web, sent):
    texts = [json.dumps([number * 7919 % 104_729] * 200) for number in range(4000)]
    unwanted = [text[::-1] for text in texts]
    pq.write_table(
        pa.table({"text": texts, "other": unwanted}),
        tmp_path / "a.parquet",
        row_group_size=500,
        compression="none",
        use_dictionary=False,
    )
    size = (tmp_path / "a.parquet").stat().st_size
    file = SourceFile(f"{web}/a.parquet", "a.parquet", size, "")
    parts = in_pieces(file, size // 9)
    assert len(parts) == 8
    sent.clear()
    assert len(read(parts[3:4], layout(max_bytes=10_000))) == 500
    assert sum(sent) < size / 8
