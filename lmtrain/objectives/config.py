"""Which objective, and its settings."""

from typing import Literal

from pydantic import Field

from lmtrain.config import Config

ObjectiveName = Literal[
    "clm", "bilm", "mlm", "mlm_nsp", "mlm_sop", "rtd", "span_corruption", "denoising", "gap_sentences",
    "contrastive", "distillation",
]  # fmt: skip


class ObjectiveConfig(Config):
    """What a model learns from documents."""

    objective: ObjectiveName = Field(
        default="clm",
        description="clm predicts the next token; bilm that and the one before; mlm masked ones; mlm_nsp and "
        "mlm_sop also whether a second segment follows, or comes in order; rtd which tokens were replaced; "
        "span_corruption and denoising what was taken out; gap_sentences whole sentences; contrastive which "
        "two are the same; distillation what a teacher says.",
    )
    mlm_probability: float = Field(
        default=0.15, ge=0, lt=1, description="Share of tokens that are masked one by one, or in words."
    )
    noise_density: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of tokens that are taken out in spans; 0.15 if empty, for denoising 0.3.",
    )
    whole_words: bool = Field(
        default=False, description="Mask words as a whole (of jieba in Chinese); needs tokenize.word_starts."
    )
    mean_span_length: float = Field(
        default=3.0, ge=1, le=100, description="Mean length of spans that are taken out, in tokens."
    )
    permute_sentences: bool = Field(
        default=True, description="denoising: put sentences in another order; needs tokenize.sentence_starts."
    )
    gap_ratio: float = Field(
        default=0.3, gt=0, lt=1, description="gap_sentences: share of sentences that are taken out."
    )
    generator_share: float = Field(
        default=0.25, gt=0, le=1, description="rtd: width of the generator as a share of the model's."
    )
    replaced_token_weight: float = Field(
        default=50.0, gt=0, description="rtd: weight of the discriminator's loss beside the generator's."
    )
    temperature: float = Field(
        default=0.05, gt=0, description="contrastive: divides similarities; smaller is sharper."
    )
    pooling: Literal["first", "mean"] = Field(
        default="mean", description="contrastive: a text's vector is that of its first token, or their mean."
    )
    distillation_temperature: float = Field(
        default=2.0, gt=0, description="distillation: softens what teacher and student say."
    )
    distillation_weight: float = Field(
        default=0.5, ge=0, le=1, description="distillation: share of the teacher's targets beside the text's."
    )
    cosine_weight: float = Field(
        default=0.0, ge=0, description="distillation: weight of the angle between last hidden states."
    )
    router_balance: float = Field(
        default=0.01, ge=0, lt=1, description="Mixtral: weight of the loss that spreads tokens over experts."
    )
    z_loss: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Weight of the squared log-normalizer in the loss of clm; 1e-4 is usual.",
    )
