"""A byte-level BPE encodes any text, decodes to it, and is the same each time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.tokenization.tokenizer_stage import END, PAD, train_bpe, wrap

TEXTS = [
    "Return the mean of the array.\n\n    Parameters\n    ----------\n    axis : int\n",
    "迈向充满希望的新世纪——一九九八年新年讲话",
    "def f(x): return 12345 * x",
] * 30


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(iter(TEXTS), 400, 2)


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_decodes_to_itself(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_training_twice_gives_the_same_file(tokenizer):
    assert train_bpe(iter(TEXTS), 400, 2).to_str() == tokenizer.to_str()


def test_chinese_is_learned_as_merges_not_left_as_bytes(tokenizer):
    text = "新世纪"
    assert len(tokenizer.encode(text).ids) < len(text.encode())


def test_the_hugging_face_face_adds_nothing_and_knows_its_end_and_padding(tokenizer):
    face = wrap(tokenizer)
    assert face("the array")["input_ids"] == tokenizer.encode("the array").ids
    assert (face.eos_token, face.bos_token, face.pad_token) == (END, END, PAD)


def test_digits_are_never_merged_beyond_three(tokenizer):
    pieces = [tokenizer.decode([one]) for one in tokenizer.encode("12345678").ids]
    assert all(len(piece) <= 3 for piece in pieces)
