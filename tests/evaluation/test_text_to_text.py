"""Prompts, padding on the left, and the first sentence."""

import pytest
import torch
from tiny_line import LONG, tiny_model
from transformers import AutoModelForCausalLM

from lmtrain.errors import StageError
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import Loaded, load
from lmtrain.evaluation.text_to_text import first_sentence, prompts_of, written
from lmtrain.manifest import Artifact
from lmtrain.watch import SilentWatch


def context(**more):
    config = EvaluateConfig(task="summarization", system="model", dataset="set", **more)
    return Context(config, torch.device("cpu"), SilentWatch())


@pytest.mark.parametrize(
    ("language", "document", "expected"),
    [
        ("en", "One sentence. Another one.", "One sentence."),
        ("en", "  Is it?\nYes.", "Is it?"),
        ("en", "Version 2.0 of the\nthing works. Really.", "Version 2.0 of the thing works."),
        ("en", "A heading\n\nThe text. More.", "A heading"),
        ("en", "No end at all", "No end at all"),
        ("zh", "今天下雨。明天晴天。", "今天下雨。"),
        ("zh", "真的吗？是的！", "真的吗？"),
        ("en", "", ""),
    ],
)
def test_the_first_sentence_of_a_document(language, document, expected):
    assert first_sentence(document, language) == expected


def loaded_summarizer(line):
    folder = Artifact(line.summarizer()).folder("weights")
    return load(AutoModelForCausalLM, folder, torch.device("cpu"))


def test_a_prompt_is_the_beginning_of_the_document_and_the_whole_suffix(line):
    loaded = loaded_summarizer(line)
    settings = loaded.model.config.task_specific_params["summarization"]
    suffix = loaded.encode([settings["suffix"]])[0]
    long, short = prompts_of(loaded, [line.texts[0] * 5, line.texts[0][:3]], settings)
    assert len(long) == LONG - settings["max_new_tokens"]
    assert long[-len(suffix) :] == short[-len(suffix) :] == suffix
    assert loaded.encode([line.texts[0] * 5])[0][: len(long) - len(suffix)] == long[: -len(suffix)]


@pytest.mark.parametrize("beams", [1, 2])
def test_a_summary_does_not_depend_on_what_else_is_in_the_batch(line, beams):
    loaded = loaded_summarizer(line)
    texts = [text[: 4 + 3 * index] for index, text in enumerate(line.texts[:6])]
    together = written(loaded, texts, context(num_beams=beams))
    alone = [written(loaded, [text], context(num_beams=beams))[0] for text in texts]
    assert together == alone
    assert len(set(together)) > 3


def test_a_summary_is_as_long_as_the_config_allows(english):
    loaded = loaded_summarizer(english)
    [short] = written(loaded, [english.texts[0]], context(max_target_length=2))
    [long] = written(loaded, [english.texts[0]], context(max_target_length=8))
    assert long.startswith(short)
    assert len(short) < len(long)


def test_a_model_that_is_no_summarizer_is_refused(english):
    loaded = Loaded(tiny_model(english.tokenizer), english.tokenizer, torch.device("cpu"))
    with pytest.raises(StageError, match="wasn't fine-tuned for summarization"):
        written(loaded, ["text"], context())
