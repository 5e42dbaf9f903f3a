"""What xz charges each document adds up to the stream, and grows with what is new."""

import lzma
import random

import pytest

from lmtrain.evaluation.compression import PRESET, xz_bytes

WORDS = {
    "en": ["the", "model", "reads", "every", "word", "once", "and", "then", "again"],
    "zh": list("我们在学校里看书写字唱歌"),
}


def texts(language, count, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS[language], k=40)) for _ in range(count)]


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("count", [1, 2, 50])
def test_charges_add_up_to_the_compressed_stream(language, count):
    documents = texts(language, count)
    joined = "".join(text + "\0" for text in documents).encode()
    whole = lzma.compress(joined, check=lzma.CHECK_NONE, preset=PRESET)
    charges = xz_bytes(documents)
    assert len(charges) == count
    assert charges.min() >= 0
    assert charges.sum() == len(whole)


def test_a_copy_costs_next_to_nothing():
    first, second, *_ = texts("en", 2)
    charges = xz_bytes([first, second, first, second])
    assert charges[2] < charges[0] / 4


def test_noise_costs_more_than_language():
    draw = random.Random(0)
    noise = "".join(chr(draw.randrange(33, 127)) for _ in range(2000))
    language = " ".join(texts("en", 12))[:2000]
    charges = xz_bytes(["start", language, noise, "end"])
    assert charges[2] > 2 * charges[1]


def test_no_documents_cost_nothing():
    assert xz_bytes([]).sum() == 0
