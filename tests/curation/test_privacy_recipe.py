"""Personal data by a recipe: replaced, dropped or only reported, in both languages, and told of."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from made_corpora import rows_of
from test_classifier_stage import built, write_lines

from lmtrain import cli
from lmtrain.manifest import Artifact
from lmtrain.recipe import parse_recipe

TEXTS = {
    "en": {
        "mail": "Write to ann.lee@example.org or bob at example dot com before Friday.",
        "phone": "Call +1 (650) 555-0142, or the resolver at 8.8.8.8, whichever answers.",
        "plain": "Version 1.2.3.4 listens on 127.0.0.1 since 2024-03-15.",
    },
    "zh": {
        "mail": "请写信到zhangsan@example.cn，或者lisi（at）example.cn，周五之前。",
        "phone": "电话１３８００１３８０００，服务器是114.114.114.114。",
        "plain": "版本1.2.3.4自2024年3月15日起监听127.0.0.1。",
    },
}
REPLACED = {
    "en": {
        "mail": "Write to <EMAIL> or <EMAIL> before Friday.",
        "phone": "Call <PHONE>, or the resolver at <IP>, whichever answers.",
    },
    "zh": {"mail": "请写信到<EMAIL>，或者<EMAIL>，周五之前。", "phone": "电话<PHONE>，服务器是<IP>。"},
}
COUNTS = {"email": 2, "ip": 1, "phone": 1}

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.parametrize("language", ["en", "zh"]),
]


def curated(folder: Path, language: str, **privacy: Any) -> Artifact:
    rows = [{"id": name, "text": text} for name, text in TEXTS[language].items()]
    write_lines(folder / "corpus.jsonl", rows)
    files = [{"alias": "mine", "urls": [str(folder / "corpus.jsonl")], "id_column": "id"}]
    recipe = {
        "name": "private",
        "root": str(folder / "runs"),
        "ingest": {"files": files},
        "curate": {"preset": "none", "privacy": privacy},
    }
    return built(parse_recipe(recipe), "curate")


def shown(artifact: Artifact) -> str:
    return CliRunner().invoke(cli.main, ["show", artifact.url], catch_exceptions=False).stdout


def test_it_is_replaced_and_counted_by_kind(language, tmp_path):
    artifact = curated(tmp_path, language, action="replace")
    texts = {name: row["text"] for name, row in rows_of(artifact, "documents").items()}
    assert texts == TEXTS[language] | REPLACED[language]
    assert artifact.stats["rewritten"]["privacy"]["removed"] == COUNTS
    lines = [line.split() for line in shown(artifact).splitlines()]
    assert all([kind, str(count)] in lines for kind, count in COUNTS.items())


def test_it_is_only_reported(language, tmp_path):
    artifact = curated(tmp_path, language, action="report")
    assert {name: row["text"] for name, row in rows_of(artifact, "documents").items()} == TEXTS[language]
    assert artifact.stats["rewritten"]["privacy"]["removed"] == COUNTS
    assert artifact.stats["rewritten"]["privacy"]["bytes"] == 0
    lines = [line.split() for line in shown(artifact).splitlines()]
    assert all([kind, str(count)] in lines for kind, count in COUNTS.items())


def test_it_drops_the_document_with_the_kind_as_its_reason(language, tmp_path):
    artifact = curated(tmp_path, language, action="report", actions={"email": "drop", "ip": "drop"})
    assert set(rows_of(artifact, "documents")) == {"plain"}
    assert artifact.stats["dropped"] == {"privacy/email": 1, "privacy/ip": 1}
    dropped = rows_of(artifact, "dropped")
    assert (dropped["mail"]["value"], dropped["mail"]["threshold"]) == (2, 0)
    told = [line.split()[:2] for line in shown(artifact).splitlines()]
    assert all(row in told for row in (["privacy", "1"], ["email", "-1"], ["ip", "-1"]))
