"""The stage: one artifact with a page and figures, found again when it is asked for again."""

import pytest

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.errors import CorruptArtifactError
from lmtrain.manifest import Artifact
from lmtrain.reporting import stage
from lmtrain.reporting.config import ReportConfig
from lmtrain.watch import SilentWatch

PNG = b"\x89PNG\r\n\x1a\n"


class Counting(SilentWatch):
    def __init__(self):
        self.told = []

    def progress(self, done, total, unit):
        self.told.append((done, total))


def build(inputs, root, watch=None) -> Artifact:
    config = ReportConfig(name="quickstart")
    return Artifact(stage.build(inputs, config, root, Resources(), watch or SilentWatch()))


def test_it_leaves_one_page_and_a_png_for_each_main_figure(english, english_root):
    watch = Counting()
    report = build(english, english_root, watch)
    (html,) = report.files("report")
    assert html.path.endswith("/report.html")
    assert report.open(html).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    figures = {record.path.rsplit("/", 1)[-1]: record for record in report.files("figure")}
    assert set(figures) == {"funnel.png", "lengths.png", "loss.png", "throughput.png", "scores.png"}
    for record in figures.values():
        assert report.open(record).read_bytes().startswith(PNG)
    assert sum(record.bytes for record in report.manifest.files) < 2_000_000
    assert watch.told == [(done, 6) for done in range(1, 7)]


def test_asked_again_it_is_there_already(english, english_root):
    first = build(english, english_root)
    watch = Counting()
    assert build(english, english_root, watch).manifest == first.manifest
    assert watch.told == []


def test_the_same_inputs_give_the_same_bytes(english, english_root):
    hashes = []
    for _ in range(2):
        report = build(english, english_root)
        hashes.append({record.role + str(record.bytes): record.sha256 for record in report.manifest.files})
        storage.delete(report.url)
    assert hashes[0] == hashes[1]


def test_a_run_without_fine_tuning_has_a_report(bare):
    root, _, _ = bare["documents"][0].partition("/documents/")
    assert build(bare, root).files("report")


def test_an_input_that_isnt_there_is_told_in_one_line(english_root):
    url = f"{english_root}/documents/gone-0123456789ab/manifest.json"
    with pytest.raises((CorruptArtifactError, FileNotFoundError), match="gone-0123456789ab"):
        build({"documents": [url]}, english_root)
