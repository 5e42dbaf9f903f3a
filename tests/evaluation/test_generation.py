"""Continuations of a prompt."""

from pathlib import Path

import pytest
import torch
from tiny_line import CONTEXT

from lmtrain.errors import RecipeError, StageError
from lmtrain.evaluation.generation import generate, prompt_of
from lmtrain.manifest import Artifact
from lmtrain.model_verbs import model_folder as model_folder_of


def test_the_seed_decides_the_text(model_folder):
    def write(seed):
        return generate(model_folder, "The quick", 12, seed=seed)

    assert write(1) == write(1)
    assert len({write(seed) for seed in range(4)}) > 1


def test_the_state_of_everybody_elses_draws_is_kept(model_folder):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    generate(model_folder, "The quick", 3, seed=1)
    assert torch.rand(1) == expected


def test_temperature_zero_takes_the_likeliest_token(model_folder):
    assert generate(model_folder, "The", 8, temperature=0, seed=1) == generate(
        str(model_folder), "The", 8, temperature=0, seed=2
    )
    assert generate(model_folder, "The", 8, temperature=0) == generate(
        model_folder, "The", 8, top_k=1, seed=5
    )


def test_a_manifest_is_as_good_as_its_folder(line):
    url = line.language_model()
    folder = Artifact(url).folder("weights")
    assert model_folder_of(url) == model_folder_of(str(Path(url).parent)) == folder
    assert model_folder_of(str(folder)) == folder
    assert generate(folder, line.texts[0][:5], 6)


@pytest.mark.parametrize("prompt", ["", "The quick brown fox " * CONTEXT])
def test_a_prompt_may_be_empty_or_longer_than_the_context(model_folder, prompt):
    assert any(generate(model_folder, prompt, 4, seed=seed) for seed in range(5))


def test_more_is_asked_for_than_the_context_holds(model_folder):
    assert generate(model_folder, "The", 10 * CONTEXT)


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(RecipeError, match="no model at"):
        model_folder_of(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StageError, match="can't load a model"):
        generate(tmp_path, "The")


@pytest.mark.parametrize("bad", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_k": 0}])
def test_settings_out_of_range_are_refused(model_folder, bad):
    with pytest.raises(RecipeError, match="at least"):
        generate(model_folder, "The", **bad)


def test_prompts_are_the_first_words_or_chinese_characters():
    assert prompt_of(" one  two\nthree four five six seven eight nine", "en") == (
        "one  two\nthree four five six seven eight"
    )
    assert prompt_of("short", "en") == "short"
    assert prompt_of("", "en") == ""
    assert prompt_of("学校で本を読み、字を書いた。", "ja") == "学校で本を読み、字を書い"
    assert prompt_of("학교에서 책을 읽고 글을 썼다.", "ko") == "학교에서 책을 읽고 글을 썼다."
    assert prompt_of("我们在学校里看书写字唱歌讨论天气", "zh") == "我们在学校里看书写字唱歌"
