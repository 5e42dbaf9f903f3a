"""A folder of one's own files, and labels, become models and a report: on this machine, and on S3."""

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from running import FLOWS, Machine, manifests, one

from lmtrain import storage
from lmtrain.manifest import Artifact

ALL_HITS_WITHIN_SECONDS = 20


def test_every_document_of_every_form_is_read(own_line):
    line, _ = own_line
    corpus = one(line.root, "corpus")
    assert corpus.stats["read"] == corpus.stats["kept"] == line.files.documents
    artifact = Artifact(f"{line.root}/corpus/{corpus.label}-{corpus.digest}/manifest.json")
    forms = Counter()
    for table in artifact.tables("documents", columns=["metadata", "text"]):
        assert all(len(text) > 0 for text in table["text"].to_pylist())
        forms.update(json.loads(row)["file"] for row in table["metadata"].to_pylist())
    assert len(forms) == 7, forms


def test_the_line_ends_with_a_report_of_both_languages(own_line):
    line, told = own_line
    report = Path(told.splitlines()[-1].removeprefix("report: "))
    html = report.read_text(encoding="utf-8")
    assert "local-files" in html
    assert html.count("</html>") == 1
    assert set(one(line.root, "documents").stats["by_language"]) >= {"en", "zh"}
    kinds = Counter(manifest.kind for manifest in manifests(line.root).values())
    assert kinds["model"] == 1
    assert kinds["scores"] == 4, "the model's, its bias's and two baselines'"


@pytest.mark.slow
def test_with_labels_the_model_is_fine_tuned_and_every_card_says_how_it_is_used(own_line, capsys, tmp_path):
    line, _ = own_line
    root = str(tmp_path / "runs")
    shutil.copytree(line.root, root)
    recipe = line.files.write_recipe(tmp_path / "recipe.yaml", root, "mine")
    line.machine.run(FLOWS, "run", str(recipe))
    assert one(root, "labelled").stats["labels"].keys() == {"english", "chinese"}
    made = manifests(root).values()
    assert sum(manifest.kind == "scores" for manifest in made) == 7, "and four of classification"
    cards = [record for manifest in made for record in manifest.files if record.path.endswith("README.md")]
    assert len(cards) == 3, "one pretrained, and one fine-tuned from it and from random weights each"
    for card in (Path(root, record.path) for record in cards):
        code = card.read_text(encoding="utf-8").split("```python")[1].split("```")[0]
        exec(code.replace("FOLDER", str(card.parent)), {})
        assert capsys.readouterr().out.strip()


def test_no_second_prefect_server_is_started(own_line):
    """Prefect starts one for a thread that doesn't know the run's, and what it is told there nobody sees."""
    _, told = own_line
    assert told.count("Prefect page:") == 1
    assert "temporary server" not in told


def test_no_manifest_tells_where_on_this_machine_the_files_lay(own_line):
    line, _ = own_line
    assert_no_place_is_told(line.root, [str(line.files.folder)])


def test_a_second_run_has_nothing_to_do(own_line):
    line, _ = own_line
    began = time.monotonic()
    told = line.machine.run(FLOWS, "run", str(line.recipe))
    assert "nothing to do" in told
    assert time.monotonic() - began < ALL_HITS_WITHIN_SECONDS


def assert_no_place_is_told(root: str, places: list[str]) -> None:
    """Assert that no manifest holds a path of this machine, nor anything else that is told here."""
    everything = [url for url in storage.walk(root) if url.endswith("/manifest.json")]
    assert everything
    for url in everything:
        text = storage.read_bytes(url).decode()
        for place in (root, os.path.expanduser("~") + "/", "/tmp/", *places):
            assert place not in text, f"{place} in {url}"
        for record in json.loads(text)["files"]:
            assert not record["path"].startswith("/")


@pytest.mark.slow
def test_sources_and_root_may_both_be_on_s3(own_line, s3_bucket, s3_root, s3_environment, tmp_path):
    line, _ = own_line
    data = f"{s3_bucket}/data"
    fs, path = storage.filesystem(data)
    fs.put(str(line.files.folder) + "/", path, recursive=True)
    recipe = line.files.write_recipe(tmp_path / "s3.yaml", s3_root, "mine", data)
    machine = Machine(tmp_path, line.machine.ray, s3_environment)
    told = machine.run(FLOWS, "run", str(recipe))
    page = told.splitlines()[-1].removeprefix("report: ")
    assert page.startswith(s3_root)
    assert b"local-files" in storage.read_bytes(page)
    secrets = [s3_environment["AWS_ACCESS_KEY_ID"], s3_environment["AWS_SECRET_ACCESS_KEY"]]
    assert_no_place_is_told(s3_root, [s3_bucket, s3_environment["AWS_ENDPOINT_URL"], *secrets])
    assert one(s3_root, "corpus").stats["kept"] == line.files.documents
    began = time.monotonic()
    again = machine.run(FLOWS, "run", str(recipe))
    assert "nothing to do" in again
    assert again.splitlines()[-1] == told.splitlines()[-1]
    assert time.monotonic() - began < ALL_HITS_WITHIN_SECONDS
