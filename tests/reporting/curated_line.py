"""A line that the stages themselves make, from files to shards: two sources, and every fate of a text."""

import json
import random
from pathlib import Path
from typing import Any

from lmtrain import graph
from lmtrain.config import Resources
from lmtrain.node import build
from lmtrain.recipe import parse_recipe
from lmtrain.watch import SilentWatch

STAGES = ("ingest", "label", "curate", "train_tokenizer", "tokenize")

ENGLISH = ["river", "stone", "window", "garden", "winter", "letter", "music", "silver", "paper", "forest"]
CHINESE = "山水花鸟风云日月春秋冬夏书画琴棋江河湖海天地人心东西南北大小多少高低远近"

MAIL = "someone@example.org"
NOTICE = "By using this page you agree to its privacy policy and to the use of cookies."
EXAM = {
    "en": "The old lighthouse keeper counted seven ships before the storm came over the bay at night",
    "zh": "老人在灯塔上数过七条船以后暴风雨才从北边的海湾那里慢慢地过来了",
}


def prose(seed: int, language: str, sentences: int = 6) -> str:
    """Text that no other seed shares a sentence with, one sentence a line."""
    chance = random.Random(f"{seed} {language}")
    if language == "zh":
        return "\n".join("".join(chance.choices(CHINESE, k=24)) + "。" for _ in range(sentences))
    return "\n".join(" ".join(chance.choices(ENGLISH, k=12)).capitalize() + "." for _ in range(sentences))


def texts(language: str) -> dict[str, str]:
    """Texts by id: kept ones, and one for each reason to be dropped or changed."""
    found = {f"good-{seed}": prose(seed, language) for seed in range(10)}
    found |= {f"copy-{number}": found["good-3"] for number in range(3)}
    found["notice"] = f"{prose(20, language)}\n{NOTICE}"
    found["personal"] = f"{prose(21, language)}\n{MAIL}"
    found["short"] = f"{MAIL}"
    found["exam"] = f"{prose(22, language)}\n{EXAM[language]}.\n{prose(23, language)}"
    return found


LICENSES = {"en": ["MIT", "CC0-1.0", None], "zh": ["MIT", "CC-BY-SA-4.0"]}
ALIASES = {"en": "web", "zh": "books"}


def recipe(folder: Path) -> dict[str, Any]:
    """Write the sources; return a recipe on them."""
    folder.mkdir(parents=True, exist_ok=True)
    for language, alias in ALIASES.items():
        licenses = LICENSES[language]
        rows = [
            {"id": f"{alias}-{name}", "text": text, "license": licenses[place % len(licenses)]}
            for place, (name, text) in enumerate(texts(language).items())
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{alias}.jsonl").write_text("\n".join([*lines, "{not json"]), encoding="utf-8")
    examples = [
        {"text": text, "label": label, "split": split}
        for split in ("train", "validation", "test")
        for label, text in (EXAM if split == "test" else {"en": f"a {split}", "zh": f"好 {split}"}).items()
    ]
    (folder / "exam.jsonl").write_text("\n".join(map(json.dumps, examples)), encoding="utf-8")
    columns = {"id_column": "id", "license_column": "license"}
    exam = {"alias": "exam", "task": "classification", "urls": [str(folder / "exam.jsonl")]}
    return {
        "name": "two-sources",
        "ingest": {
            "files": [
                {"alias": alias, "urls": [str(folder / f"{alias}.jsonl")], **columns}
                for alias in ALIASES.values()
            ]
        },
        "label": {"files": [exam | {"split_column": "split"}]},
        "curate": {
            "preset": "none",
            "thresholds": {"min_words": 8, "drop_policy_lines": 1},
            "decontaminate": ["exam"],
            "privacy": {"action": "replace"},
        },
        "tokenize": {"vocab_size": 320},
    }


def make_curated_line(folder: Path) -> dict[str, list[str]]:
    """Run the stages up to shards; return the report's inputs. Needs the Ray cluster of the tests."""
    nodes = graph.nodes_of(parse_recipe(recipe(folder / "sources")))
    root, resources = str(folder / "runs"), Resources(workers=2, compile=False)
    for node in nodes:
        if node.stage in STAGES:
            build(node, root, resources, SilentWatch())
    made = {
        role: [node.address.url(root) for node in given if node.stage in STAGES]
        for role, given in nodes[-1].inputs.items()
    }
    return {role: urls for role, urls in made.items() if urls}
