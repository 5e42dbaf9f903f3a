"""A removal list: what it may hold, by what it is addressed, and the hash by which a text is named."""

import pytest

from lmtrain.config import Resources
from lmtrain.errors import SourceError
from lmtrain.manifest import Artifact
from lmtrain.removals import stage
from lmtrain.removals.config import RemovalsConfig
from lmtrain.removals.entries import Listed, Removals, open_removals, read_removals, with_digest
from lmtrain.text.hashing import text_hash
from lmtrain.watch import SilentWatch

HASH = text_hash("删除我").hex()


@pytest.fixture
def lists(tmp_path):
    """Writes lists by name, each a file of lines; returns their config."""

    def write(**entries: list[str]) -> RemovalsConfig:
        paths = {}
        for name, lines in entries.items():
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
            paths[name] = [str(tmp_path / name)]
        return RemovalsConfig(**paths)

    return write


def test_entries_are_read_by_list_and_hashes_in_lower_case(lists):
    config = lists(ids=["# ours", "", " d1 ", "d1"], urls=["http://x.org/A"], text_hashes=[HASH.upper()])
    found = read_removals(config)
    assert found == Removals(frozenset({"d1"}), frozenset({"http://x.org/A"}), frozenset({HASH}))
    assert found.by_name("d1", "http://x.org/A") == Listed("ids", "d1")
    assert found.by_name("d2", "http://x.org/A") == Listed("urls", "http://x.org/A")
    assert found.by_name("d2", None) is None
    assert found.by_name(None, "http://x.org/a") is None, "addresses are compared as they are written"
    assert found.by_hash(text_hash(" 删除我\n")) == Listed("text_hashes", HASH)


def test_what_is_listed_is_the_address_wherever_and_however_it_is_written(lists, tmp_path):
    first = with_digest(lists(ids=["b", "a"]))
    assert with_digest(lists(ids=["# again", "a", "b", "a"])).addressed() == first.addressed()
    (tmp_path / "ids").rename(tmp_path / "moved")
    assert with_digest(RemovalsConfig(ids=[str(tmp_path / "moved")])).addressed() == first.addressed()
    assert with_digest(lists(ids=["a"])).addressed() != first.addressed()
    assert with_digest(lists(urls=["a", "b"])).addressed() != first.addressed()
    assert with_digest(RemovalsConfig()).addressed() == {}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("ids", None, r"remove\.ids: no file at "),
        ("urls", b"# nothing\n\n", r"remove\.urls: .*list has no entry"),
        ("ids", b"\xff\xfe", r"remove\.ids: .*list is not UTF-8 text"),
        ("text_hashes", b"# one\nabc\n", r"remove\.text_hashes: .*list line 2 is no text's hash: "),
        ("text_hashes", HASH.encode() + b"0", r"line 1 .* has 32 hexadecimal digits, and lmtrain text-hash"),
    ],
)
def test_a_list_that_cannot_be_used_is_told_by_field_and_line(tmp_path, name, content, told):
    path = tmp_path / "list"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=told):
        read_removals(RemovalsConfig(**{name: [str(path)]}))


def test_its_artifact_holds_what_was_listed_and_refuses_what_changed(lists, root):
    config = with_digest(lists(ids=["d2", "d1"], urls=["http://北京.cn/"], text_hashes=[HASH]))
    url = stage.build({}, config, root, Resources(), SilentWatch())
    assert open_removals([url]) == read_removals(config)
    assert Artifact(url).stats == {"ids": 2, "urls": 1, "text_hashes": 1}
    assert open_removals([]) == Removals()
    later = with_digest(lists(ids=["d3"]))
    other = stage.build({}, later, root, Resources(), SilentWatch())
    assert open_removals([url, other]).ids == {"d1", "d2", "d3"}
    lists(ids=["d4"])
    with pytest.raises(SourceError, match="a list of remove changed since this run was planned"):
        stage.build({}, later, root + "/elsewhere", Resources(), SilentWatch())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Remove me, please.", "  remove\tME,\n\nplease. ", True),
        ("Remove me", "Remove me.", False),
        ("删除这句话１２３", "删除这句话123\u3000", True),
        ("删除这句话", "删除那句话", False),
        ("Straße", "STRASSE", False),
        ("caf\u00e9", "cafe\u0301", True),
    ],
)
def test_a_texts_hash_minds_neither_case_nor_spacing_nor_width(one, other, same):
    assert (text_hash(one) == text_hash(other)) == same


def test_a_texts_hash_is_pinned_because_lists_outlive_releases():
    assert text_hash("Remove me").hex() == "5c95aa6f00e826fcedb764e51410b352"
    assert text_hash("删除我").hex() == "9c65e2573045c3073efe1320bfef44d3"
