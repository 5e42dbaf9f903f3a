"""A pretraining: a model, an objective, and how it is trained."""

from typing import ClassVar, Literal

from pydantic import Field

from lmtrain.config import StageConfig
from lmtrain.modeling.config import ModelConfig
from lmtrain.training.config import TrainingConfig


class PretrainConfig(ModelConfig, TrainingConfig, StageConfig):
    """Model shape, objective and training, side by side in the recipe."""

    stage: ClassVar[str] = "pretrain"
    kind: ClassVar[str] = "model"

    objective: Literal["clm"] = Field(
        default="clm", description="What is learned: clm predicts the next token."
    )
    row_tokens: int = Field(default=512, ge=8, le=1 << 20, description="Tokens in a packed row.")
    max_steps: int = Field(default=600, ge=1, description="Optimizer steps.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return family, shape and objective, `llama-192x6-clm`."""
        return f"{self.architecture}-{self.hidden_size}x{self.num_hidden_layers}-{self.objective}"
