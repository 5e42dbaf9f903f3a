"""Each kind of tokenizer learns English and Chinese, and has the special tokens of its family."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.measuring import measure
from lmtrain.tokenization.special_tokens import SPECIAL_TOKENS, wrap
from lmtrain.tokenization.training import train

TEXTS = [
    "Return the mean of the array.\n\n    Parameters\n    ----------\n    axis : int\n",
    "迈向充满希望的新世纪——一九九八年新年讲话",
    "def f(x): return 12345 * x",
] * 30

KINDS = [
    ("bpe", "gpt2"),
    ("bpe", "roberta"),
    ("wordpiece", "bert"),
    ("unigram", "t5"),
    ("unigram", "roberta"),
]


def trained(model: str, family: str = "gpt2"):
    return train(iter(TEXTS), TokenizerSettings(model=model, special_tokens=family, vocab_size=480))


@pytest.fixture(scope="module")
def bpe():
    return trained("bpe")


@pytest.fixture(scope="module")
def unigram():
    return trained("unigram", "t5")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_decodes_to_itself_through_byte_level_bpe(bpe, text):
    ids = bpe.encode(text, add_special_tokens=False).ids
    assert bpe.decode(ids, skip_special_tokens=False) == text


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"]), max_size=200))
def test_any_text_without_a_lower_block_decodes_to_itself_through_unigram(unigram, text):
    unigram.encode_special_tokens = True
    ids = unigram.encode(text, add_special_tokens=False).ids
    assert unigram.decode(ids, skip_special_tokens=False) == text


def test_training_bpe_twice_gives_the_same_file(bpe):
    assert trained("bpe").to_str() == bpe.to_str()


@pytest.mark.parametrize(("model", "family"), KINDS)
def test_chinese_is_learned_not_left_as_bytes(model, family):
    tokenizer = trained(model, family)
    assert len(tokenizer.encode("新世纪", add_special_tokens=False).ids) <= 3
    assert tokenizer.get_vocab_size() <= 480


@pytest.mark.parametrize(("model", "family"), KINDS)
def test_the_hugging_face_face_frames_texts_as_its_family_does(model, family):
    face = wrap(trained(model, family), family)
    framed = {
        "gpt2": "{0}{1}",
        "bert": "[CLS] {0} [SEP] {1} [SEP]",
        "roberta": "<s>{0}</s></s>{1}</s>",
        "t5": "{0}</s>{1}</s>",
    }[family]
    decoded = face.decode(face("the array", "新世纪")["input_ids"])
    assert decoded.replace("新 世 纪", "新世纪") == framed.format("the array", "新世纪")
    assert all(getattr(face, role) == token for role, token in SPECIAL_TOKENS[family].names.items())
    assert [face.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS[family].tokens] == [
        *range(len(SPECIAL_TOKENS[family].tokens))
    ]


def test_bert_tells_two_texts_apart_by_their_types():
    face = wrap(trained("wordpiece", "bert"), "bert")
    assert set(face("the array", "新世纪")["token_type_ids"]) == {0, 1}


def test_digits_are_never_merged_beyond_three(bpe):
    pieces = [bpe.decode([one]) for one in bpe.encode("12345678").ids]
    assert all(len(piece) <= 3 for piece in pieces)


@pytest.mark.parametrize(("model", "family"), KINDS)
def test_what_is_unknown_and_what_is_lost_is_measured_by_language(model, family):
    face = wrap(trained(model, family), family)
    figures = measure(face, [("en", "the mean"), ("en", "Ω𝔾"), ("zh", "新世纪")])
    lossless = model != "wordpiece"
    assert figures["en"]["round_trip"] == (1.0 if lossless else 0.5)
    assert (figures["en"]["unknown"] == 0) == lossless
    assert 0 < figures["zh"]["tokens_per_byte"] < figures["zh"]["tokens_per_character"] <= 1.01
