"""Summarizers on a labelled test set: a model that continues the document, and the first sentence.

Every system is scored on the same examples: those with the least hash of their id.
"""

from collections.abc import Sequence
from typing import Any

from transformers import AutoModelForCausalLM, GenerationConfig

from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.generated_text import signatures_of_texts, statistics_of_texts
from lmtrain.evaluation.models import Loaded, batches_by_length, load, padded, run_batches
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.text.segmentation import sentences

TOKENS_AT_ONCE = 16_384
"""Tokens of a batch, padding and what is generated included, over all beams."""


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned summarizer, decoding greedily or with the config's beams."""
    examples = _examples(labelled, context)
    loaded = load(AutoModelForCausalLM, system.folder("weights"), context.device)
    texts = [example.text for example in examples]
    decoding = f"beams:{context.config.num_beams}"
    return _scored(examples, summarize(loaded, texts, context), context, decoding)


def score_first_sentence(labelled: Artifact, context: Context) -> Scored:
    """Score the first sentence of each document as its summary."""
    examples = _examples(labelled, context)
    language = context.config.tokens_of
    return _scored(examples, [first_sentence(example.text, language) for example in examples], context)


def first_sentence(document: str, language: str) -> str:
    """Return the first sentence of a text on one line; all of it if it holds no end of a sentence."""
    first = sentences(document, language)[:1]
    return " ".join("".join(first).split())


def prompts_of(loaded: Loaded, documents: Sequence[str], settings: dict[str, Any]) -> list[list[int]]:
    """Return the prompts of documents: their tokens, cut to leave room for the rest, and the suffix."""
    suffix = loaded.encode([settings["suffix"]], add_special_tokens=False)[0]
    room = settings["max_length"] - settings["max_new_tokens"] - len(suffix)
    if room < 1:
        raise StageError(
            f"the summarizer's max_length {settings['max_length']} leaves no room for a document"
        )
    return [row[:room] + suffix for row in loaded.encode(documents, add_special_tokens=False)]


def summarize(loaded: Loaded, documents: Sequence[str], context: Context) -> list[str]:
    """Return a summary of each document.

    Raises:
        StageError: the model's config doesn't say how it was asked for summaries.
    """
    settings = (getattr(loaded.model.config, "task_specific_params", None) or {}).get("summarization")
    if not settings:
        raise StageError("the model is no summarizer: its config has no task_specific_params.summarization")
    prompts = prompts_of(loaded, documents, settings)
    summaries = [""] * len(prompts)
    beams = context.config.num_beams
    generation = GenerationConfig(
        do_sample=False,
        num_beams=beams,
        max_new_tokens=min(settings["max_new_tokens"], context.config.max_target_length),
        eos_token_id=loaded.end,
        pad_token_id=loaded.pad,
    )

    def work(batch: list[int]) -> None:
        ids, mask = padded([prompts[index] for index in batch], loaded.pad, "left")
        output = loaded.model.generate(
            ids.to(loaded.device), attention_mask=mask.to(loaded.device), generation_config=generation
        )
        texts = loaded.tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
        for index, text in zip(batch, texts, strict=True):
            summaries[index] = text.strip()

    lengths = [(len(prompt) + settings["max_new_tokens"]) * beams for prompt in prompts]
    run_batches(batches_by_length(lengths, TOKENS_AT_ONCE), work, context.watch, "summaries")
    return summaries


def _examples(labelled: Artifact, context: Context) -> list[Example]:
    return labelled_examples(labelled, "summarization", "test", context.removed, context.config.max_generated)


def _scored(
    examples: Sequence[Example], summaries: Sequence[str], context: Context, decoding: str = ""
) -> Scored:
    language = context.config.tokens_of
    signatures = signatures_of_texts(language)
    return Scored(
        ids=[example.id for example in examples],
        groups=[example.group for example in examples],
        predictions=summaries,
        statistics=statistics_of_texts(summaries, [example.target for example in examples], language),
        signatures={name: f"{text}|{decoding}".rstrip("|") for name, text in signatures.items()},
    )
