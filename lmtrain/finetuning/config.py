"""A fine-tuning for each task, or for several: the same training settings, the task's own beside them."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.config import Config
from lmtrain.finetuning.general_config import FinetuneConfig, check_room
from lmtrain.finetuning.several_config import JointConfig, SeveralConfig, TextMixtureConfig


class ClassificationConfig(FinetuneConfig):
    """A text, or two, to one of a few labels."""

    task: ClassVar[str] = "classification"

    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: a rare label counts as much as a frequent one."
    )


class MultiLabelConfig(FinetuneConfig):
    """A text to any number of labels."""

    task: ClassVar[str] = "multi_label"


class TokenClassificationConfig(FinetuneConfig):
    """A label for each word, such as the names in a sentence."""

    task: ClassVar[str] = "token_classification"


class QuestionAnsweringConfig(FinetuneConfig):
    """A question to the span of a context that answers it, if one does."""

    task: ClassVar[str] = "question_answering"

    max_length: int = Field(default=384, ge=16, description="Tokens of question and window together.")
    stride: int = Field(default=128, ge=0, description="Tokens that a window shares with the one before.")

    @model_validator(mode="after")
    def _windows_go_on(self) -> "QuestionAnsweringConfig":
        if self.stride > self.max_length // 4:
            raise ValueError(
                f"{self.name}: stride must be at most a quarter of max_length, {self.max_length // 4}, "
                f"not {self.stride}: half of a window may be the question"
            )
        return self


class TextToTextConfig(FinetuneConfig):
    """A text to another: a decoder goes on after it, an encoder-decoder reads it first."""

    max_length: int = Field(
        default=320,
        ge=8,
        description="Tokens of source and target together; of the source for an encoder-decoder.",
    )
    max_target_length: int = Field(default=48, ge=2, description="Tokens of a target at most.")
    prefix: str = Field(
        default="", max_length=200, description="Text before each source, such as `summarize: `."
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> "TextToTextConfig":
        check_room(self.name, self.max_length, self.max_target_length)
        return self


class SummarizationConfig(TextToTextConfig):
    """A document to its summary."""

    task: ClassVar[str] = "summarization"


class TranslationConfig(TextToTextConfig):
    """A text to the same in another language."""

    task: ClassVar[str] = "translation"


class GenerativeQaConfig(TextToTextConfig):
    """A question, with a context or without, to an answer in free words."""

    task: ClassVar[str] = "generative_qa"


class GenerationConfig(TextToTextConfig):
    """A prompt, or an instruction, to a response."""

    task: ClassVar[str] = "generation"


class DialogueConfig(TextToTextConfig):
    """The turns of a dialogue to the next one."""

    task: ClassVar[str] = "dialogue"


class VectorsConfig(FinetuneConfig):
    """Texts to vectors, which are near each other where the texts mean the same."""

    max_length: int = Field(default=128, ge=8, description="Tokens of a text; longer ones are cut.")
    pooling: Literal["first", "mean", "last"] = Field(
        default="mean", description="A text's vector is that of its first token, its last, or their mean."
    )


class SimilarityConfig(VectorsConfig):
    """Two texts to how much they mean the same: the cosine of their vectors."""

    task: ClassVar[str] = "similarity"

    best_score: float = Field(
        default=5.0, gt=0, description="Score of two texts that mean the same; 0 is the least."
    )


class RetrievalConfig(VectorsConfig):
    """A query to the passages that answer it, among many."""

    task: ClassVar[str] = "retrieval"

    temperature: float = Field(default=0.05, gt=0, description="Divides similarities; smaller is sharper.")

    @model_validator(mode="after")
    def _needs_the_others(self) -> "RetrievalConfig":
        if self.is_private:
            raise ValueError(
                f"{self.name}: retrieval has no differential_privacy: a query's loss follows from the other "
                "examples of the batch"
            )
        return self


class FinetuneSection(Config):
    """Fine-tunings by task, and those for several tasks."""

    classification: list[ClassificationConfig] = Field(
        default=[], description="A text, or two, to one label."
    )
    multi_label: list[MultiLabelConfig] = Field(default=[], description="A text to any number of labels.")
    token_classification: list[TokenClassificationConfig] = Field(
        default=[], description="A label for each word, such as named entities."
    )
    question_answering: list[QuestionAnsweringConfig] = Field(
        default=[], description="The span of a context that answers a question."
    )
    generative_qa: list[GenerativeQaConfig] = Field(default=[], description="An answer in free words.")
    summarization: list[SummarizationConfig] = Field(default=[], description="Document to summary.")
    translation: list[TranslationConfig] = Field(
        default=[], description="Text to the same in another language."
    )
    generation: list[GenerationConfig] = Field(default=[], description="Prompt, or instruction, to response.")
    dialogue: list[DialogueConfig] = Field(default=[], description="Turns of a dialogue to the next one.")
    similarity: list[SimilarityConfig] = Field(default=[], description="How much two texts mean the same.")
    retrieval: list[RetrievalConfig] = Field(
        default=[], description="Queries to the passages that answer them."
    )
    joint: list[JointConfig] = Field(
        default=[], description="Several of the above on one model, with a head for each."
    )
    text_to_text: list[TextMixtureConfig] = Field(
        default=[], description="Several tasks of one model, each told as a text to another."
    )

    @model_validator(mode="after")
    def _from_both_starts(self) -> "FinetuneSection":
        for given in [*self.all(), *self.several()]:
            if given.initial != "pretrained":
                raise ValueError(f"{given.name}: leave initial out, both starts are trained and compared")
            if given.repetition:
                raise ValueError(f"{given.name}: leave repetition out, and say with seeds how many there are")
        for given in self.joint:
            if given.members:
                raise ValueError(f"{given.name}: leave members out, tasks names them")
        for given in self.text_to_text:
            if any(one.task for one in given.sets):
                raise ValueError(f"{given.name}: leave task out, it is that of the labelled set")
        return self

    def all(self) -> list[FinetuneConfig]:
        """Return those for one task, task by task."""
        lists = [getattr(self, name) for name in type(self).model_fields]
        return [config for given in lists for config in given if isinstance(config, FinetuneConfig)]

    def several(self) -> list[SeveralConfig]:
        """Return those for several tasks."""
        return [*self.joint, *self.text_to_text]

    def trained_alone(self) -> list[FinetuneConfig]:
        """Return those for one task that are trained by themselves."""
        jointly = {name for given in self.joint if not given.separately for name in given.tasks}
        return [config for config in self.all() if config.name not in jointly]
