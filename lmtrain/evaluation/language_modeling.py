"""Language models on the test documents: a model of ours, bigrams, and xz, all in the same units.

A document's statistics are nats, tokens and bytes. Bits per byte compares
systems of any tokenizer; perplexity counts per token, the end token included.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from transformers import AutoModelForCausalLM

from lmtrain.errors import StageError
from lmtrain.evaluation.bigram import BigramModel, with_end_tokens
from lmtrain.evaluation.compression import xz_bytes
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import (
    Document,
    Vocabulary,
    flat_tokens,
    read_vocabulary,
    test_documents,
    token_tables,
    vocabulary_of,
)
from lmtrain.evaluation.generation import sample_continuations
from lmtrain.evaluation.perplexity import document_nats
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.text.segmentation import resolved, words

CONTEXT = 2048
"""Positions that a model is given at once at most, were it made for more."""


def score_model(shards: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a causal language model, and let it continue a few prompts.

    Raises:
        StageError: the model has another vocabulary than the shards.
    """
    documents = test_documents(shards, context.config.max_documents, context.removed)
    vocabulary = vocabulary_of(shards)
    folder = system.folder("weights")
    if read_vocabulary(folder).entries != vocabulary.entries:
        raise StageError(
            f"{system.address.label} has another vocabulary than the shards {shards.address.label}: "
            "tokenize the documents with the model's tokenizer"
        )
    loaded = context.load(AutoModelForCausalLM, folder)
    positions = min(CONTEXT, getattr(loaded.model.config, "max_position_embeddings", CONTEXT))
    stride = max(1, positions // 2)
    tokens = [document.tokens for document in documents]
    nats = document_nats(
        loaded,
        tokens,
        vocabulary.end,
        context.watch,
        context=positions,
        stride=stride,
        threads=context.threads,
    )
    signature = f"{_about(vocabulary)}|context:{positions}|stride:{stride}"
    scored = _scored(documents, nats, _lengths(documents), signature, context)
    generated = sample_continuations(loaded, documents, context.config.tokens_of, context.config.seed)
    return replace(scored, generated=generated)


def score_bigram(shards: Artifact, context: Context) -> Scored:
    """Score an interpolated bigram model of the training shards."""
    documents = test_documents(shards, context.config.max_documents, context.removed)
    vocabulary = vocabulary_of(shards)
    streams = (
        with_end_tokens(*flat_tokens(table), vocabulary.end)
        for table in token_tables(shards, "train", context.removed)
    )
    model = BigramModel(streams, vocabulary.size, vocabulary.end)
    nats = np.array([model.nats(document.tokens, vocabulary.end) for document in documents])
    signature = f"{_about(vocabulary)}|smoothing:witten-bell"
    return _scored(documents, nats, _lengths(documents), signature, context)


def score_xz(shards: Artifact, context: Context) -> Scored:
    """Score xz on the test text alone; it knows no tokens, so it has no perplexity."""
    documents = test_documents(shards, context.config.max_documents, context.removed)
    nats = xz_bytes([document.text for document in documents]) * 8 * np.log(2)
    signature = "preset:9e|stream:all documents|end:counted"
    return _scored(documents, nats, None, signature, context)


def _about(vocabulary: Vocabulary) -> str:
    return f"vocabulary:{vocabulary.size}|start:end token|end:counted"


def _lengths(documents: Sequence[Document]) -> np.ndarray:
    return np.array([len(document.tokens) + 1 for document in documents])


def _scored(
    documents: Sequence[Document],
    nats: np.ndarray,
    tokens: np.ndarray | None,
    signature: str,
    context: Context,
) -> Scored:
    """Return what follows from nats and tokens of each document; no tokens, no perplexity of them."""
    language = context.config.tokens_of
    sizes = np.array([document.bytes for document in documents])
    counts = np.array([len(words(document.text, language)) for document in documents])
    signatures = {"bits_per_byte": signature}
    if tokens is not None:
        signatures["perplexity"] = signature
    signatures["word_perplexity"] = f"{signature}|words:{resolved('default', language)}"
    tokens = np.zeros(len(documents)) if tokens is None else tokens
    return Scored(
        ids=[document.id for document in documents],
        groups=[document.group for document in documents],
        predictions=[None] * len(documents),
        statistics=np.stack([nats, tokens, sizes, counts], axis=1).astype(np.float64),
        signatures=signatures,
        stats={"tokens": int(tokens.sum()), "bytes": int(sizes.sum())},
    )
