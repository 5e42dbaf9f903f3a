"""Large files in pieces: the same records, with the same numbers, wherever they are cut."""

import io
import json

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.ingestion import splits
from lmtrain.ingestion.measuring import PIECES_PER_GROUP, measure
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part, Record
from lmtrain.ingestion.splits import is_splittable, numbered, pieces_to_measure
from lmtrain.storage import SourceFile


class Output:
    stats: dict


def layout(unit="line", **options) -> Layout:
    return Layout("text", text_document=unit, **{"max_bytes": 1000, **options})


def in_pieces(file: SourceFile, target: int, how: Layout | None = None) -> list[Part]:
    how = how or layout()
    measured = []
    for piece in pieces_to_measure(file, target):
        output = Output()
        measure(piece, (target, how), output)
        measured.append(output.stats["pieces"])
    return numbered(file, measured, how)


def read(parts: list[Part], how: Layout | None = None) -> list:
    items = [item for part in parts for item in read_records(part, how or layout())]
    return [
        item if isinstance(item, Record) else (item.number, item.reason, item.detail, item.bytes)
        for item in items
    ]


LINE = st.text(max_size=12).map(
    lambda text: json.dumps({"text": text}, ensure_ascii=False).encode(errors="replace")
)


@settings(deadline=None)
@given(
    st.lists(LINE | st.sampled_from([b"", b"{", b"\xff", b"\r", b"x" * 80_000]), min_size=1, max_size=12),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from(["a.jsonl", "a.txt", "a.tsv"]),
)
def test_lines_are_the_same_wherever_a_file_is_cut(tmp_path_factory, lines, target, ended, name):
    header = b"n\ttext\n" if name == "a.tsv" else b""
    content = b"\xef\xbb\xbf" + header + b"\n".join(lines) + b"\n" * ended
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(content)
    target = max(target, len(content) // 40)
    file = SourceFile(str(path), name, len(content), "")
    parts = in_pieces(file, target)
    assert sum(part.bytes for part in parts) == len(content)
    assert read(parts) == read([Part(file)])


CSV_PIECES = [
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    "文".encode(),
    b"\xff",
    b'\n"',
    b'",',
    b'"\n',
    b"x\n" * 99,
]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(CSV_PIECES), max_size=60), st.integers(1, 60), st.integers(1, 100))
def test_rows_of_csv_are_the_same_wherever_a_file_is_cut(tmp_path_factory, pieces, target, limit):
    content = b'\xef\xbb\xbf"te\nxt",text\n' + b"".join(pieces)
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    path.write_bytes(content)
    file = SourceFile(str(path), "a.csv", len(content), "")
    target = max(target, len(content) // 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layout, "limit", limit)
        assert read(in_pieces(file, target)) == read([Part(file)])


def test_a_large_csv_file_is_cut_within_no_quotes(tmp_path):
    rows = [f'{n},"A text, number {n},\nwith ""quotes""\n第{n}行"' for n in range(500)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["n,text", *rows]))
    file = SourceFile(str(path), "a.csv", path.stat().st_size, "")
    parts = in_pieces(file, 1000)
    assert len(parts) > 20
    assert sum(part.bytes for part in parts) == file.bytes
    assert [item.values["n"] for item in read(parts)] == [str(n) for n in range(500)]
    assert read(parts) == read([Part(file)])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.arrow"])
def test_a_large_table_without_the_column_is_told_once(tmp_path, name):
    rows = pa.table({"title": [f"text {number}" for number in range(500)]})
    if name == "a.parquet":
        pq.write_table(rows, tmp_path / name, row_group_size=50)
    elif name == "a.arrow":
        feather.write_feather(rows, tmp_path / name, chunksize=50)
    else:
        (tmp_path / name).write_text("title\n" + "\n".join(rows["title"].to_pylist()))
    file = SourceFile(str(tmp_path / name), name, (tmp_path / name).stat().st_size, "")
    assert in_pieces(file, 100) == [Part(file)]
    assert [(item[0], item[1]) for item in read([Part(file)])] == [(-1, "missing_text")]


def table(rows: int) -> pa.Table:
    return pa.table({"text": [f"text 文 {number}" for number in range(rows)]})


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 100), st.integers(1, 4000))
def test_rows_are_the_same_wherever_a_parquet_file_is_cut(tmp_path_factory, rows, group, target):
    path = tmp_path_factory.mktemp("cut") / "a.parquet"
    pq.write_table(table(rows), path, row_group_size=group)
    file = SourceFile(str(path), "a.parquet", path.stat().st_size, "")
    assert read(in_pieces(file, target)) == read([Part(file)])


def test_one_row_group_is_read_in_pieces_and_small_ones_are_read_together(tmp_path):
    pq.write_table(table(5000), tmp_path / "a.parquet")
    file = SourceFile(str(tmp_path / "a.parquet"), "a.parquet", (tmp_path / "a.parquet").stat().st_size, "")
    parts = in_pieces(file, 100)
    assert len(parts) == PIECES_PER_GROUP
    assert read(parts) == read([Part(file)])
    pq.write_table(table(5000), tmp_path / "a.parquet", row_group_size=100)
    assert len(in_pieces(file, file.bytes // 5)) == 5


def stream_of(rows: pa.Table, batch: int) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=batch)
    return sink.getvalue()


@pytest.mark.parametrize("form", ["uncompressed", "zstd", "stream"])
def test_batches_are_the_same_wherever_an_arrow_file_is_cut(tmp_path, form):
    path = tmp_path / "a.arrow"
    if form == "stream":
        path.write_bytes(stream_of(table(500), 30))
    else:
        feather.write_feather(table(500), path, compression=form, chunksize=30)
    file = SourceFile(str(path), "a.arrow", path.stat().st_size, "")
    parts = in_pieces(file, file.bytes // 6)
    assert len(parts) in (5, 6)
    assert read(parts) == read([Part(file)])


@pytest.mark.parametrize("form", ["file", "stream", "cut"])
def test_arrow_files_whose_batches_need_one_another_or_are_cut_short_are_read_whole(tmp_path, form):
    rows = (
        table(500)
        if form == "cut"
        else pa.table({"text": table(500)["text"].combine_chunks().dictionary_encode()})
    )
    if form == "file":
        feather.write_feather(rows, tmp_path / "a.arrow", chunksize=30)
    else:
        content = stream_of(rows, 30)
        (tmp_path / "a.arrow").write_bytes(content[:-200] if form == "cut" else content)
    file = SourceFile(str(tmp_path / "a.arrow"), "a.arrow", (tmp_path / "a.arrow").stat().st_size, "")
    assert in_pieces(file, 1000) == [Part(file)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "gone.jsonl"])
def test_a_file_that_cant_be_measured_is_read_whole_and_told_once(tmp_path, name, caplog):
    if name != "gone.jsonl":
        (tmp_path / name).write_bytes(b"ARROW1\0\0" + b"\xff" * 1000)
    parts = in_pieces(SourceFile(str(tmp_path / name), name, 1008, ""), 100)
    reason = "vanished_file" if name == "gone.jsonl" else "damaged_file"
    ((number, told, _, size),) = read(parts)
    assert (number, told, size) == (-1, reason, 1008)


@pytest.mark.parametrize(
    ("url", "name", "unit", "expected"),
    [
        ("/a/b.jsonl", "b.jsonl", "file", True),
        ("s3://a/b.ndjson", "b.ndjson", "file", True),
        ("/a/b.jsonl.gz", "b.jsonl.gz", "file", False),
        ("/a/b.txt", "b.txt", "line", True),
        ("/a/b.md", "b.md", "paragraph", False),
        ("/a/b.txt", "b.txt", "file", False),
        ("/a/b.parquet", "b.parquet", "file", True),
        ("/a/b.csv", "b.csv", "file", True),
        ("/a/b.tsv.zst", "b.tsv.zst", "file", False),
        ("/a/b.warc", "b.warc", "file", True),
        ("/a/b.warc.gz", "b.warc.gz", "file", True),
        ("/a/b.warc.zst", "b.warc.zst", "file", False),
        ("/a/b.json", "b.json", "file", False),
    ],
)
def test_only_files_that_have_boundaries_to_find_are_cut(url, name, unit, expected):
    assert is_splittable(SourceFile(url, name, 1, ""), Layout("text", text_document=unit)) is expected


def test_names_of_splits_sort_as_numbers_do():
    assert sorted(splits.split_name(number) for number in (10, 9, 100)) == ["00009", "00010", "00100"]
