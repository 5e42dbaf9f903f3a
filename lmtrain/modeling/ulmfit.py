"""ULMFiT's language model, the AWD-LSTM, and its heads (Merity et al. 2018; Howard and Ruder 2018).

Rows are read from left to right. Regularization is that of the AWD-LSTM: dropout whose mask a row
keeps, and weights from one token to the next that are dropped. Averaged gradient descent isn't
taken over, as optimizers belong to the training, nor is batch normalization in the classifier:
what it computes of an example would depend on how many stand beside it.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.modeling_outputs import (
    BaseModelOutput,
    CausalLMOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.lstm import (
    Lstm,
    LstmConfig,
    LstmModel,
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

CLASSIFIER_WIDTH = 50
"""Of the hidden layer of the classifier (Howard and Ruder 2018, section 4.1)."""


class UlmfitConfig(LstmConfig):
    """Shape of an AWD-LSTM.

    Attributes:
        weight_drop: share of the weights from one token to the next that are dropped in training.
    """

    model_type = "lmtrain-ulmfit"
    weight_drop: float = 0.0


def ulmfit(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> UlmfitConfig:
    """ULMFiT: an LSTM from left to right, its last layer as wide as the embeddings, which say the tokens."""
    return UlmfitConfig(weight_drop=config.weight_drop, **common_fields(config, vocabulary, ids))


class UlmfitPreTrainedModel(LstmModel):
    """What models of this family have in common."""

    config_class = UlmfitConfig
    base_model_prefix = "ulmfit"


class UlmfitModel(UlmfitPreTrainedModel):
    """Embeddings and layers: token ids to vectors."""

    def __init__(self, config: UlmfitConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        inner = [config.intermediate_size] * (config.num_hidden_layers - 1)
        widths = [config.hidden_size, *inner, config.hidden_size]
        self.layers = nn.ModuleList(
            Lstm(before, width, width, config.weight_drop) for before, width in pairwise(widths)
        )
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **unused: Any,
    ) -> BaseModelOutput:
        """Return what each token makes of those before it and of itself.

        Args:
            input_ids: shape (rows, T).
            attention_mask: 1 beside tokens, 0 beside padding before or behind them, shape (rows, T).
            inputs_embeds: vectors instead of `input_ids`, shape (rows, T, hidden_size).
            output_hidden_states: return the embeddings and every layer's vectors, too.
            **unused: what other families take: positions, segments, a cache.
        """
        values = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        places = None if attention_mask is None else tokens_first(attention_mask)
        values = values if places is None else ordered(values, places)
        states = [kept_dropout(values, self.config.dropout, self.training)]
        for layer in self.layers:
            states.append(kept_dropout(layer(states[-1]), self.config.dropout, self.training))
        if places is not None:
            states = [put_back(one, places) for one in states]
        every = tuple(states) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=every)


class UlmfitForCausalLM(UlmfitPreTrainedModel, GenerationMixin):
    """The language model; its output layer is the embeddings."""

    def __init__(self, config: UlmfitConfig) -> None:
        super().__init__(config)
        self.ulmfit = UlmfitModel(config)
        self._tied_weights_keys = {"lm_head.weight": "ulmfit.embeddings.weight"}
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids: Tensor | None = None, **given: Any) -> CausalLMOutput:
        """Return logits of what follows each token, shape (rows, T, vocab_size)."""
        return CausalLMOutput(logits=self.lm_head(self.ulmfit(input_ids, **given).last_hidden_state))


class UlmfitForSequenceClassification(UlmfitPreTrainedModel):
    """A classifier over the last vector, the largest and the mean (section 3.3, concat pooling)."""

    def __init__(self, config: UlmfitConfig) -> None:
        super().__init__(config)
        self.ulmfit = UlmfitModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(3 * config.hidden_size, CLASSIFIER_WIDTH)
        self.classifier = label_layer(CLASSIFIER_WIDTH, config)
        self.post_init()

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **given: Any
    ) -> SequenceClassifierOutput:
        """Return logits of the labels, shape (rows, labels)."""
        hidden = self.ulmfit(input_ids, attention_mask, **given).last_hidden_state
        mask = mask_or_ones(attention_mask, hidden)
        largest = hidden.masked_fill(mask.unsqueeze(2) == 0, torch.finfo(hidden.dtype).min).amax(dim=1)
        parts = [pooled(hidden, mask, "last"), largest, pooled(hidden, mask, "mean")]
        inner = self.dense(self.dropout(torch.cat(parts, dim=1))).relu()
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(inner)))


class UlmfitForTokenClassification(UlmfitPreTrainedModel):
    """A label for each token."""

    def __init__(self, config: UlmfitConfig) -> None:
        super().__init__(config)
        self.ulmfit = UlmfitModel(config)
        self.classifier = label_layer(config.hidden_size, config)
        self.post_init()

    def forward(self, input_ids: Tensor | None = None, **given: Any) -> TokenClassifierOutput:
        """Return logits of the labels, shape (rows, T, labels)."""
        return TokenClassifierOutput(
            logits=self.classifier(self.ulmfit(input_ids, **given).last_hidden_state)
        )


class UlmfitForQuestionAnswering(UlmfitPreTrainedModel):
    """Where an answer begins and ends."""

    def __init__(self, config: UlmfitConfig) -> None:
        super().__init__(config)
        self.ulmfit = UlmfitModel(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    def forward(self, input_ids: Tensor | None = None, **given: Any) -> QuestionAnsweringModelOutput:
        """Return logits of both places, shape (rows, T) each."""
        begins, ends = self.qa_outputs(self.ulmfit(input_ids, **given).last_hidden_state).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=begins, end_logits=ends)
