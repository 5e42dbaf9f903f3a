"""What fits what: which objectives train which families, on which rows. Torch-free, so that plans can ask.

`lmtrain/modeling/README.md` has it as a table, made from here by `make readme-tables`.
"""

from dataclasses import dataclass
from typing import Literal

from lmtrain.modeling.sizes import BOTH_DIRECTIONS, DECODERS, ENCODER_DECODERS, ENCODERS, RECURRENT

Packing = Literal["concatenate", "best_fit", "none"]
Head = Literal["causal", "masked", "pairs", "replaced", "seq2seq", "bare", "both_directions"]


MASKS = ("bert", "roberta")
"""Tokenizers with a mask token."""

ANY = ("gpt2", "bert", "roberta", "t5")


@dataclass(frozen=True)
class Fits:
    """What an objective asks for.

    Attributes:
        families: that it trains.
        head: which head their models have.
        packings: how rows may be made of documents, the usual one first.
        starts: columns that the shards must have, by the setting that asks for them (empty: always).
        special_tokens: tokenizers that have what it needs (`tokenize.special_tokens`).
    """

    families: tuple[str, ...]
    head: Head
    packings: tuple[Packing, ...]
    starts: tuple[tuple[str, str], ...] = ()
    special_tokens: tuple[str, ...] = MASKS

    def head_of(self, family: str) -> Head:
        """Return the head of a family's model: a student's is that of its kind."""
        return "causal" if self.head == "masked" and family in DECODERS else self.head


_ATTENDING = tuple(family for family in DECODERS if family not in RECURRENT)
"""Decoders that keep the documents of a row apart, as distillation asks it of compiled models."""

WORDS = (("whole_words", "word_starts"),)
SENTENCES = (("", "sentence_starts"),)

OBJECTIVES: dict[str, Fits] = {
    "clm": Fits(DECODERS, "causal", ("concatenate", "best_fit", "none"), (), ANY),
    "bilm": Fits(BOTH_DIRECTIONS, "both_directions", ("none",), (), ANY),
    "mlm": Fits(ENCODERS, "masked", ("best_fit", "none"), WORDS),
    "mlm_nsp": Fits(("bert",), "pairs", ("none",), SENTENCES + WORDS),
    "mlm_sop": Fits(("albert", "bert"), "pairs", ("none",), SENTENCES + WORDS),
    "rtd": Fits(("electra",), "replaced", ("best_fit", "none"), WORDS),
    "span_corruption": Fits(ENCODER_DECODERS, "seq2seq", ("none",), (), ("t5",)),
    "denoising": Fits(ENCODER_DECODERS, "seq2seq", ("none",), (("permute_sentences", "sentence_starts"),)),
    "gap_sentences": Fits(ENCODER_DECODERS, "seq2seq", ("none",), SENTENCES),
    "contrastive": Fits((*ENCODERS, *DECODERS, *BOTH_DIRECTIONS), "bare", ("none",), (), ANY),
    "distillation": Fits((*ENCODERS, *_ATTENDING), "masked", ("best_fit", "none"), WORDS, ANY),
}
"""By name, as recipes have them."""

TaskHead = Literal["sequence_classification", "token_classification", "question_answering", "text", "bare"]


@dataclass(frozen=True)
class TaskFits:
    """What a task asks for.

    Attributes:
        families: whose models can be fine-tuned for it.
        head: which head they get; `text` that of a language model.
    """

    families: tuple[str, ...]
    head: TaskHead

    @property
    def has_new_head(self) -> bool:
        """Whether the head is made for the task, and not a part of the pretrained model."""
        return self.head not in ("text", "bare")


_WRITES = (*DECODERS, *ENCODER_DECODERS)
_READS = (*ENCODERS, *DECODERS, *BOTH_DIRECTIONS)

TASKS: dict[str, TaskFits] = {
    "classification": TaskFits((*_READS, "t5", "bart"), "sequence_classification"),
    "multi_label": TaskFits((*_READS, "t5", "bart"), "sequence_classification"),
    "token_classification": TaskFits((*_READS, "t5"), "token_classification"),
    "question_answering": TaskFits(
        (*(family for family in _READS if family != "gemma"), "t5", "bart"), "question_answering"
    ),
    "generative_qa": TaskFits(_WRITES, "text"),
    "summarization": TaskFits(_WRITES, "text"),
    "translation": TaskFits(_WRITES, "text"),
    "generation": TaskFits(_WRITES, "text"),
    "dialogue": TaskFits(_WRITES, "text"),
    "similarity": TaskFits(_READS, "bare"),
    "retrieval": TaskFits(_READS, "bare"),
}
"""By name: families for which Transformers (5.23), or our own models, have the head."""

JOINT_TASKS = tuple(name for name, fits in TASKS.items() if fits.head != "text" and name != "retrieval")
"""Tasks that can share a body: each has a head beside it. Retrieval compares all rows of a whole batch."""

TOLD_TASKS = (
    *("classification", "multi_label", "question_answering", "similarity"),
    *(name for name, fits in TASKS.items() if fits.head == "text"),
)
"""Tasks that can be told as a text to another."""

SEVERAL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "joint": (tuple(family for family in _READS if family not in RECURRENT), JOINT_TASKS),
    "text_to_text": (_WRITES, TOLD_TASKS),
}
"""Fine-tunings for several tasks: their families, and the tasks that they may have."""

UNPACKED = frozenset({"bloom", *ENCODER_DECODERS, *RECURRENT})
"""Families that can't keep the documents of a row apart."""


def packings_of(objective: str, family: str) -> tuple[Packing, ...]:
    """Return how rows may be made for an objective and a family, the usual way first."""
    return ("none",) if family in UNPACKED else OBJECTIVES[objective].packings


def objectives_of(family: str) -> list[str]:
    """Return the objectives that train a family."""
    return [name for name, fits in OBJECTIVES.items() if family in fits.families]
