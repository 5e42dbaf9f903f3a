"""A folder of everything that may be wrong with a file, through ingestion and curation, in one run.

Each damage is counted under its own reason, with its file and the number of the record in it; the rest is
kept, in English and Chinese; and read = kept + dropped + rejected holds over both artifacts.
"""

import gzip
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from both_languages import both_languages
from running import LMTRAIN, Machine, manifests

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.curation.config import CurateConfig
from lmtrain.ingestion import stage
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.manifest import Artifact
from lmtrain.node import Node, build
from lmtrain.watch import Clock, SilentWatch

SOURCE = {"alias": "bad", "text_document": "line", "max_bytes": 1_000_000}
Refused = list[tuple[int, str]]
"""Numbers of records in a file (-1: the file as a whole), and reasons."""


def line(text: object) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"


def parquet(texts: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"text": texts}), sink, row_group_size=2, compression="none", use_dictionary=False
    )
    return sink.getvalue()


def page(text: str, length: int | None = None) -> bytes:
    """A WARC record of a page, of the length that it says or of another."""
    body = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/\r\n"
        f"Content-Type: application/http\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def damaged_files(texts: Iterator[str]) -> dict[str, tuple[bytes, Refused]]:
    """Return files by name: what is in them, and what of it must be refused; all else in them is good."""

    def good(count: int = 1) -> bytes:
        return b"".join(line(next(texts)) for _ in range(count))

    three = gzip.compress(good(3), 0)
    groups = parquet([next(texts) for _ in range(4)])
    flipped = bytearray(groups)
    second = pq.read_metadata(io.BytesIO(groups)).row_group(1).column(0).data_page_offset
    flipped[second : second + 16] = b"\xff" * 16
    zeros = b"\0" * 40_000_000
    return {
        "cut.jsonl.gz": (three[:-20], [(2, "damaged_file")]),
        "no.jsonl.gz": (good(), [(-1, "damaged_file")]),
        "bomb.jsonl.gz": (gzip.compress(good() + zeros), [(1, "compression_bomb")]),
        "bomb.jsonl.zst": (zstandard.compress(good() + zeros), [(1, "compression_bomb")]),
        "latin.jsonl": (good() + b'{"text": "sch\xf6n"}\n' + good(), [(1, "undecodable")]),
        "gbk.txt": (f"{next(texts)}\n".encode() + "数据质量\n".encode("gbk"), [(1, "undecodable")]),
        "half.jsonl": (good() + b'{"text": "\\ud800"}\n' + good(), [(1, "undecodable")]),
        "nul.jsonl": (good() + b"\0" * 5000 + b"\n" + good(), [(1, "nul_bytes")]),
        "nul.txt": (b"a\0b\n", [(0, "nul_bytes")]),
        "huge.jsonl": (good() + line("x" * 7_000_000) + good(), [(1, "oversized")]),
        "huge.txt": (b"x" * 7_000_000 + b"\n" + f"{next(texts)}\n".encode(), [(0, "oversized")]),
        "shape.json": (
            b'[1, "text", {"body": "x"}, {"text": [1]}, ' + good().strip() + b"]",
            [(0, "not_an_object"), (1, "not_an_object"), (2, "missing_text"), (3, "missing_text")],
        ),
        "deep.jsonl": (good() + b"[" * 100_000 + b"]" * 100_000 + b"\n" + good(), [(1, "nested_too_deep")]),
        "deeper.json": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, [(0, "nested_too_deep")]),
        "wide.jsonl": (
            good() + b'{"text": "a", "x": [' + b"[]," * 1_200_000 + b"[]]}\n",
            [(1, "too_many_values")],
        ),
        "empty.jsonl": (b"", [(-1, "empty_file")]),
        "empty.csv": (b"", [(-1, "missing_text")]),
        "open.csv": (
            f'text\n"{next(texts).replace(chr(34), chr(39))}"\n"open\n'.encode(),
            [(1, "damaged_file")],
        ),
        "footer.parquet": (groups[:-20], [(-1, "damaged_file")]),
        "group.parquet": (groups[: second + 30], [(-1, "damaged_file")]),
        "flipped.parquet": (bytes(flipped), [(2, "damaged_file")]),
        "broken.warc": (
            page(next(texts)) + b"garbage\r\n" + page("short", length=200) + page(next(texts)),
            [(1, "broken_record"), (2, "broken_record")],
        ),
        "cut.warc.gz": (
            b"".join(map(gzip.compress, map(page, (next(texts), "cut"))))[:-30],
            [(1, "broken_record")],
        ),
        "gone.jsonl": (good(), [(-1, "vanished_file")]),
    }


class Vanishing(SilentWatch):
    """Deletes a file once so many tasks are done in the n-th pass over the files."""

    def __init__(self, path: Path, passes: int, after: int) -> None:
        self.path = path
        self.passes = passes
        self.after = after

    def progress(self, done: float, total: float | None, unit: str) -> None:
        self.passes -= done == 0
        if self.passes == 0 and done >= self.after:
            self.path.unlink(missing_ok=True)


def ingested(folder: Path, root: str, watch: SilentWatch, workers: int = 2) -> tuple[Node, Artifact]:
    source = FilesSource(urls=[str(folder)], **SOURCE)
    node = Node(IngestConfig(files=source, listing=list_source_files(source).digest))
    return node, Artifact(build(node, root, Resources(workers=workers), watch))


def refused(corpus: Artifact) -> dict[str, Refused]:
    found: dict[str, Refused] = {}
    for row in (row for table in corpus.tables("rejected") for row in table.to_pylist()):
        assert row["source"] == "bad"
        found.setdefault(row["file"], []).append((row["record"], row["reason"]))
    return found


def check_laws(corpus: Artifact, documents: Artifact) -> None:
    """What was read is kept, dropped or rejected, in the stats and in the files."""
    read, judged = corpus.stats, documents.stats
    rejected = sum(read["rejected"].values())
    dropped = sum(judged["dropped"].values())
    assert read["read"] == judged["kept"] + dropped + rejected
    assert judged["read"] == read["kept"]
    rows = {role: sum(t.num_rows for t in documents.tables(role)) for role in ("documents", "dropped")}
    assert rows == {"documents": judged["kept"], "dropped": dropped}
    assert sum(table.num_rows for table in corpus.tables("rejected")) == rejected


@pytest.mark.usefixtures("ray_cluster")
def test_all_damage_in_one_folder_is_counted_where_it_is_and_the_rest_is_kept(root, tmp_path):
    given = iter(both_languages())
    used: list[str] = []

    def texts() -> Iterator[str]:
        for text in given:
            used.append(" ".join(text.split()))
            yield used[-1]

    files = damaged_files(texts())
    for name, (content, _) in files.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    node, corpus = ingested(
        tmp_path / "data", root, Vanishing(tmp_path / "data" / "gone.jsonl", passes=1, after=0)
    )
    assert refused(corpus) == {name: expected for name, (_, expected) in files.items()}
    documents = Node(CurateConfig(preset="none"), {"corpora": [node]})
    curated = Artifact(build(documents, root, Resources(workers=2), SilentWatch()))
    check_laws(corpus, curated)
    kept = {text for table in curated.tables("documents") for text in table["text"].to_pylist()}
    assert kept <= set(used)
    assert any(text.isascii() for text in kept)
    assert any("的" in text for text in kept)


@pytest.mark.usefixtures("ray_cluster")
def test_a_file_that_vanishes_between_its_pieces_is_told_piece_by_piece(root, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "FILE_BYTES", 20_000)
    path = tmp_path / "data" / "large.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"".join(map(line, both_languages()[:200])))
    _, corpus = ingested(path.parent, root, Vanishing(path, passes=2, after=1), workers=1)
    (found,) = refused(corpus).values()
    assert {reason for _, reason in found} == {"vanished_file"}
    assert found[0][0] == corpus.stats["kept"] > 5, "what was read before is kept"
    assert corpus.stats["rejected"] == {"vanished_file": len(found)}


MEGABYTES_OF_A_WORKER = 1000
"""At most: about 300 are imports, tables of the language model and compiled kernels."""


def write_huge(folder: Path) -> dict[str, Refused]:
    """Write files in which a record of 200 MB, or what unpacks to as much, stands between good ones."""
    english, chinese = (" ".join(text.split()) for text in both_languages()[:2])
    blocks = [b"x" * 1_000_000] * 200
    before, after = line(english), line(chinese)
    folder.mkdir()

    def write(name: str, *content: bytes, packed: int | None = None) -> None:
        path = folder / name
        with path.open("wb") if packed is None else gzip.open(path, "wb", compresslevel=packed) as stream:
            stream.writelines(content)

    write("huge.jsonl", before, *blocks, b"\n", after)
    write("huge.jsonl.gz", before, *blocks, b"\n", after, packed=0)
    write("huge.txt", english.encode(), b"\n", *blocks, b"\n", chinese.encode())
    write("huge.json", b"[", before, b', {"text": "', *blocks, b'"},', after, b"]")
    write("huge.csv", b'text\ngood\n"', *blocks, b'"\n', chinese.encode())
    write("wide.jsonl", before, b'{"text": "a", "x": [', b"[]," * 19_000_000, b"[]]}\n", after)
    write("bomb.jsonl.gz", before, b" " * 200_000_000, packed=9)
    write("newlines.jsonl.gz", before, b"\n" * 200_000_000, packed=9)
    middle = [(1, "oversized")]
    return {
        **dict.fromkeys(("huge.jsonl", "huge.txt", "huge.jsonl.gz", "huge.json", "huge.csv"), middle),
        "wide.jsonl": [(1, "too_many_values")],
        "bomb.jsonl.gz": [(1, "compression_bomb")],
    }


class Peaks:
    """The most memory that each worker of a machine ever held, in megabytes, by process id."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.found: dict[int, int] = {}
        self.clock = Clock(0.5)

    def look(self) -> None:
        """Ask the kernel, now and then: it remembers the peak of a process for as long as that lives."""
        if not self.clock.due():
            return
        for process, command in self.machine.processes().items():
            if command.startswith("ray::"):
                with suppress(OSError, StopIteration):
                    status = Path(f"/proc/{process}/status").read_text().splitlines()
                    peak = next(row for row in status if row.startswith("VmHWM:"))
                    self.found[process] = int(peak.split()[1]) // 1000


@pytest.mark.slow
def test_lines_of_200_megabytes_and_bombs_are_refused_in_bounded_memory(machine, tmp_path):
    expected = write_huge(tmp_path / "data")
    recipe, root = tmp_path / "recipe.yaml", str(tmp_path / "runs")
    whole = yaml.safe_load((Path(__file__).parent / "recipes" / "both-languages.yaml").read_text())
    source = {**SOURCE, "max_bytes": 10_000_000, "urls": [str(tmp_path / "data")]}
    kept = {name: whole[name] for name in ("name", "root", "tokenize", "pretrain", "resources")}
    recipe.write_text(yaml.safe_dump({**kept, "ingest": {"files": [source]}, "curate": {"preset": "none"}}))
    peaks = Peaks(machine)
    machine.run(LMTRAIN, "curate", str(recipe), "--root", root, while_running=peaks.look)
    shutil.rmtree(tmp_path / "data")  # a gigabyte
    corpus, documents = (
        Artifact(storage.join(root, folder, "manifest.json")) for folder in sorted(manifests(root))
    )
    found = refused(corpus)
    lines = found.pop("newlines.jsonl.gz")
    assert lines[-1][1] == "compression_bomb"
    assert {reason for _, reason in lines[:-1]} == {"empty"}
    assert found == expected
    check_laws(corpus, documents)
    assert len(peaks.found) >= 2
    assert max(peaks.found.values()) < MEGABYTES_OF_A_WORKER, peaks.found
