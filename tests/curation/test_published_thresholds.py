"""Every threshold that was published for a preset, stated a second time, and that a recipe can change it."""

import pytest

from lmtrain.curation.config import CurateConfig
from lmtrain.curation.presets import NAMES, PRESETS, SWITCHES

QUALITY = {  # Rae et al. 2021, table A1; the stop words be, to, of, and, that, have, with
    "min_words": 50,
    "max_words": 100_000,
    "min_mean_word_length": 3,
    "max_mean_word_length": 10,
    "max_hash_sign_ratio": 0.1,
    "max_ellipsis_ratio": 0.1,
    "max_bullet_line_ratio": 0.9,
    "max_ellipsis_line_ratio": 0.3,
    "min_alphabetic_word_ratio": 0.8,
    "min_stop_words": 2,
}
REPETITION = {
    "max_duplicate_paragraph_ratio": 0.3,
    "max_duplicate_paragraph_character_ratio": 0.2,
    "max_duplicate_line_ratio": 0.3,
    "max_duplicate_line_character_ratio": 0.2,
    "max_top_2_gram_ratio": 0.2,
    "max_top_3_gram_ratio": 0.18,
    "max_top_4_gram_ratio": 0.16,
    "max_repeated_5_gram_ratio": 0.15,
    "max_repeated_6_gram_ratio": 0.14,
    "max_repeated_7_gram_ratio": 0.13,
    "max_repeated_8_gram_ratio": 0.12,
    "max_repeated_9_gram_ratio": 0.11,
    "max_repeated_10_gram_ratio": 0.1,
}
GOPHER = {"min_language_score": 0.65, **QUALITY, **REPETITION}
C4 = {  # Raffel et al. 2020, as datatrove 0.10.1 has them
    "remove_citations": 1,
    "max_line_word_length": 1000,
    "drop_unpunctuated_lines": 1,
    "min_line_words": 3,
    "drop_lorem_ipsum": 1,
    "drop_javascript_lines": 1,
    "drop_curly_brackets": 1,
    "drop_policy_lines": 1,
    "min_sentences": 5,
}
FINEWEB = {  # Penedo et al. 2024, with C4's rules but for the one of line ends
    **GOPHER,
    **C4,
    "drop_unpunctuated_lines": 0,
    "min_punctuated_line_ratio": 0.12,
    "max_short_line_ratio": 0.67,
    "max_duplicate_written_character_ratio": 0.01,
    "max_newline_ratio": 0.3,
}
ALL_LANGUAGES = {"max_duplicate_written_character_ratio": 0.1}
"""What FineWeb-2 (Penedo et al. 2025) has alike for every language, beside Gopher's quality rules."""


def fineweb_2(*own: float, top: tuple[float, float], repeated: tuple[float, ...]) -> dict[str, float]:
    names = (
        "min_language_score", "max_duplicate_line_ratio", "min_punctuated_line_ratio", "max_newline_ratio",
        "min_mean_word_length", "max_mean_word_length", "min_alphabetic_word_ratio",
        "max_top_2_gram_ratio", "max_repeated_5_gram_ratio",
    )  # fmt: skip
    rest = {f"max_top_{n}_gram_ratio": limit for n, limit in zip((3, 4), top, strict=True)}
    rest |= {f"max_repeated_{n}_gram_ratio": limit for n, limit in zip(range(6, 11), repeated, strict=True)}
    return {**QUALITY, **ALL_LANGUAGES, **dict(zip(names, own, strict=True)), **rest}


CHINESE = fineweb_2(
    0.692, 0.287, 0.106, 0.178, 1, 5, 0.735, 0.256, 0.198,
    top=(0.201, 0.171), repeated=(0.182, 0.167, 0.154, 0.14, 0.127),
)  # fmt: skip
JAPANESE = fineweb_2(
    0.886, 0.328, 0.096, 0.130, 1, 6, 0.759, 0.239, 0.243,
    top=(0.196, 0.172), repeated=(0.225, 0.207, 0.190, 0.175, 0.159),
)  # fmt: skip
KOREAN = fineweb_2(
    0.842, 0.374, 0.062, 0.196, 1, 6, 0.791, 0.282, 0.201,
    top=(0.228, 0.185), repeated=(0.184, 0.168, 0.154, 0.14, 0.127),
)  # fmt: skip
del KOREAN["min_stop_words"]  # its list holds particles, which don't stand alone between spaces

PUBLISHED = {
    "gopher": ("en", GOPHER),
    "c4": ("en", {"min_language_score": 0.65, **C4}),
    "fineweb": ("en", FINEWEB),
    "chinese": ("zh", CHINESE),
    "japanese": ("ja", JAPANESE),
    "korean": ("ko", KOREAN),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_a_preset_has_every_published_threshold_and_no_other(preset):
    language, published = PUBLISHED[preset]
    config = CurateConfig(preset=preset)
    assert (config.language, config.all_thresholds) == (language, published)


def test_what_is_ours_alone_is_known_by_name():
    assert set(PRESETS) - set(PUBLISHED) == {"english", "none"}
    assert PRESETS["none"].thresholds == {}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_recipe_can_change_every_threshold_of_a_preset(preset):
    for name, value in PRESETS[preset].thresholds.items():
        assert name in NAMES
        other = 1 - value if name in SWITCHES else value / 2 + 0.25
        changed = CurateConfig(preset=preset, thresholds={name: other}).all_thresholds
        assert changed == {**PRESETS[preset].thresholds, name: other}
