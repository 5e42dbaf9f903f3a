"""The last part of a language model in two steps, so that logits needn't ever stand whole.

In: a model with a language modeling head, and hidden states. Out: features of
these tokens, and the output layer that makes logits of them.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the layer that makes logits of features; its weight has the shape (vocabulary, width)."""
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Linear), "a language model has a head"
    return head


def output_bias(model: PreTrainedModel) -> Tensor | None:
    """Return what is added to the logits, shape (vocabulary,); None for nothing.

    BART's next of kin keep a buffer for it, which some published Marian models use.
    """
    extra = getattr(model, "final_logits_bias", None)
    own = output_layer(model).bias
    return own if extra is None else extra.squeeze(0)


def features_of(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Return what the output layer is given.

    Args:
        model: a language model, causal, masked or an encoder-decoder.
        hidden: last hidden states of any tokens, shape (..., hidden_size).

    Returns:
        Shape (..., width of the output layer).
    """
    transform = _TRANSFORMS.get(model.config.model_type)
    return hidden if transform is None else transform(model, hidden)


def _roberta(model: Any, hidden: Tensor) -> Tensor:
    head = model.lm_head
    return head.layer_norm(functional.gelu(head.dense(hidden)))


def _albert(model: Any, hidden: Tensor) -> Tensor:
    head = model.predictions
    return head.LayerNorm(head.activation(head.dense(hidden)))


def _distilbert(model: Any, hidden: Tensor) -> Tensor:
    return model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))


def _t5(model: Any, hidden: Tensor) -> Tensor:
    """T5 scales features where input and output share their embeddings (Raffel et al. 2020)."""
    return hidden * model.model_dim**-0.5 if model.config.scale_decoder_outputs else hidden


_TRANSFORMS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "bert": lambda model, hidden: model.cls.predictions.transform(hidden),
    "roberta": _roberta,
    "albert": _albert,
    "distilbert": _distilbert,
    "electra": lambda model, hidden: model.generator_predictions(hidden),
    "modernbert": lambda model, hidden: model.head(hidden),
    "t5": _t5,
}
"""What stands between the last layer and the output layer, by `model_type`; nothing in other families."""
