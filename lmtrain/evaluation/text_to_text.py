"""Texts that are written, on the test split: summaries, translations, answers, responses, turns.

A decoder goes on after the task's prompt, an encoder-decoder reads it and writes.
Baselines are the first sentences of what is given, and a copy of it. Every system is
scored on the same examples: those with the least hash of their id.
"""

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from lmtrain.encoding.prompts import PROMPTS
from lmtrain.encoding.texts import encode_text
from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.generated_text import signatures_of_texts, statistics_of_texts
from lmtrain.evaluation.models import Loaded, batches_by_length, padded, run_batches
from lmtrain.evaluation.question_answering import nearest_sentence
from lmtrain.evaluation.scored import Scored, scored_examples
from lmtrain.manifest import Artifact
from lmtrain.metrics import TASK_METRICS
from lmtrain.text.segmentation import sentences

TOKENS_AT_ONCE = 16_384
"""Tokens of a batch, padding and what is generated included, over all beams."""


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned model, decoding greedily or with the config's beams."""
    examples = _examples(labelled, context)
    loaded = load_writer(system, context)
    sources = [PROMPTS[context.config.task].source(example) for example in examples]
    texts = written(loaded, sources, context)
    return scored_texts(examples, texts, context, f"beams:{context.config.num_beams}")


def load_writer(system: Artifact, context: Context) -> Loaded:
    """Load a model that writes: an encoder-decoder, or a decoder."""
    folder = system.folder("weights")
    writes_apart = bool(AutoConfig.from_pretrained(folder).is_encoder_decoder)
    return context.load(AutoModelForSeq2SeqLM if writes_apart else AutoModelForCausalLM, folder)


def score_first_sentence(labelled: Artifact, context: Context) -> Scored:
    """Score the first sentence of each source."""
    examples, language = _examples(labelled, context), context.config.tokens_of
    source = PROMPTS[context.config.task].source
    return scored_texts(
        examples, [first_sentence(source(example), language) for example in examples], context
    )


def score_copy(labelled: Artifact, context: Context) -> Scored:
    """Score the source itself."""
    examples = _examples(labelled, context)
    source = PROMPTS[context.config.task].source
    return scored_texts(examples, [source(example) for example in examples], context)


def score_nearest_sentence(labelled: Artifact, context: Context) -> Scored:
    """Score the sentence of the context that shares most words with the question."""
    examples, language = _examples(labelled, context), context.config.tokens_of
    answers = [nearest_sentence(example["question"], example["context"], language) for example in examples]
    return scored_texts(examples, answers, context)


def first_sentence(document: str, language: str) -> str:
    """Return the first sentence of a text on one line; all of it if it holds no end of a sentence."""
    first = sentences(document, language)[:1]
    return " ".join("".join(first).split())


def prompts_of(loaded: Loaded, sources: Sequence[str], params: dict[str, Any]) -> list[list[int]]:
    """Return what a model is given: a decoder's prompt leaves room for what it writes.

    Raises:
        StageError: it leaves no room for a source.
    """
    texts = [params.get("prefix", "") + source for source in sources]
    if loaded.model.config.is_encoder_decoder:
        return [encode_text(loaded.tokenizer, text, params["max_length"]) for text in texts]
    suffix = encode_text(loaded.tokenizer, params["suffix"], 100, framed=False)
    room = params["max_length"] - params["max_new_tokens"] - len(suffix)
    if room < 1:
        raise StageError(f"the model's max_length {params['max_length']} leaves no room for a source")
    return [encode_text(loaded.tokenizer, text, room, framed=False) + suffix for text in texts]


def written(
    loaded: Loaded, sources: Sequence[str], context: Context, params: dict[str, Any] | None = None
) -> list[str]:
    """Return what a model writes for each source.

    Args:
        loaded: the model.
        sources: of each example.
        context: beams, and tokens that may be written.
        params: how prompts are made; what the model's config says of the task if they aren't given.

    Raises:
        StageError: the model wasn't fine-tuned for the task.
    """
    params = loaded.params(context.config.task) if params is None else params
    prompts = prompts_of(loaded, sources, params)
    texts = [""] * len(prompts)
    beams = context.config.num_beams
    reads_apart = loaded.model.config.is_encoder_decoder
    generation = GenerationConfig(
        do_sample=False,
        num_beams=beams,
        max_new_tokens=min(params["max_new_tokens"], context.config.max_target_length),
        eos_token_id=loaded.model.config.eos_token_id,
        pad_token_id=loaded.pad,
        **({"decoder_start_token_id": loaded.model.config.decoder_start_token_id} if reads_apart else {}),
    )

    def work(batch: list[int]) -> None:
        ids, mask = padded(
            [prompts[index] for index in batch], loaded.pad, "right" if reads_apart else "left"
        )
        output = loaded.model.generate(
            ids.to(loaded.device), attention_mask=mask.to(loaded.device), generation_config=generation
        )
        new = output if reads_apart else output[:, ids.shape[1] :]
        for index, text in zip(
            batch, loaded.tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
        ):
            texts[index] = text.strip()

    lengths = [(len(prompt) + params["max_new_tokens"]) * beams for prompt in prompts]
    run_batches(batches_by_length(lengths, TOKENS_AT_ONCE), work, context.watch, "texts")
    return texts


def _examples(labelled: Artifact, context: Context) -> list[Example]:
    return labelled_examples(labelled, "test", context.removed, context.config.max_generated)


def scored_texts(
    examples: Sequence[Example], texts: Sequence[str], context: Context, decoding: str = ""
) -> Scored:
    """Return the scores of texts; `decoding` tells in the signature how they were written."""
    language = context.config.target_language or context.config.tokens_of
    references = [PROMPTS[context.config.task].targets(example) for example in examples]
    signatures = signatures_of_texts(references, language)
    return scored_examples(
        examples,
        texts,
        statistics_of_texts(texts, references, language),
        {name: f"{signatures[name]}|{decoding}".rstrip("|") for name in TASK_METRICS[context.config.task]},
    )
