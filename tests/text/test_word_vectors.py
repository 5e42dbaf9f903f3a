"""Static vectors of words: rows by word, pieces for unknown words, weighted means of texts, two files."""

import json

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext import ft_ngram_hashes
from hypothesis import given
from hypothesis import strategies as st

from lmtrain.errors import CorruptArtifactError
from lmtrain.text.word_vectors import WordVectors, ngram_buckets

PLAIN = WordVectors(
    words=["the", "cat", "dog", "天气"],
    vectors=np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], dtype=np.float32),
    counts=np.array([900, 60, 30, 10]),
)
SENTENCES = {
    "en": ["the quick fox jumps", "the lazy dog sleeps", "a quick dog jumps over the fox"] * 5,
    "zh": ["我们 在 学校 看书", "他们 在 图书馆 写字", "老师 在 北京 唱歌"] * 5,
}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.integers(1, 4), st.integers(0, 4))
def test_pieces_of_words_are_hashed_as_gensim_and_fasttext_do(word, min_n, more):
    assert ngram_buckets(word, min_n, min_n + more, 1000) == ft_ngram_hashes(word, min_n, min_n + more, 1000)


@pytest.mark.parametrize("language", SENTENCES)
def test_known_and_unknown_words_have_the_vectors_that_gensim_gives_them(language):
    sentences = [sentence.split() for sentence in SENTENCES[language]]
    model = FastText(sentences, vector_size=16, min_count=1, bucket=300, min_n=2, max_n=4, workers=1, seed=3)
    ours = WordVectors(
        model.wv.index_to_key, model.wv.vectors, np.ones(len(model.wv), dtype=np.int64),
        ngrams=model.wv.vectors_ngrams, min_n=2, max_n=4,
    )  # fmt: skip
    unknown = ["foxes", "unknowable", "图书", "学校里", "é"]
    assert not set(unknown) & set(ours.words)
    asked = [*ours.words, *unknown]
    assert np.abs(ours.of(asked) - np.stack([model.wv[word] for word in asked])).max() < 1e-6


def test_a_word_has_its_row_in_any_case_and_an_unknown_one_zeros():
    assert PLAIN.of(["Dog", "天气", "unknown"]).tolist() == [PLAIN.vectors[2].tolist(), [-1, 0], [0, 0]]
    exact = WordVectors(PLAIN.words, PLAIN.vectors, PLAIN.counts, lowercase=False)
    assert exact.of(["Dog"]).tolist() == [[0, 0]]


def test_a_text_is_the_mean_of_its_words_in_which_common_ones_weigh_little():
    weights = [1e-3 / (1e-3 + share) for share in (0.9, 0.06, 0.0)]
    expected = (weights[0] * PLAIN.vectors[0] + weights[1] * PLAIN.vectors[1]) / 3
    assert PLAIN.of_text("The cat meows", "en") == pytest.approx(expected, rel=1e-6)
    assert PLAIN.of_text("天气", "zh") == pytest.approx([-1 / (1 + 10), 0])
    assert PLAIN.of_text(" ", "en").tolist() == [0, 0]


def test_the_nearest_words_are_those_of_the_largest_cosine():
    assert [word for word, _ in PLAIN.nearest("cat", 3)] == ["dog", "the", "天气"]
    assert PLAIN.nearest("cat", 1) == [("dog", pytest.approx(0.8))]
    assert [word for word, _ in PLAIN.nearest("the", 9)] == ["dog", "cat", "天气"]


@pytest.mark.parametrize("pieces", [None, np.arange(6, dtype=np.float32).reshape(3, 2)])
def test_what_is_written_is_read_and_the_same_vectors_give_the_same_bytes(tmp_path, pieces):
    made = WordVectors(PLAIN.words, PLAIN.vectors, PLAIN.counts, "characters", False, pieces, 2, 5)
    for folder in ("one", "two"):
        made.save(tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    read = WordVectors.load(tmp_path / "one")
    assert (read.words, read.segmenter, read.lowercase, read.min_n, read.max_n) == (
        PLAIN.words, "characters", False, 2, 5,
    )  # fmt: skip
    assert np.array_equal(read.of(["cat", "unknown"]), made.of(["cat", "unknown"]))
    assert np.array_equal(read.counts, PLAIN.counts)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    PLAIN.save(tmp_path)
    about = json.loads((tmp_path / "vocabulary.json").read_text(encoding="utf-8"))
    (tmp_path / "vocabulary.json").write_text(json.dumps({**about, "words": ["the"]}))
    with pytest.raises(CorruptArtifactError, match="1 words, but 4 vectors and 4 counts"):
        WordVectors.load(tmp_path)
    (tmp_path / "vectors.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CorruptArtifactError, match="holds no vectors of words"):
        WordVectors.load(tmp_path)
