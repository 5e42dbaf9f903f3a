"""Which examples are scored, and what is read of them."""

import hashlib

import pytest

from lmtrain.errors import StageError
from lmtrain.evaluation.examples import (
    flat_tokens,
    labelled_examples,
    read_vocabulary,
    token_tables,
    vocabulary_of,
)
from lmtrain.evaluation.examples import test_documents as documents_of
from lmtrain.manifest import Artifact


def by_hash(ids):
    return sorted(ids, key=lambda one: hashlib.sha256(one.encode()).digest())


def test_documents_come_in_the_order_of_the_hash_of_their_ids(line):
    shards = Artifact(line.shards_url)
    ids = [document.id for document in documents_of(shards, 1000, frozenset())]
    assert ids == by_hash(ids)
    assert ids != sorted(ids)
    assert [document.id for document in documents_of(shards, 3, frozenset())] == ids[:3]


def test_a_document_has_its_text_group_tokens_and_bytes(line):
    for document in documents_of(Artifact(line.shards_url), 1000, frozenset()):
        number = int(document.id[1:])
        assert document.text == line.texts[number]
        assert document.group == f"g{number // 2}"
        assert document.bytes == len(document.text.encode())
        assert line.tokenizer.decode(document.tokens) == document.text


def test_joined_tokens_come_apart_at_their_ends(line):
    for table in token_tables(Artifact(line.shards_url), "train"):
        tokens, ends = flat_tokens(table)
        starts = [0, *ends[:-1]]
        assert [tokens[start:end].tolist() for start, end in zip(starts, ends, strict=True)] == table[
            "input_ids"
        ].to_pylist()


def test_the_vocabulary_is_that_of_the_tokenizer_special_tokens_included(line):
    vocabulary = vocabulary_of(Artifact(line.shards_url))
    assert vocabulary.size == len(line.tokenizer)
    assert vocabulary.end == line.tokenizer.eos_token_id
    assert "<|pad|>" in vocabulary.entries


def test_labelled_examples_are_of_one_split(english):
    splits = ("train", "validation", "test")
    rows = [
        {"text": f"{split} {number}", "label": "a", "split": split} for split in splits for number in range(4)
    ]
    labelled = Artifact(english.labelled("classification", rows, "splits"))
    for split in splits:
        examples = labelled_examples(labelled, split)
        assert len(examples) == 4
        assert all(example["text"].startswith(split) for example in examples)
        assert [example["id"] for example in examples] == by_hash([example["id"] for example in examples])


def test_a_tokenizer_without_an_end_token_is_refused(english, tmp_path):
    english.tokenizer.save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(config.read_text().replace("eos_token", "other_token"))
    with pytest.raises(StageError, match="no end token"):
        read_vocabulary(tmp_path)
