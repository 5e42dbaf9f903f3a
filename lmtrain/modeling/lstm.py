"""What LSTM language models are made of: a layer in one direction, dropout that a row keeps, order of tokens.

In: token vectors, shape (rows, T, width), and a mask that tells tokens from padding. Out: vectors of the same
rows. `ulmfit.py` and `elmo.py` make models of it.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel, initialization

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.special_ids import SpecialIds


class LstmConfig(PreTrainedConfig):
    """The shape of an LSTM language model; names are those of Transformers.

    Attributes:
        vocab_size: entries of the tokenizer.
        hidden_size: width of the embeddings, which the output layer shares.
        intermediate_size: cells of a layer.
        num_hidden_layers: layers one after the other.
        dropout: share of channels that a row loses at each layer, the same for all of its tokens.
        initializer_range: standard deviation of new embeddings. With a fifth of it an LSTM learns far
            slower, as what comes in hardly moves its gates.
    """

    vocab_size: int = 32_000
    hidden_size: int = 400
    intermediate_size: int = 1150
    num_hidden_layers: int = 3
    dropout: float = 0.0
    initializer_range: float = 0.25
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = False


def common_fields(config: ModelConfig, vocabulary: int, ids: SpecialIds) -> dict[str, Any]:
    """Return what the configs of all LSTM families have in common."""
    shape = config.shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "dropout": config.dropout,
        "bos_token_id": ids.end,
        "eos_token_id": ids.end,
        "pad_token_id": ids.pad,
    }


def label_layer(width: int, config: LstmConfig) -> nn.Linear:
    """Return what makes logits of a task's labels of vectors of a width."""
    assert config.num_labels is not None, "a config has two labels at least"
    return nn.Linear(width, config.num_labels)


class Recurrent(nn.Module):
    """A repeated block that goes from token to token.

    A compiler would unroll it into a step for each token, so it isn't compiled; nor is it worked out again in
    part, as its products change in place what was kept of them.
    """

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Change nothing."""


class Lstm(Recurrent):
    """One LSTM layer from the first token of a row to the last (Hochreiter and Schmidhuber 1997).

    `torch.nn.LSTM` keeps its weights in a second list, in which they can be neither dropped in part nor
    sharded; here they are parameters like any other. The forget gate begins open, with a bias of 1.
    """

    def __init__(self, inputs: int, cells: int, outputs: int, weight_drop: float = 0.0) -> None:
        """Make a layer whose weights are still to be drawn.

        Args:
            inputs: width of what goes in.
            cells: that remember.
            outputs: width of what comes out; where it isn't `cells`, they are projected (Sak et al. 2014).
            weight_drop: share of the weights from one token to the next that a forward pass of the training
                does without (Merity et al. 2018).
        """
        super().__init__()
        self.cells, self.outputs, self.weight_drop = cells, outputs, weight_drop
        self.weight_ih = nn.Parameter(torch.empty(4 * cells, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * cells, outputs))
        self.bias = nn.Parameter(torch.empty(4 * cells))
        self.weight_hr = nn.Parameter(torch.empty(outputs, cells)) if outputs != cells else None

    def forward(self, values: Tensor) -> Tensor:
        """Return what each token makes of those before it and of itself, shape (rows, T, outputs).

        Args:
            values: shape (rows, T, inputs).
        """
        recurrent = functional.dropout(self.weight_hh, self.weight_drop, self.training)
        weights = [self.weight_ih, recurrent, self.bias, torch.zeros_like(self.bias)]  # one bias is enough
        if self.weight_hr is not None:
            weights.append(self.weight_hr)
        begin = [values.new_zeros(1, len(values), width) for width in (self.outputs, self.cells)]
        return torch.lstm(values, begin, weights, True, 1, 0.0, self.training, False, True)[0]

    def draw(self) -> None:
        """Draw the weights that weren't loaded: uniform, as `torch.nn.LSTM` draws them."""
        bound = self.cells**-0.5
        for weight in (self.weight_ih, self.weight_hh, self.weight_hr):
            if weight is not None:
                initialization.uniform_(weight, -bound, bound)
        forget = torch.zeros_like(self.bias)
        forget[self.cells : 2 * self.cells] = 1.0
        initialization.copy_(self.bias, forget)


class LstmModel(PreTrainedModel):
    """What all models of LSTMs have in common: how their weights are drawn, and where the embeddings are."""

    config_class = LstmConfig
    config: Any
    supports_gradient_checkpointing = False

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Lstm):
            module.draw()
        elif isinstance(module, nn.Linear):
            initialization.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def get_input_embeddings(self) -> nn.Module:
        """Return the embeddings."""
        base: Any = self.base_model
        return base.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Put others in their place."""
        base: Any = self.base_model
        base.embeddings = value

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """Say that generation has no keys and values to keep."""
        return False


def kept_dropout(values: Tensor, share: float, training: bool) -> Tensor:
    """Drop channels of a row, the same ones for all its tokens (Gal and Ghahramani 2016).

    Args:
        values: shape (rows, T, width).
        share: of the channels.
        training: nothing is dropped otherwise.
    """
    if not training or not share:
        return values
    return values * functional.dropout(values.new_ones(len(values), 1, values.shape[2]), share)


def mask_or_ones(mask: Tensor | None, hidden: Tensor) -> Tensor:
    """Return a mask of whole numbers, shape (rows, T), of ones where there is none."""
    return hidden.new_ones(hidden.shape[:2], dtype=torch.long) if mask is None else mask.long()


def tokens_first(mask: Tensor) -> Tensor:
    """Return the places of each row's tokens in their order, then those of its padding, shape (rows, T).

    Padding may stand on either side of the tokens; an LSTM may meet it behind them alone.
    """
    return mask.argsort(dim=1, descending=True, stable=True)


def backwards(mask: Tensor) -> Tensor:
    """Return the places of each row's tokens from the last to the first, then those of its padding."""
    forwards, lengths = tokens_first(mask), mask.sum(dim=1, keepdim=True)
    place = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    return forwards.gather(1, torch.where(place < lengths, lengths - 1 - place, place))


def ordered(values: Tensor, places: Tensor) -> Tensor:
    """Return the vectors that stand at these places, shape (rows, T, width)."""
    return values.gather(1, places.unsqueeze(2).expand_as(values))


def put_back(values: Tensor, places: Tensor) -> Tensor:
    """Return vectors in the order that they had before `ordered`."""
    return ordered(values, places.argsort(dim=1))
