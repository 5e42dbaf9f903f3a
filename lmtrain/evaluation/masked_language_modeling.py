"""How well an encoder fills in a token that is hidden, from both sides of it.

The pseudo-perplexity of Salazar et al. 2020, on a sample of positions: each is masked
alone, within a window of tokens around it. It isn't a probability of the text, so it compares with other
encoders of the same vocabulary and with no decoder. The baseline knows how frequent each token is.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForMaskedLM

from lmtrain.encoding.rows import Row
from lmtrain.errors import StageError
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import (
    Document,
    flat_tokens,
    read_vocabulary,
    test_documents,
    token_tables,
    vocabulary_of,
)
from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.metrics import TASK_METRICS
from lmtrain.modeling.special_ids import special_ids

POSITIONS = 8
"""Tokens of a document that are masked, at even distances; fewer where it has fewer."""

WINDOW = 126
"""Tokens of the document that the model is given at once, the masked one in their middle."""

LOGITS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""


class Masked(NamedTuple):
    """A hidden token.

    Attributes:
        document: its index.
        place: its position in the document.
        start: first token of the window.
        stop: behind the last token of the window.
    """

    document: int
    place: int
    start: int
    stop: int


def masked_places(tokens: int, document: int, window: int) -> list[Masked]:
    """Return the positions of a document that are masked, each with the window around it."""
    count = min(POSITIONS, tokens)
    places = [(2 * number + 1) * tokens // (2 * count) for number in range(count)]
    return [masked_at(place, tokens, document, window) for place in places]


def masked_at(place: int, tokens: int, document: int, window: int) -> Masked:
    """Return a position with the window around it, which lies within the document."""
    start = max(0, min(place - window // 2, tokens - window))
    return Masked(document, place, start, min(tokens, start + window))


def score_model(shards: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a masked language model.

    Raises:
        StageError: the model has another vocabulary than the shards, or its tokenizer no mask.
    """
    documents = test_documents(shards, context.config.max_documents, context.removed)
    folder = system.folder("weights")
    if read_vocabulary(folder).entries != vocabulary_of(shards).entries:
        raise StageError(f"{system.address.label} has another vocabulary than the shards")
    loaded = context.load(AutoModelForMaskedLM, folder)
    window = window_of(loaded)
    masked = _masked(documents, window)
    nats, right = fill_in(loaded, [document.tokens for document in documents], masked, context)
    return _scored(documents, masked, nats, right, f"window:{window}")


def window_of(loaded: Loaded) -> int:
    """Return how many tokens of a text a model is given at once, the two that frame it left out."""
    return min(WINDOW, loaded.model.config.max_position_embeddings - 2)


def fill_in(
    loaded: Loaded, texts: Sequence[np.ndarray], masked: Sequence[Masked], context: Context
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nats of each masked token, and whether it was the likeliest, shapes (masked,).

    Args:
        loaded: a masked language model.
        texts: token ids of each document, no special tokens.
        masked: which tokens are hidden, and what the model sees around them.
        context: watch and threads.

    Raises:
        StageError: the tokenizer has no mask.
    """
    ids = special_ids(loaded.tokenizer, "the model")
    begin, end, mask = ids.begin, ids.end, ids.mask
    if mask is None:
        raise StageError("the model's tokenizer has no mask token, so nothing can be hidden from it")
    rows = []
    for one in masked:
        ids = np.concatenate([[begin], texts[one.document][one.start : one.stop], [end]]).astype(np.int64)
        ids[1 + one.place - one.start] = mask
        rows.append(Row({"input_ids": ids}))
    nats, right = np.zeros(len(rows)), np.zeros(len(rows))

    def work(batch: list[int]) -> None:
        places = torch.tensor([1 + masked[index].place - masked[index].start for index in batch])
        targets = torch.tensor([int(texts[masked[index].document][masked[index].place]) for index in batch])
        logits = loaded.model(**loaded.batch([rows[index] for index in batch])).logits.float().cpu()
        logits = logits[torch.arange(len(batch)), places]
        nats[batch] = functional.cross_entropy(logits, targets, reduction="none").numpy()
        right[batch] = (logits.argmax(dim=-1) == targets).numpy()

    batches = batches_by_length([row.tokens for row in rows], LOGITS_AT_ONCE)
    run_batches(batches, work, context.watch, "masked tokens", context.threads)
    return nats, right


def score_frequencies(shards: Artifact, context: Context) -> Scored:
    """Score how often each token stands in the training shards, with one added to each count."""
    documents = test_documents(shards, context.config.max_documents, context.removed)
    vocabulary = vocabulary_of(shards)
    counts = np.ones(vocabulary.size)
    for table in token_tables(shards, "train", context.removed):
        counts += np.bincount(flat_tokens(table)[0], minlength=vocabulary.size)
    nats = -np.log(counts / counts.sum())
    masked = _masked(documents, WINDOW)
    hidden = np.array([documents[one.document].tokens[one.place] for one in masked], dtype=np.int64)
    return _scored(documents, masked, nats[hidden], hidden == counts.argmax(), "smoothing:add one")


def _masked(documents: Sequence[Document], window: int) -> list[Masked]:
    lengths = [len(document.tokens) for document in documents]
    return [one for index, tokens in enumerate(lengths) for one in masked_places(tokens, index, window)]


def _scored(
    documents: Sequence[Document], masked: Sequence[Masked], nats: np.ndarray, right: np.ndarray, about: str
) -> Scored:
    where = [one.document for one in masked]
    columns = (nats, np.ones(len(masked)), right)
    sums = [np.bincount(where, weights=column, minlength=len(documents)) for column in columns]
    signature = f"positions:{POSITIONS} of a document|{about}"
    return Scored(
        ids=[document.id for document in documents],
        groups=[document.group for document in documents],
        predictions=[None] * len(documents),
        statistics=np.stack(sums, axis=1),
        signatures=dict.fromkeys(TASK_METRICS["masked_language_modeling"], signature),
        stats={"masked_tokens": len(masked)},
    )
