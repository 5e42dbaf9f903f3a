"""The stage: documents of either language to an artifact of vectors, the same one each time."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from real_documents import LANGUAGES, texts, write_documents
from tiny_line import TEXTS

from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.graph import nodes_of
from lmtrain.manifest import Artifact
from lmtrain.node import build as build_node
from lmtrain.recipe import parse_recipe
from lmtrain.text.word_vectors import WordVectors
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors.config import EPOCHS, WordVectorsConfig
from lmtrain.wordvectors.stage import build

PROJECT = Path(__file__).parents[2]

ALGORITHMS = list(EPOCHS)

RELATED = {
    "en": "module package, integer float, bytes string, key value, file directory, thread process, "
    "year month, width height",
    "zh": "我们 他们, 北京 上海, 经济 发展, 企业 改革, 总理 主席, 农民 农业, 市场 消费者, 教育 学生",
}
"""Words that have to do with each other, in the texts of `real_documents`."""


def settings(algorithm: str, **more) -> WordVectorsConfig:
    small = {
        "vector_size": 8,
        "min_count": 1,
        "epochs": 2,
        **({"buckets": 99} if algorithm == "fasttext" else {}),
    }
    return WordVectorsConfig(name="tiny", algorithm=algorithm, **{**small, **more})


def train(root: str, language: str, config: WordVectorsConfig, written=None, **inputs: list[str]) -> Artifact:
    documents = write_documents(root, language, list(written or TEXTS[language]))
    return Artifact(build({"documents": [documents], **inputs}, config, root, Resources(), SilentWatch()))


def hashes(artifact: Artifact) -> list[str]:
    return [record.sha256 for record in artifact.manifest.files]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_documents_give_the_same_bytes(root, language, algorithm):
    first, again = (train(f"{root}-{run}", language, settings(algorithm)) for run in range(2))
    assert hashes(first) == hashes(again)
    assert first.address == again.address
    assert first.address.label == f"{algorithm}-tiny"
    other = train(f"{root}-2", language, settings(algorithm, seed=1))
    assert hashes(other) != hashes(first)


PROGRAM = """
import sys
sys.path[:0] = ["tests", "tests/wordvectors"]
import test_vectors_stage as stage
for algorithm in stage.ALGORITHMS:
    print(stage.hashes(stage.train(f"{sys.argv[1]}-{algorithm}", "zh", stage.settings(algorithm))))
"""


@pytest.mark.slow
def test_another_process_gives_the_same_bytes_whatever_its_hashes(root, monkeypatch):
    ours = [hashes(train(f"{root}-{algorithm}", "zh", settings(algorithm))) for algorithm in ALGORITHMS]
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        command = [sys.executable, "-c", PROGRAM, f"{root}-{seed}"]
        told = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120
        ).stdout
        assert [json.loads(line.replace("'", '"')) for line in told.splitlines()] == ours


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_artifact_holds_vectors_of_the_words_and_tells_how_they_were_made(line, root, algorithm):
    made = train(root, line.language, settings(algorithm))
    vectors = WordVectors.load(made.folder("vectors"))
    stats = made.stats
    assert vectors.vectors.shape == (len(vectors.words), 8) == (stats["words"], stats["vector_size"])
    assert vectors.counts.sum() == stats["occurrences"]
    assert stats["documents"] == len(TEXTS[line.language])
    assert np.isfinite(vectors.vectors).all()
    assert len(stats["losses"]) == (0 if algorithm == "fasttext" else 2)
    assert stats["near"], "some words are shown"
    for row in stats["near"]:
        assert row["near"] == [word for word, _ in vectors.nearest(row["word"], 5)]
    unknown = {"en": "jumping", "zh": "图书馆里"}[line.language]
    assert vectors.of([unknown]).any() == (algorithm == "fasttext")


def closeness(vectors: WordVectors, language: str) -> tuple[float, float]:
    """Return the mean cosine of related words, and that of the same words paired any other way."""
    pairs = [pair.split() for pair in RELATED[language].split(", ")]
    rows = {word: vectors.of([word])[0] for pair in pairs for word in pair}
    directions = {word: row / np.linalg.norm(row) for word, row in rows.items()}
    cosines = {
        frozenset(pair): float(directions[pair[0]] @ directions[pair[1]]) for pair in combinations(rows, 2)
    }
    related = [cosines.pop(frozenset(pair)) for pair in pairs]
    return float(np.mean(related)), float(np.mean(list(cosines.values())))


@pytest.mark.parametrize(
    ("language", "algorithm"),
    [
        ("en", "word2vec"),
        ("zh", "word2vec"),
        pytest.param("en", "fasttext", marks=pytest.mark.slow),
        pytest.param("zh", "fasttext", marks=pytest.mark.slow),
        pytest.param("en", "glove", marks=pytest.mark.slow),
        pytest.param("zh", "glove", marks=pytest.mark.slow),
    ],
)
def test_related_words_of_real_text_are_nearer_than_others(root, language, algorithm):
    config = WordVectorsConfig(name="real", algorithm=algorithm, vector_size=32, window=3)
    made = train(root, language, config, texts(language))
    vectors = WordVectors.load(made.folder("vectors"))
    related, others = closeness(vectors, language)
    assert related > others + 0.05
    losses = made.stats["losses"]
    assert algorithm == "fasttext" or losses[-1] < 0.95 * losses[0]


def test_what_a_removal_list_names_is_not_trained_on(root, tmp_path):
    (tmp_path / "ids.txt").write_text("d00000\nd00001\n")
    recipe = parse_recipe(
        {
            "name": "removing",
            "ingest": {"docstrings": [{"alias": "python", "packages": ["click"]}]},
            "remove": {"ids": [str(tmp_path / "ids.txt")]},
            "word_vectors": [{"name": "tiny"}],
        }
    )
    nodes = {node.stage: node for node in nodes_of(recipe)}
    listed = build_node(nodes["list_removals"], root, Resources(), SilentWatch())
    whole = train(root, "en", settings("word2vec"))
    less = train(root, "en", settings("word2vec"), removals=[listed])
    assert less.stats["documents"] == whole.stats["documents"] - 2
    assert less.address != whole.address
    assert set(nodes["train_vectors"].inputs) == {"documents", "removals"}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ([{"name": "a"}, {"name": "a", "algorithm": "glove"}], "every name must be different"),
        (
            [{"name": "a", "algorithm": "glove", "negative": 5}],
            "negative is a setting of word2vec and fasttext",
        ),
        ([{"name": "a", "buckets": 5}], "buckets is a setting of fasttext: leave it out with word2vec"),
        ([{"name": "a", "algorithm": "fasttext", "min_n": 7}], "min_n 7 must be at most max_n 6"),
        ([{"name": "a", "algorithm": "lsa"}], "algorithm"),
        ([{"algorithm": "glove"}], "name"),
    ],
)
def test_a_recipe_that_asks_for_what_cannot_be_is_refused(section, told):
    raw = {"name": "r", "ingest": {"docstrings": [{"alias": "p", "packages": ["click"]}]}}
    with pytest.raises(RecipeError, match=f"word_vectors.*{told}"):
        parse_recipe({**raw, "word_vectors": section})


def test_vectors_without_documents_are_refused():
    raw = {"name": "r", "model": {"path": "somewhere"}, "word_vectors": [{"name": "a"}]}
    with pytest.raises(RecipeError, match="word_vectors: they are trained on documents; name a source"):
        parse_recipe(raw)
