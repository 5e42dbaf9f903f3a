"""An artifact is built once, whoever asks for it, and what a crash left is gone on from."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_words import WordsConfig, hashes, lists, spell

from lmtrain import storage
from lmtrain.building import Attempt, Built, build_once
from lmtrain.errors import CorruptArtifactError, StageError
from lmtrain.manifest import Address, Artifact, address_of, is_hit, read_manifest


def test_what_is_built_is_listed_and_nothing_else_is_left(any_root):
    url = build_once(WordsConfig(), {}, any_root, spell)
    manifest = read_manifest(url)
    folder = manifest.files[0].path.split("/attempts/")[0]
    assert lists(any_root) == sorted([f"{folder}/manifest.json", *(record.path for record in manifest.files)])
    for record in manifest.files:
        data = storage.read_bytes(storage.join(any_root, record.path))
        assert record.bytes == len(data)
        assert record.sha256 == hashlib.sha256(data).hexdigest()


def test_the_second_time_is_a_hit_that_works_on_nothing(any_root):
    def refuse(attempt: Attempt) -> Built:
        raise AssertionError("a hit does no work")

    url = build_once(WordsConfig(), {}, any_root, spell)
    assert build_once(WordsConfig(), {}, any_root, refuse) == url


def test_a_root_may_be_given_with_a_slash_at_its_end(any_root):
    first = build_once(WordsConfig(), {}, any_root, spell)
    given = build_once(WordsConfig(size=4), {"words": [first]}, any_root + "/", spell)
    assert read_manifest(given).inputs[0].url == first.removeprefix(any_root + "/")


def test_an_input_is_recorded_with_what_it_was(any_root):
    first = build_once(WordsConfig(), {}, any_root, spell)
    second = Artifact(build_once(WordsConfig(size=4), {"words": [first]}, any_root, spell))
    (given,) = second.manifest.inputs
    assert given.digest == Address.parse(first)[1].digest
    assert given.manifest_sha256 == hashlib.sha256(storage.read_bytes(first)).hexdigest()
    assert [artifact.url for artifact in second.inputs("words")] == [first]


def test_no_path_of_this_machine_and_no_secret_enters_a_manifest(any_root, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "very-secret-token")
    first = build_once(WordsConfig(), {}, any_root, spell)
    text = storage.read_bytes(build_once(WordsConfig(size=4), {"words": [first]}, any_root, spell)).decode()
    for private in (any_root, str(Path.home()), "very-secret-token", "test-secret"):
        assert private not in text


def test_a_root_can_be_moved(root, tmp_path):
    first = build_once(WordsConfig(), {}, root, spell)
    second = build_once(WordsConfig(size=4), {"words": [first]}, root, spell)
    Path(root).rename(tmp_path / "elsewhere")
    moved = Artifact(second.replace(root, str(tmp_path / "elsewhere")))
    (given,) = moved.inputs("words")
    assert [table.num_rows for table in given.tables("words")] == [2, 2]


# Crashes and rivals


def test_after_a_crash_what_was_finished_is_adopted(any_root):
    def crash(attempt: Attempt) -> Built:
        with attempt.shard("spell/one") as output:
            pq.write_table(pa.table({"word": ["one", "词"]}), output.path("words/one.parquet"))
            output.add("words/one.parquet", "words", rows=2, split="train")
        with attempt.shard("spell/two") as output:
            output.path("words/two.parquet").write_bytes(b"half of")
            raise KeyboardInterrupt

    whole = hashes(build_once(WordsConfig(), {}, any_root + "/undisturbed", spell))
    with pytest.raises(KeyboardInterrupt):
        build_once(WordsConfig(), {}, any_root, crash)
    (done,) = [name for name in lists(any_root) if "/done/" in name]
    assert done.endswith("done/spell/one.json")
    url = build_once(WordsConfig(), {}, any_root, spell)
    assert hashes(url) == whole
    attempts = {record.path.split("/attempts/")[1].split("/")[0] for record in read_manifest(url).files}
    assert len(attempts) == 2, "one file is the first attempt's"


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "record"])
def test_a_finished_shard_that_was_damaged_is_made_again(root, damage):
    attempt = Attempt(root, address_of(WordsConfig(), {}), "first")
    spell(attempt)
    (path,) = Path(root).rglob("attempts/first/words/one.parquet")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "changed":
        path.write_bytes(bytes(reversed(path.read_bytes())))
    elif damage == "gone":
        path.unlink()
    else:
        next(Path(root).rglob("done/spell/one.json")).write_text('{"name": "spell/one"')
    assert attempt.finished("spell/one") is None
    assert attempt.finished("spell/two") is not None
    assert attempt.finished_among(["spell/one", "spell/two"], "spell")["spell/one"] is None
    whole = hashes(build_once(WordsConfig(), {}, root + "/undisturbed", spell))
    assert hashes(build_once(WordsConfig(), {}, root, spell)) == whole


def test_of_builders_at_once_one_wins_and_all_return_the_same(any_root):
    for size in range(5):
        config = WordsConfig(size=size)
        all_began = threading.Barrier(3)

        def together(attempt: Attempt, barrier: threading.Barrier = all_began) -> Built:
            barrier.wait(30)
            return spell(attempt)

        with ThreadPoolExecutor(3) as pool:
            building = [pool.submit(build_once, config, {}, any_root, together) for _ in range(3)]
            urls = {future.result() for future in building}
        (url,) = urls
        assert is_hit(any_root, address_of(config, {}))
        below = lists(url.removesuffix("/manifest.json"))
        assert len(below) == 1 + len(read_manifest(url).files), "the losers' files are tidied away"


def test_a_builder_whose_files_the_winner_tidied_away_takes_the_winners(root):
    def overtaken(attempt: Attempt) -> Built:
        build_once(WordsConfig(), {}, root, spell)
        raise FileNotFoundError("what I was reading is gone")

    assert is_hit(root, Address.parse(build_once(WordsConfig(), {}, root, overtaken))[1])


def test_an_error_of_the_work_is_the_callers_and_leaves_no_manifest(root):
    def fail(attempt: Attempt) -> Built:
        raise StageError("nothing is left")

    with pytest.raises(StageError, match="nothing is left"):
        build_once(WordsConfig(), {}, root, fail)
    assert not is_hit(root, address_of(WordsConfig(), {}))


def test_two_shards_that_write_the_same_name_are_a_defect(root):
    def twice(attempt: Attempt) -> Built:
        built = spell(attempt)
        return Built(built.files * 2, {})

    with pytest.raises(AssertionError, match="same name"):
        build_once(WordsConfig(), {}, root, twice)


def test_an_input_out_of_the_root_is_refused(root):
    first = build_once(WordsConfig(), {}, root, spell)
    url = build_once(WordsConfig(size=4), {"words": [first]}, root, spell)
    raw = json.loads(Path(url).read_text())
    raw["inputs"][0]["url"] = "../../words/words-en-0123456789ab/manifest.json"
    Path(url).write_text(json.dumps(raw))
    with pytest.raises(CorruptArtifactError, match="outside its root"):
        Artifact(url).inputs("words")


class DraftConfig(WordsConfig):
    """A stage of which a new artifact is made with a list, and an older one stays valid without."""

    unaddressed_inputs: ClassVar[frozenset[str]] = frozenset({"list"})


def test_an_unaddressed_input_moves_no_address_and_stands_in_the_manifest(root):
    given = build_once(WordsConfig(size=4), {}, root, spell)
    listed = build_once(WordsConfig(size=5), {}, root, spell)
    bare = address_of(DraftConfig(), {"words": [Address.parse(given)[1]]})
    url = build_once(DraftConfig(), {"words": [given], "list": [listed]}, root, spell)
    assert Address.parse(url)[1] == bare
    assert [one.url for one in Artifact(url).inputs("list")] == [listed]
    assert build_once(DraftConfig(), {"words": [given]}, root, pytest.fail) == url, "it stays valid without"


def test_what_was_finished_with_another_unaddressed_input_is_not_adopted(root):
    lists_of = {size: build_once(WordsConfig(size=size), {}, root, spell) for size in (4, 5)}
    finished = []

    def crash(attempt: Attempt) -> Built:
        finished.append({name: attempt.finished(name) for name in ("spell/one", "spell/two")})
        finished[-1]["among"] = attempt.finished_among(["spell/one"], "spell")["spell/one"]
        spell(attempt)
        raise KeyboardInterrupt

    for size in (4, 5, 4, 0):
        inputs = {"list": [lists_of[size]]} if size else {}
        with pytest.raises(KeyboardInterrupt):
            build_once(DraftConfig(), inputs, root, crash)
    assert [any(found.values()) for found in finished] == [False, False, True, False]
    assert finished[2]["among"] is not None
