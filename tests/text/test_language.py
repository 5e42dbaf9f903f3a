"""Language identification: the bundled model, over a bounded sample of the whole text."""

import pytest

from lmtrain.text import language


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Return the mean of the array elements along the given axis.", "en"),
        ("返回数组沿给定轴的平均值，缺失的数值不参加计算。", "zh"),
        ("Gibt den Mittelwert der Elemente entlang der Achse zurück.", "de"),
        ("配列の要素の平均を返します。", "ja"),
    ],
)
def test_a_language_is_recognized(text, found):
    assert language.identify(text)[0] == found
    assert 0.5 < language.identify(text)[1] <= 1


def test_line_breaks_make_no_difference():
    text = "Return the mean of the array elements along the given axis."
    assert language.identify(text.replace(" ", "\n")) == language.identify(text)


@pytest.mark.parametrize("text", ["", "123 456", "?!\n--"])
def test_a_text_without_letters_has_no_language(text):
    assert language.identify(text) == ("und", 0.0)


def test_a_long_text_is_sampled_from_beginning_to_end():
    text = "".join(chr(0x4E00 + n % 5000) for n in range(50_000))
    looked_at = language.sample(text)
    assert len(looked_at) <= language.SAMPLE + language.PIECES
    assert looked_at.startswith(text[:200])
    assert looked_at.endswith(text[-200:])
    assert language.sample("short") == "short"
