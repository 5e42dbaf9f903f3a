"""What the objectives of encoder-decoders share: sources and targets to a batch, and a batch to a loss."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.build import WIDTH_MULTIPLE
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.mlm import token_loss


def seq2seq_batch(
    sources: Sequence[np.ndarray], targets: Sequence[np.ndarray], pad: int, multiple: int = WIDTH_MULTIPLE
) -> Batch:
    """Pad sources and targets on the right.

    Args:
        sources: what the encoder reads, shape (tokens,) each.
        targets: what the decoder writes, shape (tokens,) each.
        pad: id of the padding token.
        multiple: of the widths.

    Returns:
        `input_ids` and `attention_mask`, shape (rows, longest source); `labels`, shape (rows, longest
        target).
    """
    inputs, labels = _stacked(sources, pad, multiple), _stacked(targets, IGNORED, multiple)
    mask = np.zeros(inputs.shape, dtype=np.int64)
    for index, source in enumerate(sources):
        mask[index, : len(source)] = 1
    batch = {"input_ids": inputs, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def seq2seq_loss(model: PreTrainedModel, batch: Batch, *, compiled: bool = False) -> Tensor:
    """Return the summed loss of the targets, shape (1,).

    Each is guessed from the source and the targets before it. The decoder begins with the model's
    `decoder_start_token_id`.
    """
    start, pad = model.config.decoder_start_token_id, model.config.pad_token_id
    read = model.get_encoder()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    hidden = model.get_decoder()(
        input_ids=shifted(batch["labels"], start, pad),
        encoder_hidden_states=read.last_hidden_state,
        encoder_attention_mask=batch["attention_mask"],
        use_cache=False,
    ).last_hidden_state
    labels = batch["labels"].flatten()
    places = torch.arange(len(labels), device=labels.device)
    return token_loss(model, hidden, places, labels, compiled=compiled)[None]


def shifted(labels: Tensor, start: int, pad: int) -> Tensor:
    """Return what a decoder reads to write the labels, shape (rows, T)."""
    before = labels.new_full(labels.shape, start)
    before[:, 1:] = labels[:, :-1]
    return before.masked_fill(before == IGNORED, pad)


def _stacked(rows: Sequence[np.ndarray], fill: int, multiple: int) -> np.ndarray:
    width = -(-max(map(len, rows)) // multiple) * multiple
    stacked = np.full((len(rows), width), fill, dtype=np.int64)
    for index, row in enumerate(rows):
        stacked[index, : len(row)] = row
    return stacked
