"""The training text as numbers: every frequent word, in its order, in its document."""

from collections import Counter

import numpy as np
import pytest
from real_documents import write_documents
from tiny_line import TEXTS

from lmtrain.errors import CancelledError, StageError
from lmtrain.manifest import Artifact
from lmtrain.schemas import row_key
from lmtrain.text.segmentation import words
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors import corpus as module
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.corpus import Corpus, read_corpus


def read(root, language, tmp_path, removed=frozenset(), watch=None, split="train", **settings) -> Corpus:
    url = write_documents(f"{root}-{language}", language, list(TEXTS[language]), split)
    config = WordVectorsConfig(name="a", **{"min_count": 1, **settings})
    tmp_path.mkdir(exist_ok=True)
    return read_corpus([Artifact(url)], config, removed, tmp_path, watch or SilentWatch())


def documents_of(corpus: Corpus) -> list[list[str]]:
    parts = np.split(corpus.numbers, corpus.ends[:-1])
    return [[corpus.words[number] for number in part] for part in parts]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("at_once", [1, 7, 1000])
@pytest.mark.parametrize("min_count", [1, 9])
def test_documents_are_their_frequent_words(root, tmp_path, language, at_once, min_count, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    found = read(root, language, tmp_path, min_count=min_count)
    cut = [[word.lower() for word in words(text, language)] for text in TEXTS[language]]
    counts = Counter(word for document in cut for word in document)
    kept = sorted((w for w in counts if counts[w] >= min_count), key=lambda w: (-counts[w], w))
    assert found.words == kept
    assert found.counts.tolist() == [counts[word] for word in kept]
    assert documents_of(found) == [[w for w in document if counts[w] >= min_count] for document in cut]


def test_the_most_frequent_words_are_kept(root, tmp_path):
    whole, few = (read(root, "en", tmp_path / str(n), max_words=n) for n in (1000, 3))
    assert few.words == whole.words[:3]
    assert few.counts.tolist() == whole.counts[:3].tolist()
    assert len(few.numbers) == few.counts.sum()


def test_words_keep_their_case_and_chinese_is_cut_by_characters_if_asked(root, tmp_path):
    assert "The" in read(root, "en", tmp_path / "en", lowercase=False).words
    assert "北" in read(root, "zh", tmp_path / "zh", segmenter="characters").words


def test_removed_documents_are_left_out(root, tmp_path):
    found = read(root, "zh", tmp_path, removed=frozenset({"d00001"}))
    assert len(found.ends) == len(TEXTS["zh"]) - 1
    assert "1" not in found.words


def test_of_more_text_documents_are_taken_by_the_hash_of_their_ids(root, tmp_path):
    size = sum(len(text.encode()) for text in TEXTS["en"])
    found = read(root, "en", tmp_path, training_bytes=1000)
    below = 2**64 * 1000 // size
    taken = [text for n, text in enumerate(TEXTS["en"]) if row_key(f"d{n:05d}") < below]
    assert 0 < len(taken) < len(TEXTS["en"])
    assert documents_of(found) == [[w.lower() for w in words(text, "en")] for text in taken]


def test_pieces_of_documents_are_no_longer_than_asked_and_have_two_words():
    corpus = Corpus(["a"], np.array([8]), np.zeros(8, np.int32), np.array([5, 5, 6, 8]))
    assert list(corpus.spans(2)) == [(0, 2), (2, 4), (6, 8)]
    assert list(corpus.spans(100)) == [(0, 5), (6, 8)]


@pytest.mark.parametrize("wrong", [{"split": "test"}, {"min_count": 1000}])
def test_too_little_text_is_refused_with_what_to_do(root, tmp_path, wrong):
    with pytest.raises(StageError, match=r"0 words occur .* times in the training split: lower min_count"):
        read(root, "en", tmp_path, **wrong)


def test_documents_of_one_word_are_refused(root, tmp_path):
    url = write_documents(root, "zh", ["天气", "北京", "天气"])
    with pytest.raises(StageError, match="no document has two of the words"):
        read_corpus(
            [Artifact(url)], WordVectorsConfig(name="a", min_count=1), frozenset(), tmp_path, SilentWatch()
        )


def test_it_stops_when_the_watch_says_so(root, tmp_path):
    class Impatient(SilentWatch):
        def cancelled(self):
            return True

    with pytest.raises(CancelledError):
        read(root, "en", tmp_path, watch=Impatient())
