"""ELMo: two language models, one for each direction, and a learned mix of their layers (Peters et al. 2018).

Both directions share embeddings and output layer. Tokens are those of the tokenizer where ELMo
built words from characters; the embeddings are the output layer, too.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, initialization
from transformers.modeling_outputs import (
    BaseModelOutput,
    CausalLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import ModelOutput

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.lstm import (
    Lstm,
    LstmConfig,
    LstmModel,
    Recurrent,
    backwards,
    common_fields,
    kept_dropout,
    label_layer,
    mask_or_ones,
    ordered,
    put_back,
    tokens_first,
)
from lmtrain.modeling.pooling import pooled
from lmtrain.modeling.special_ids import SpecialIds


class ElmoConfig(LstmConfig):
    """Shape of an ELMo; vectors of a token are twice `hidden_size` wide, one half for each direction."""

    model_type = "lmtrain-elmo"
    hidden_size: int = 512
    intermediate_size: int = 4096
    num_hidden_layers: int = 2


def elmo(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> ElmoConfig:
    """ELMo: LSTMs in both directions, whose many cells are projected to the width of the embeddings."""
    return ElmoConfig(**common_fields(config, vocabulary, ids))


class ElmoLayer(Recurrent):
    """One layer of each direction; they don't see each other."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__()
        width, cells = config.hidden_size, config.intermediate_size
        self.left_to_right = Lstm(width, cells, width)
        self.right_to_left = Lstm(width, cells, width)

    def forward(self, forwards: Tensor, backwards: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors of both, each as its direction reads, shape (rows, T, width)."""
        return self.left_to_right(forwards), self.right_to_left(backwards)


class ElmoPreTrainedModel(LstmModel):
    """What models of this family have in common."""

    config_class = ElmoConfig
    base_model_prefix = "elmo"

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, LayerMix):
            module.draw()


class ElmoModel(ElmoPreTrainedModel):
    """Embeddings and layers: token ids to vectors of both directions, side by side."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(ElmoLayer(config) for _ in range(config.num_hidden_layers))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **unused: Any,
    ) -> BaseModelOutput:
        """Return what each token makes of those before it, and beside it of those behind it, and of itself.

        Args:
            input_ids: shape (rows, T).
            attention_mask: 1 beside tokens, 0 beside padding before or behind them, shape (rows, T).
            inputs_embeds: vectors instead of `input_ids`, shape (rows, T, hidden_size).
            output_hidden_states: return the embeddings and every layer's vectors, too.
            **unused: what other families take: positions, segments, a cache.

        Returns:
            Vectors of shape (rows, T, 2 hidden_size).
        """
        values = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        values = kept_dropout(values, self.config.dropout, self.training)
        mask = mask_or_ones(attention_mask, values)
        places = tokens_first(mask), backwards(mask)
        read = [ordered(values, one) for one in places]
        states = [torch.cat([values, values], dim=2)]
        for number, layer in enumerate(self.layers):
            made = [kept_dropout(one, self.config.dropout, self.training) for one in layer(*read)]
            read = [new + old for new, old in zip(made, read, strict=True)] if number else made
            states.append(torch.cat([put_back(*one) for one in zip(read, places, strict=True)], dim=2))
        every = tuple(states) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=every)


@dataclass
class BothDirectionsOutput(ModelOutput):
    """What a model of both directions says.

    Attributes:
        logits: of what follows each token, shape (rows, T, vocab_size).
        backward_logits: of what stands before it.
    """

    logits: Tensor | None = None
    backward_logits: Tensor | None = None


class ElmoForPreTraining(ElmoPreTrainedModel):
    """Both language models; their output layer is the embeddings."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.elmo = ElmoModel(config)
        self._tied_weights_keys = {"lm_head.weight": "elmo.embeddings.weight"}
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids: Tensor | None = None, **given: Any) -> BothDirectionsOutput:
        """Return logits of what follows each token and of what stands before it."""
        after, before = self.elmo(input_ids, **given).last_hidden_state.chunk(2, dim=2)
        return BothDirectionsOutput(logits=self.lm_head(after), backward_logits=self.lm_head(before))


class ElmoForCausalLM(ElmoForPreTraining, GenerationMixin):
    """The language model from left to right alone, to be scored as others are."""

    def forward(self, input_ids: Tensor | None = None, **given: Any) -> CausalLMOutput:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return logits of what follows each token, shape (rows, T, vocab_size)."""
        after, _ = self.elmo(input_ids, **given).last_hidden_state.chunk(2, dim=2)
        return CausalLMOutput(logits=self.lm_head(after))


class LayerMix(nn.Module):
    """A learned mean of the layers, times a learned factor (section 3.2, equation 1)."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(config.num_hidden_layers + 1))
        self.factor = nn.Parameter(torch.ones(1))

    def draw(self) -> None:
        """Begin with the plain mean, where nothing was loaded."""
        initialization.zeros_(self.weights)
        initialization.ones_(self.factor)

    def forward(self, states: tuple[Tensor, ...]) -> Tensor:
        """Return one vector for each token, shape (rows, T, width).

        Args:
            states: embeddings and layers, each of that shape.
        """
        shares = self.weights.softmax(dim=0)
        return self.factor * sum(share * state for share, state in zip(shares, states, strict=True))


class ElmoTaskModel(ElmoPreTrainedModel):
    """A task's model: its head stands on the mix of all layers."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.elmo = ElmoModel(config)
        self.mix = LayerMix(config)
        self.dropout = nn.Dropout(config.dropout)

    def features(self, input_ids: Tensor | None, attention_mask: Tensor | None, **given: Any) -> Tensor:
        """Return the mix of each token's layers, shape (rows, T, 2 hidden_size)."""
        given["output_hidden_states"] = True
        return self.dropout(self.mix(self.elmo(input_ids, attention_mask, **given).hidden_states))


class ElmoForSequenceClassification(ElmoTaskModel):
    """A classifier over the mean of the tokens."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.classifier = label_layer(2 * config.hidden_size, config)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **given: Any
    ) -> SequenceClassifierOutput:
        """Return logits of the labels, shape (rows, labels)."""
        mixed = self.features(input_ids, attention_mask, **given)
        vectors = pooled(mixed, mask_or_ones(attention_mask, mixed), "mean")
        return SequenceClassifierOutput(logits=self.classifier(vectors))


class ElmoForTokenClassification(ElmoTaskModel):
    """A label for each token."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.classifier = label_layer(2 * config.hidden_size, config)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **given: Any
    ) -> TokenClassifierOutput:
        """Return logits of the labels, shape (rows, T, labels)."""
        return TokenClassifierOutput(
            logits=self.classifier(self.features(input_ids, attention_mask, **given))
        )


class ElmoForQuestionAnswering(ElmoTaskModel):
    """Where an answer begins and ends."""

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__(config)
        self.qa_outputs = nn.Linear(2 * config.hidden_size, 2)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **given: Any
    ) -> QuestionAnsweringModelOutput:
        """Return logits of both places, shape (rows, T) each."""
        begins, ends = self.qa_outputs(self.features(input_ids, attention_mask, **given)).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=begins, end_logits=ends)
