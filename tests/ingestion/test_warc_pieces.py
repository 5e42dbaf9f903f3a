"""WARC files in pieces: what is read is what the whole file gives, however it is damaged."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_splits import in_pieces, layout, read
from test_warc import CHINESE, ENGLISH, record

from lmtrain.ingestion.records import Layout, Part, Record
from lmtrain.storage import SourceFile


def text_record(number: int) -> bytes:
    return record(number, (CHINESE if number % 2 else ENGLISH).encode()[: 30 * number], "conversion")


WHOLE = text_record(3)
RECORDS = st.integers(1, 12).map(text_record) | st.sampled_from(
    [
        WHOLE[:-4],
        WHOLE[:-30],
        WHOLE.replace(b"Content-Length: ", b"Content-Length: 9"),
        WHOLE.replace(b"Content-Length: ", b"Content-Length: x"),
        b"\r\n",
        b"junk",
        record(1, b"a\r\nWARC/1.0\r\nb", "conversion"),
        record(1, b"x" * 9000, "conversion"),
    ]
)


def packed_of(record: bytes, how: str) -> bytes:
    packed = gzip.compress(record, mtime=0)
    if how == "cut":
        return packed[:-12]
    if how == "junk":
        return packed + b"\x1f\x8b\x08 no member"
    if how == "plain":
        return record
    return packed


@settings(deadline=None, max_examples=80)
@given(st.lists(RECORDS, min_size=1, max_size=12), st.integers(1, 2000))
def test_records_are_the_same_wherever_a_file_is_cut(tmp_path_factory, records, target):
    check(tmp_path_factory, "a.warc", b"".join(records), target)


HOW = st.sampled_from(["whole"] * 3 + ["cut", "junk", "plain"])


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.lists(RECORDS, max_size=2), HOW), min_size=1, max_size=10), st.integers(1, 1000))
def test_members_are_the_same_wherever_a_gzip_file_is_cut(tmp_path_factory, members, target):
    content = b"".join(packed_of(b"".join(records), how) for records, how in members)
    check(tmp_path_factory, "a.warc.gz", content, target)


@pytest.mark.parametrize("missing", [1, 8, 12, 30, 60])
def test_a_piece_with_nothing_but_a_member_that_is_cut_short_is_read_as_in_the_whole(
    tmp_path_factory, missing
):
    packed = gzip.compress(WHOLE, mtime=0)
    check(tmp_path_factory, "a.warc.gz", packed + packed + packed[:-missing], 1)


def check(tmp_path_factory, name: str, content: bytes, target: int) -> None:
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(content)
    file = SourceFile(str(path), name, len(content), "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layout, "limit", 5000)
        assert read(in_pieces(file, target)) == read([Part(file)])


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_large_warc_file_is_cut_between_records(tmp_path, name):
    records = [text_record(number % 12 + 1) for number in range(200)]
    pack = gzip.compress if name.endswith(".gz") else bytes
    content = b"".join(map(pack, records))
    (tmp_path / name).write_bytes(content)
    file = SourceFile(str(tmp_path / name), name, len(content), "")
    parts = in_pieces(file, len(content) // 10)
    assert 8 <= len(parts) <= 10
    assert [part.stop for part in parts[:-1]] == [part.start for part in parts[1:]]
    items = read(parts, layout(max_bytes=100_000))
    assert all(isinstance(item, Record) for item in items)
    assert [item.number for item in items] == list(range(200))
