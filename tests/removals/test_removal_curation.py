"""Listed documents are dropped from new batches with a reason and without their text, in both languages."""

import json
import random

import pytest
import yaml
from click.testing import CliRunner, Result

from lmtrain import cli
from lmtrain.manifest import Artifact
from lmtrain.text.hashing import text_hash

pytestmark = pytest.mark.usefixtures("ray_cluster")

ENGLISH = (
    "the of and to in that with for method returns given values array number shape result when function "
    "input output model data each along axis default object other first second mean"
)
CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面"
)


def text_of(language: str, number: int) -> str:
    chance = random.Random(number)
    if language == "english":
        return " ".join(chance.choice(ENGLISH.split()) for _ in range(40)).capitalize() + "."
    return "，".join("".join(chance.choice(CHINESE) for _ in range(9)) for _ in range(6)) + "。"


class Batches:
    """Recipes of one language under one root, each with a batch of documents."""

    def __init__(self, folder, language: str) -> None:
        self.folder, self.language = folder, language

    def recipe(
        self, name: str, texts: dict[str, str], listed: dict[str, list[str]] | None = None, **curate
    ) -> str:
        rows = [
            {"id": identity, "text": text, "url": f"http://x.org/{identity}"}
            for identity, text in texts.items()
        ]
        documents = self.folder / f"{name}.jsonl"
        documents.write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = {"alias": name, "urls": [str(documents)], "id_column": "id", "url_column": "url"}
        made = {
            "name": name,
            "root": str(self.folder / "runs"),
            "ingest": {"files": [source]},
            "curate": {"preset": "none", **curate},
            "resources": {"workers": 2},
        }
        for key, lines in (listed or {}).items():
            path = self.folder / f"{name}-{key}.txt"
            path.write_text("\n".join(lines))
            made.setdefault("remove", {})[key] = [str(path)]
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(made))
        return str(path)

    def curated(self, recipe: str) -> Artifact:
        told = lmtrain("curate", recipe)
        assert told.exit_code == 0, told.output
        return Artifact(told.stdout.split()[-1])


def lmtrain(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments), catch_exceptions=False)


@pytest.fixture(params=["english", "chinese"])
def batches(request, tmp_path) -> Batches:
    return Batches(tmp_path, request.param)


def rows_of(artifact: Artifact, role: str) -> dict[str, dict]:
    return {row["id"]: row for table in artifact.tables(role) for row in table.to_pylist()}


def test_listed_documents_are_dropped_by_name_by_address_and_by_text(batches):
    texts = {f"d{n}": text_of(batches.language, n) for n in range(12)}
    secret = "Write to someone@example.com. "
    texts["d3"] = secret + texts["d3"]
    changed = secret.replace("someone@example.com", "<EMAIL>") + text_of(batches.language, 3)
    texts["copy"] = texts["d4"].upper() + "  "
    hashes = [text_hash(texts["d4"]).hex(), text_hash(changed).hex()]
    listed = {"ids": ["d1", "nobody"], "urls": ["http://x.org/d2"], "text_hashes": hashes}
    recipe = batches.recipe("first", texts, listed, keep_text="all", privacy={"action": "replace"})
    documents = batches.curated(recipe)
    kept, dropped = rows_of(documents, "documents"), rows_of(documents, "dropped")
    assert {name: (row["filter"], row["reason"], row["detail"]) for name, row in dropped.items()} == {
        "d1": ("removal", "listed_id", "d1"),
        "d2": ("removal", "listed_url", "http://x.org/d2"),
        "d3": ("removal", "listed_text", hashes[1]),
        "d4": ("removal", "listed_text", hashes[0]),
        "copy": ("removal", "listed_text", hashes[0]),
    }
    assert all(row["text"] is None for row in dropped.values()), "no text of theirs is kept"
    assert set(kept) == set(texts) - set(dropped)
    stats = documents.stats
    assert stats["read"] == 13 == stats["kept"] + sum(stats["dropped"].values())
    assert stats["dropped"] == {"removal/listed_id": 1, "removal/listed_text": 3, "removal/listed_url": 1}
    assert stats["funnel"][1]["filter"] == "removal"
    told = lmtrain("explain", recipe, "--id", "d3").stdout.splitlines()
    assert told[-2].startswith(f"dropped by removal/listed_text: 1 > 0 (remove.text_hashes: {hashes[1]}")
    assert told[-1] == "among copies: not compared with others: removal/listed_text dropped it before"
    told = lmtrain("explain", recipe, "--text", texts["d4"]).stdout.splitlines()
    assert told[-2] == f"text hash: {hashes[0]}"
    assert lmtrain("text-hash", "--text", texts["copy"]).stdout == hashes[0] + "\n"

    later = batches.recipe("first", texts, {"ids": ["d5"]}, keep_text="all", privacy={"action": "replace"})
    assert batches.curated(later).url == documents.url, "nothing is curated again"
    told = lmtrain("explain", later, "--id", "d5").stdout.splitlines()
    assert told[-1].startswith(f"it was curated before it was listed: it stays in {documents.address.folder}")


def test_a_new_batch_is_compared_with_the_earlier_ones_that_its_recipe_names(batches):
    old = {f"old{n}": text_of(batches.language, n) for n in range(6)}
    first = batches.curated(batches.recipe("first", old))
    new = {f"new{n}": text_of(batches.language, 100 + n) for n in range(6)}
    new |= {"copy": old["old1"].upper(), "old3": text_of(batches.language, 50)}
    alone = batches.curated(batches.recipe("second", new))
    assert alone.stats["copies_of_earlier"] == 0
    recipe = batches.recipe("second", new, earlier=[first.address.folder])
    plan = lmtrain("plan", recipe).stdout.splitlines()
    assert [line.split() for line in plan if " earlier " in line] == [
        ["HIT", "earlier", first.address.label, first.address.folder]
    ]
    second = batches.curated(recipe)
    assert second.address.digest != alone.address.digest, "what it is compared with is part of its address"
    dropped = {name: (row["reason"], row["detail"]) for name, row in rows_of(second, "dropped").items()}
    assert dropped["copy"] == ("exact_copy", "old1")
    assert dropped["old3"][0] == "known_id"
    assert second.stats["copies_of_earlier"] == len(dropped)
    assert [given.url for given in second.inputs("earlier")] == [first.url]
    told = lmtrain("explain", recipe, "--id", "old3").stdout.splitlines()
    assert told[-1] == "among copies: dropped as known_id of old3"
    longer = {"longer": old["old5"] + " ", "again": new["new1"], "kept": text_of(batches.language, 300)}
    named = [first.url, f"{second.address.folder}/", first.address.folder]
    third = batches.curated(batches.recipe("third", longer, earlier=named))
    assert len(third.inputs("earlier")) == 2, "one that is named twice counts once"
    assert set(rows_of(third, "documents")) == {"kept"}, "earlier documents win over what comes later"
