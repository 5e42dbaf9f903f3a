"""Families that Transformers doesn't have, made known to it: importing this module is enough.

Folders of these families are loaded by `AutoModel.from_pretrained` like any other, without code from
the folder.
"""

import warnings

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
)

from lmtrain.modeling import elmo, ulmfit

PREFIX = "lmtrain-"
"""Of the `model_type` of these families; what recipes call them stands behind it."""

MODELS = {
    ulmfit.UlmfitConfig: {
        AutoModel: ulmfit.UlmfitModel,
        AutoModelForPreTraining: ulmfit.UlmfitForCausalLM,
        AutoModelForCausalLM: ulmfit.UlmfitForCausalLM,
        AutoModelForSequenceClassification: ulmfit.UlmfitForSequenceClassification,
        AutoModelForTokenClassification: ulmfit.UlmfitForTokenClassification,
        AutoModelForQuestionAnswering: ulmfit.UlmfitForQuestionAnswering,
    },
    elmo.ElmoConfig: {
        AutoModel: elmo.ElmoModel,
        AutoModelForPreTraining: elmo.ElmoForPreTraining,
        AutoModelForCausalLM: elmo.ElmoForCausalLM,
        AutoModelForSequenceClassification: elmo.ElmoForSequenceClassification,
        AutoModelForTokenClassification: elmo.ElmoForTokenClassification,
        AutoModelForQuestionAnswering: elmo.ElmoForQuestionAnswering,
    },
}
"""By config and head."""

for _config, _models in MODELS.items():
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    for _head, _model in _models.items():
        _head.register(_config, _model, exist_ok=True)

# ELMo's layers are projected: on a CPU PyTorch then takes its own implementation, and says so.
warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")

IMPORT = "import lmtrain.modeling.own  # makes the family known to Transformers\n"
"""What Python code that uses a folder of these families begins with."""


def is_own(shape: PreTrainedConfig) -> bool:
    """Tell whether a config is of one of these families."""
    return shape.model_type.startswith(PREFIX)
