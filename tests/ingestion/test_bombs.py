"""Packed files that unpack to far more than any text: little of them is read, wherever it begins."""

import gzip
from pathlib import Path

import pytest
import zstandard

from lmtrain.ingestion import streams
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part, Record
from lmtrain.storage import SourceFile

GOOD = b"".join(b'{"text": "%d %d"}\n' % (n, n * 7919 % 104_729) for n in range(50_000))
NEWLINES = b"\n" * 30_000_000


def read(folder: Path, name: str, content: bytes) -> list:
    (folder / name).write_bytes(content)
    file = SourceFile(str(folder / name), name, len(content), "")
    return list(read_records(Part(file), Layout("text")))


@pytest.mark.parametrize(
    ("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)]
)
def test_of_gigabytes_of_newlines_a_fraction_is_read_even_after_good_lines(tmp_path, name, pack):
    items = read(tmp_path, name, pack(GOOD) + pack(NEWLINES) * 100)
    assert all(isinstance(item, Record) for item in items[:50_000])
    assert items[-1].reason == "compression_bomb"
    assert "white space" in items[-1].detail
    assert {item.reason for item in items[50_000:-1]} == {"empty"}
    assert len(items) < 50_000 + 2 * streams.BLANK_BYTES


def test_a_bomb_after_much_text_is_no_better_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BOMB_BYTES", 1 << 18)
    monkeypatch.setattr(streams, "BOMB_RATIO", 100)
    items = read(tmp_path, "a.jsonl.gz", gzip.compress(GOOD) + gzip.compress(b"x" * 20_000_000))
    assert len(items) == 50_001
    assert items[-1].reason == "compression_bomb"
    assert "before" in items[-1].detail
