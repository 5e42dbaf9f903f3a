"""What determines a training, whatever it is run on. Names are those of Transformers' TrainingArguments."""

from typing import Literal

from pydantic import Field, model_validator

from lmtrain.config import Config

OptimizerName = Literal["adamw", "muon", "adafactor", "adamw_8bit"]
ScheduleName = Literal["cosine", "linear", "constant", "warmup_stable_decay"]


class TrainingConfig(Config):
    """Optimizer, schedule, precision, batch, and when to look at the validation set."""

    optimizer: OptimizerName = Field(
        default="adamw",
        description="AdamW; Muon for hidden matrices with AdamW for the rest; with less memory, Adafactor, "
        "or AdamW whose matrices have their moments in eight bits.",
    )
    learning_rate: float = Field(
        default=1e-3, gt=0, lt=10, description="Peak rate (with Muon that of the hidden matrices)."
    )
    adam_learning_rate: float = Field(
        default=3e-3, gt=0, lt=10, description="With Muon: the rate of what AdamW trains."
    )
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's first decay.")
    adam_beta2: float = Field(default=0.95, ge=0, lt=1, description="AdamW's second decay.")
    weight_decay: float = Field(default=0.1, ge=0, description="Decoupled decay of matrices.")
    decay_embeddings: bool = Field(
        default=True, description="Whether embeddings decay as the other matrices do; vectors never do."
    )
    max_grad_norm: float = Field(default=1.0, gt=0, description="Gradients are clipped to this global norm.")
    max_loss_deviations: float = Field(
        default=6.0, gt=0, description="Standard deviations above the last losses from which one is a spike."
    )
    skip_loss_spikes: bool = Field(
        default=False, description="Leave the weights as they are at a spike, which is logged in any case."
    )
    lr_scheduler_type: ScheduleName = Field(
        default="cosine", description="How the rate falls after the warmup."
    )
    decay_ratio: float = Field(
        default=0.2, gt=0, le=1, description="With warmup_stable_decay: share of steps in which it falls."
    )
    warmup_ratio: float = Field(
        default=0.05, ge=0, lt=1, description="Share of steps in which the rate rises."
    )
    min_lr_ratio: float = Field(default=0.1, ge=0, le=1, description="Last rate as a share of the peak.")
    precision: Literal["fp32", "bf16", "fp8"] = Field(
        default="bf16",
        description="Of the matrix products. fp8 is for the layers' products, on GPUs that have it.",
    )
    train_batch_size: int = Field(default=64, ge=1, description="Rows in a global batch, over all workers.")
    batch_ramp_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Share of steps over which the batch grows to its full size."
    )
    batch_ramp_start: int = Field(default=8, ge=1, description="With a ramp: rows in the first batch.")
    eval_steps: int = Field(default=100, ge=1, description="Steps between two looks at the validation set.")
    max_eval_rows: int = Field(
        default=512, ge=1, description="Validation rows in a look, the same each time."
    )
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="Looks without improvement after which to stop; never if empty."
    )
    seed: int = Field(default=0, ge=0, description="Of initial weights, data order and everything random.")

    @model_validator(mode="after")
    def _batch_grows(self) -> "TrainingConfig":
        if self.batch_ramp_ratio and self.batch_ramp_start > self.train_batch_size:
            raise ValueError(
                f"batch_ramp_start {self.batch_ramp_start} must be at most "
                f"train_batch_size {self.train_batch_size}"
            )
        return self
