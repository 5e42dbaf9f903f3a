"""Text from a language model: a prompt in, its continuation out."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.evaluation.examples import Document
from lmtrain.evaluation.models import Loaded, choose_device, load, padded, single_threaded_operations
from lmtrain.text.segmentation import UNSPACED

PROMPTS = 5
PROMPT_WORDS = 8
PROMPT_CHARACTERS = 12
MAX_NEW_TOKENS = 60
TEMPERATURE = 0.8
TOP_K = 50


def generate(
    folder: Path,
    prompt: str,
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = TEMPERATURE,
    top_k: int = TOP_K,
    seed: int = 0,
) -> str:
    """Return a continuation of a prompt, without the prompt; the same one for the same seed.

    Args:
        folder: a local Hugging Face folder.
        prompt: the beginning of a document; may be empty.
        max_new_tokens: tokens to write at most; it ends sooner where the document does.
        temperature: 0 takes the likeliest token each time.
        top_k: only so many likeliest tokens are drawn from.
        seed: seed of the draws.

    Raises:
        RecipeError: a setting is out of its range.
        StageError: the folder is no causal language model with safetensors.
    """
    if max_new_tokens < 1 or temperature < 0 or top_k < 1:
        raise RecipeError("max_new_tokens and top_k must be at least 1, temperature at least 0")
    loaded = load(AutoModelForCausalLM, folder, choose_device(Resources()))
    return continuations(loaded, [prompt], max_new_tokens, temperature, top_k, seed)[0]


def continuations(
    loaded: Loaded, prompts: Sequence[str], max_new_tokens: int, temperature: float, top_k: int, seed: int
) -> list[str]:
    """Return a continuation of each prompt; they begin documents: the end token stands before them.

    A prompt too long for the model's context loses its beginning.
    """
    rows = [[loaded.end, *row] for row in loaded.encode(prompts, add_special_tokens=False)]
    longest = max(map(len, rows)) + max_new_tokens
    context = getattr(loaded.model.config, "max_position_embeddings", None) or longest
    max_new_tokens = min(max_new_tokens, context - 1)
    ids, mask = padded([row[-(context - max_new_tokens) :] for row in rows], loaded.pad, "left")
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": 1.0} if temperature else {}
    settings = GenerationConfig(
        do_sample=temperature > 0,
        max_new_tokens=max_new_tokens,
        eos_token_id=loaded.end,
        pad_token_id=loaded.pad,
        **sampling,
    )
    ids, mask = ids.to(loaded.device), mask.to(loaded.device)
    devices = [loaded.device] if loaded.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode(), single_threaded_operations():
        torch.manual_seed(seed)
        output = loaded.model.generate(ids, attention_mask=mask, generation_config=settings)
    texts = loaded.tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)
    return [text.rstrip("\ufffd") for text in texts]  # a character that was begun and not finished


def prompt_of(text: str, language: str) -> str:
    """Return the first words of a text, in Chinese and Japanese the first characters."""
    if language in UNSPACED:
        return text.strip()[:PROMPT_CHARACTERS]
    found = re.match(rf"\S+(?:\s+\S+){{0,{PROMPT_WORDS - 1}}}", text.strip())
    return found.group() if found else ""


def sample_continuations(
    loaded: Loaded, documents: Sequence[Document], language: str, seed: int
) -> list[dict[str, str]]:
    """Return continuations of the beginnings of a few documents: `[{"prompt", "continuation"}]`."""
    prompts = [prompt_of(document.text, language) for document in documents]
    prompts = list(dict.fromkeys(prompt for prompt in prompts if prompt))[:PROMPTS]
    if not prompts:  # nothing but empty documents
        return []
    texts = continuations(loaded, prompts, MAX_NEW_TOKENS, TEMPERATURE, TOP_K, seed)
    return [{"prompt": prompt, "continuation": text} for prompt, text in zip(prompts, texts, strict=True)]
