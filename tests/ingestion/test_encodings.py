"""Text that isn't UTF-8: by its mark, by what the recipe says, by what web pages say of themselves."""

import codecs
import gzip
import json

import pytest
from pydantic import ValidationError
from test_readers import read, told
from test_splits import in_pieces, layout

from lmtrain.ingestion.config import FilesSource
from lmtrain.ingestion.page_helper import decoded
from lmtrain.ingestion.records import Part
from lmtrain.storage import SourceFile

ENGLISH = "It was “closed” for days."
CHINESE = "这座港口建于一八四二年，当时旧港已被泥沙淤塞。"
TAIWAN = "這座港口建於一八四二年，當時舊港已被泥沙淤塞。"
CONTENT = {
    "a.txt": f"{CHINESE}\n{ENGLISH}\n",
    "a.csv": f'n,text\r\n1,"{CHINESE}"\r\n2,{ENGLISH}\r\n',
    "a.tsv": f"n\ttext\n1\t{CHINESE}\n2\t{ENGLISH}\n",
    "a.jsonl": "".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in (CHINESE, ENGLISH)),
    "a.json": json.dumps([{"text": CHINESE}, {"text": ENGLISH}], ensure_ascii=False),
}
MARKED = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
}


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize("name", [*CONTENT, "a.csv.gz"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, name, encoding):
    content = MARKED[encoding] + CONTENT[name.removesuffix(".gz")].encode(encoding)
    packed = gzip.compress(content) if name.endswith(".gz") else content
    assert told(read(tmp_path, name, packed)) == [CHINESE, ENGLISH]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le"])
@pytest.mark.parametrize("name", CONTENT)
def test_a_recipe_tells_the_encoding(tmp_path, name, encoding):
    content = CONTENT[name].encode(encoding)
    assert told(read(tmp_path, name, content, encoding=encoding)) == [CHINESE, ENGLISH]
    marked = codecs.BOM_UTF8 + CONTENT[name].encode()
    assert told(read(tmp_path, name, marked, encoding=encoding)) == [CHINESE, ENGLISH]


def test_bytes_that_are_not_of_the_encoding_cost_their_own_record_only(tmp_path):
    content = b"\n".join([CHINESE.encode("gbk"), b"\xff\xff", TAIWAN.encode("gbk")])
    assert told(read(tmp_path, "a.txt", content, encoding="gbk")) == [CHINESE, (1, "undecodable"), TAIWAN]
    wide = codecs.BOM_UTF16_LE + "a\n".encode("utf-16-le") + b"\x00\xd8\n\0" + "b".encode("utf-16-le")
    assert told(read(tmp_path, "a.txt", wide)) == ["a", (1, "undecodable"), "b"]
    assert told(read(tmp_path, "a.txt", wide + b"\0")) == ["a", (1, "undecodable"), (2, "damaged_file")]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv"])
def test_a_large_file_of_another_encoding_is_not_cut(tmp_path, name):
    for content, encoding in ((CONTENT[name].encode("utf-16"), None), (CONTENT[name].encode("gbk"), "gbk")):
        (tmp_path / name).write_bytes(content)
        file = SourceFile(str(tmp_path / name), name, len(content), "")
        assert in_pieces(file, 20, layout(encoding=encoding)) == [Part(file)]


@pytest.mark.parametrize("encoding", ["gb1803", "hex"])
def test_a_recipe_with_an_unknown_encoding_is_refused(encoding):
    with pytest.raises(ValidationError, match=f"{encoding} is no encoding of text"):
        FilesSource(alias="mine", urls=["x"], encoding=encoding)


def page(text: str, charset: str = "") -> str:
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">' if charset else ""
    return f"<html><head>{meta}</head><body>{text * 5}</body></html>"


@pytest.mark.parametrize(
    ("content", "server", "expected"),
    [
        (page(CHINESE).encode("gbk"), "GBK", CHINESE),
        (page(CHINESE, "gb2312").encode("gbk"), "", CHINESE),
        (page(CHINESE + "㐀").encode("gb18030"), "gb2312", CHINESE + "㐀"),
        (page(CHINESE).encode("gbk"), "", CHINESE),
        (page(TAIWAN).encode("big5"), "Big5", TAIWAN),
        (page(TAIWAN, "big5").encode("big5"), "", TAIWAN),
        (page(TAIWAN).encode("big5"), "", TAIWAN),
        (page(CHINESE).encode("utf-16"), "", CHINESE),
        (page(CHINESE, "utf-16").encode(), "", CHINESE),
        (page(ENGLISH).encode("cp1252"), "iso-8859-1", ENGLISH),
        (page(CHINESE).encode(), "iso-8859-1", CHINESE),
        (page(CHINESE, "gbk").encode("gbk"), "iso-8859-1", CHINESE),
        (page(CHINESE, "gbk").encode("gbk"), "utf-8", CHINESE),
        (page(CHINESE, "utf-8").encode("gbk"), "", CHINESE),
        (page(CHINESE).encode("gbk"), "no such name", CHINESE),
    ],
)
def test_a_page_is_read_in_the_encoding_that_it_has_whoever_says_another(content, server, expected):
    assert expected in decoded(content, server)


def test_a_page_of_two_characters_is_read_as_its_server_says():
    assert decoded("联通".encode("gbk"), "gbk") == "联通"  # it is UTF-8, too, of other letters


def test_what_is_no_text_in_any_encoding_is_refused():
    with pytest.raises(UnicodeError, match="it isn't text in"):
        decoded(bytes(range(256)) * 20, "utf-8")
