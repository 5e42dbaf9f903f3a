"""How surprised a causal language model is by documents: nats per document, every token scored once.

A document of tokens t1 … tn is scored as the model saw documents in training:
the end token stands before it, and the end token after it is predicted too. So
n + 1 tokens count, the probabilities of all finite documents sum to one, and a
document's nats are those of writing it and saying that it is over. Baselines
count the same n + 1 tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.watch import Watch

LOGITS_AT_ONCE = {"cpu": 8_000_000, "cuda": 256_000_000}
"""Elements of the logits of one batch: small ones stay in a CPU's cache and pad less, a GPU wants more."""

IGNORED = -100
"""Target that cross-entropy leaves out."""


class Window(NamedTuple):
    """A span of a document that is fed at once.

    Attributes:
        document: index of the document.
        start: first input position.
        stop: behind the last input position.
        scored_from: positions from here on count; those before are context only.
    """

    document: int
    start: int
    stop: int
    scored_from: int


def windows_of(positions: int, context: int, stride: int, document: int = 0) -> list[Window]:
    """Cut a document into windows so that every position is scored exactly once.

    The first window scores all its positions; each later one scores what is new,
    behind `context - stride` positions of context.

    Args:
        positions: number of predictions in the document.
        context: positions that the model takes at once.
        stride: positions between two windows, at most `context`.
        document: index to write into the windows.
    """
    assert 0 < stride <= context, "windows must not leave gaps"
    windows = [Window(document, 0, min(positions, context), 0)]
    while windows[-1].stop < positions:
        last = windows[-1].stop
        windows.append(Window(document, last + stride - context, min(positions, last + stride), last))
    return windows


def document_nats(
    loaded: Loaded,
    documents: Sequence[np.ndarray],
    end: int,
    watch: Watch,
    *,
    context: int,
    stride: int,
    threads: int = 1,
) -> np.ndarray:
    """Return the nats of each document, the end token after it included.

    Args:
        loaded: a causal language model.
        documents: token ids, each of shape (tokens,).
        end: id of the token that stands before and after each document.
        watch: told the windows that are done.
        context: positions that the model takes at once.
        stride: positions between two windows of a long document.
        threads: batches at once; changes no result.

    Returns:
        Shape (documents,), float64.
    """
    framed = [np.concatenate([[end], tokens, [end]]) for tokens in documents]
    windows = [
        window
        for index, tokens in enumerate(framed)
        for window in windows_of(len(tokens) - 1, context, stride, index)
    ]
    losses = np.zeros(len(windows))
    batches = batches_by_length(
        [window.stop - window.start for window in windows],
        LOGITS_AT_ONCE[loaded.device.type] // loaded.model.config.get_text_config().vocab_size,
    )

    def score(batch: list[int]) -> None:
        losses[batch] = _losses(loaded, framed, [windows[index] for index in batch])

    run_batches(batches, score, watch, "windows", threads)
    return np.bincount([window.document for window in windows], weights=losses, minlength=len(documents))


def _losses(loaded: Loaded, framed: list[np.ndarray], windows: list[Window]) -> np.ndarray:
    """Return the nats of the scored positions of each window, shape (windows,)."""
    longest = max(window.stop - window.start for window in windows)
    inputs = torch.full((len(windows), longest), loaded.pad, dtype=torch.long)
    targets = torch.full((len(windows), longest), IGNORED, dtype=torch.long)
    for row, window in enumerate(windows):
        tokens = torch.from_numpy(framed[window.document])
        inputs[row, : window.stop - window.start] = tokens[window.start : window.stop]
        new = slice(window.scored_from - window.start, window.stop - window.start)
        targets[row, new] = tokens[window.scored_from + 1 : window.stop + 1]
    # No mask: padding stands right of what is scored, where a causal model can't see it.
    logits = loaded.model(input_ids=inputs.to(loaded.device), use_cache=False).logits
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(),
        targets.flatten().to(loaded.device),
        ignore_index=IGNORED,
        reduction="none",
    )
    return losses.view(targets.shape).double().sum(dim=1).cpu().numpy()
