"""Storage: whole files or none, one winner of many writers, listings that name what they hold."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_server import forget_clients

from lmtrain import storage
from lmtrain.errors import LmtrainError, RecipeError, SourceError, StorageError

NOBODY = 65534


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder to write to, on local disk and on S3."""
    return str(tmp_path / "folder") if request.param == "local" else request.getfixturevalue("s3_root")


def write(folder: str, *names: str, content: bytes = b"x") -> None:
    for name in names:
        storage.write_bytes(storage.join(folder, name), content)


def test_what_was_written_is_read(folder):
    url = storage.join(folder, "a/b.txt")
    assert not storage.exists(url)
    assert storage.size(url) is None
    storage.write_bytes(url, b"first")
    storage.write_bytes(url, "第二".encode())
    assert storage.read_bytes(url) == "第二".encode()
    assert storage.size(url) == 6


def test_of_ten_writers_at_once_exactly_one_wins(folder):
    url = storage.join(folder, "manifest.json")
    with ThreadPoolExecutor(10) as pool:
        won = list(pool.map(lambda i: storage.write_exclusive(url, b"%d" % i), range(10)))
    assert won.count(True) == 1
    assert storage.read_bytes(url) == b"%d" % won.index(True)
    assert not storage.write_exclusive(url, b"late")
    assert storage.walk(folder) == [url], "the losers leave nothing behind"


def test_walk_names_all_files_below(folder):
    write(folder, "b/2", "a", "b/1")
    assert storage.walk(folder) == [storage.join(folder, name) for name in ("a", "b/1", "b/2")]
    assert storage.walk(storage.join(folder, "none")) == []


def test_walk_sees_what_another_client_wrote_meanwhile(folder):
    write(folder, "a")
    storage.walk(folder)
    fs, path = storage.filesystem(storage.join(folder, "b"))
    other = type(fs)(**{**fs.storage_options, "skip_instance_cache": True})
    other.pipe_file(path, b"x")
    assert storage.walk(folder) == [storage.join(folder, name) for name in ("a", "b")]
    assert storage.exists(storage.join(folder, "b"))


def test_deleting_takes_a_folder_whole_and_forgives_what_is_not_there(folder):
    write(folder, "a/1", "a/2/3", "b")
    storage.delete(storage.join(folder, "a"))
    storage.delete(storage.join(folder, "none"))
    assert storage.walk(folder) == [storage.join(folder, "b")]


def test_a_file_moved_in_is_gone_from_where_it_was(folder, tmp_path):
    local = tmp_path / "shard"
    local.write_bytes(b"content")
    storage.move_in(local, storage.join(folder, "x/shard"))
    assert storage.read_bytes(storage.join(folder, "x/shard")) == b"content"
    assert not local.exists()


def test_a_listing_names_files_from_where_the_pattern_begins(folder):
    write(folder, "de/a.txt", "en/b.txt", "en/c.csv", "en/.hidden.txt")
    names = [file.name for file in storage.list_files(folder)]
    assert names == ["de/a.txt", "en/b.txt", "en/c.csv"]
    pattern = storage.join(folder, "*/*.txt")
    assert [file.name for file in storage.list_files(pattern)] == ["de/a.txt", "en/b.txt"]
    one = storage.list_files(storage.join(folder, "en/b.txt"))
    assert [(file.name, file.bytes) for file in one] == [("b.txt", 1)]


def test_a_fingerprint_changes_with_the_content_alone(folder):
    write(folder, "a.txt", content=b"one")
    first = storage.list_files(folder)[0].fingerprint
    write(folder, "a.txt", content=b"one")
    assert storage.list_files(folder)[0].fingerprint == first
    write(folder, "a.txt", content=b"two")
    assert storage.list_files(folder)[0].fingerprint != first


def test_a_listing_of_nothing_is_an_error_that_names_the_place(folder):
    with pytest.raises(SourceError, match=r"no file at .*none"):
        storage.list_files(storage.join(folder, "none"))


@pytest.mark.parametrize("name", ["data [1]", "what?", "数据"])
def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(tmp_path, name):
    write(str(tmp_path / name), "a.txt")
    assert [file.name for file in storage.list_files(str(tmp_path / name))] == ["a.txt"]
    assert [file.name for file in storage.list_files(str(tmp_path / name / "a.txt"))] == ["a.txt"]


def test_a_home_folder_a_file_url_and_a_package_are_resolved(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.resolve("~/data") == str(tmp_path / "data")
    assert storage.resolve("file:///a/b/../c") == "/a/c"
    assert storage.resolve("s3://bucket/prefix/") == "s3://bucket/prefix"
    assert Path(storage.resolve("package://yaml/__init__.py")).is_file()
    with pytest.raises(SourceError, match="'nosuchpackage' is not installed"):
        storage.resolve("package://nosuchpackage/data")


def test_a_remembered_hash_follows_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert storage.remembered_sha256(path) == storage.file_sha256(path)
    path.write_bytes(b"two, longer")
    assert storage.remembered_sha256(path) == storage.file_sha256(path)


def test_a_root_that_can_be_written_is_left_as_it_was(folder):
    storage.check_writable(folder)
    assert storage.walk(folder) == []


def test_a_root_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match=r"can't use .*file/runs"):
        storage.check_writable(str(tmp_path / "file" / "runs"))


def test_a_root_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    root = os.geteuid() == 0  # who may write everywhere
    if root:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(RecipeError, match="Permission denied"):
            storage.check_writable(str(tmp_path / "runs"))
    finally:
        if root:
            os.seteuid(0)


def test_a_bucket_that_does_not_exist_is_refused_in_one_line(s3_bucket):
    with pytest.raises(RecipeError, match="can't use s3://lmtrain-nowhere") as told:
        storage.check_writable("s3://lmtrain-nowhere/runs")
    assert "\n" not in str(told.value)
    with pytest.raises(SourceError, match="s3://lmtrain-nowhere"):
        storage.list_files("s3://lmtrain-nowhere/data/*.txt")


def test_an_endpoint_that_refuses_or_never_answers_is_given_up_in_seconds(monkeypatch, s3_environment):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ports = {storage.list_files: 1, storage.check_writable: silent.getsockname()[1]}
        for ask, port in ports.items():
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            forget_clients()
            started = time.monotonic()
            with pytest.raises(LmtrainError, match="can't reach s3://bucket/data") as told:
                ask("s3://bucket/data")
            assert "\n" not in str(told.value)
            assert time.monotonic() - started < 15
    forget_clients()


def test_failing_to_write_at_all_is_no_lost_race(s3_bucket):
    with pytest.raises(StorageError, match=r"could not write s3://No_Such_Bucket/manifest.json"):
        storage.write_exclusive("s3://No_Such_Bucket/manifest.json", b"")
