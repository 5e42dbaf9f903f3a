"""Names to things: what a recipe may ask for by name, each one line here.

Values are import paths `module:attribute`, so that reading a recipe imports
neither torch nor the thing itself.
"""

from importlib import import_module
from typing import Any

from lmtrain.errors import RecipeError


class Registry:
    """A table of names of one sort of thing."""

    def __init__(self, noun: str, paths: dict[str, str]) -> None:
        self.noun = noun
        self.paths = paths

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self.paths)

    def get(self, name: str) -> Any:
        """Import and return the thing of that name.

        Raises:
            RecipeError: the name isn't known; the text lists those that are.
        """
        if name not in self.paths:
            known = ", ".join(self.names())
            raise RecipeError(f"no {self.noun} {name!r}; there are: {known}")
        module, _, attribute = self.paths[name].partition(":")
        return getattr(import_module(module), attribute)


OBJECTIVES = Registry(
    "objective",
    {
        "clm": "lmtrain.objectives.clm:CausalLM",
        "bilm": "lmtrain.objectives.bilm:BidirectionalLM",
        "mlm": "lmtrain.objectives.mlm:MaskedLM",
        "mlm_nsp": "lmtrain.objectives.pairs:NextSentence",
        "mlm_sop": "lmtrain.objectives.pairs:SentenceOrder",
        "rtd": "lmtrain.objectives.rtd:ReplacedTokens",
        "span_corruption": "lmtrain.objectives.span_corruption:SpanCorruption",
        "denoising": "lmtrain.objectives.denoising:Denoising",
        "gap_sentences": "lmtrain.objectives.gap_sentences:GapSentences",
        "contrastive": "lmtrain.objectives.contrastive:Contrastive",
    },
)
_ENCODERS = ("bert", "roberta", "albert", "distilbert", "electra", "modernbert")
_DECODERS = ("gpt2", "llama", "mistral", "mixtral", "gemma", "bloom", "qwen3")
_ENCODER_DECODERS = ("t5", "bart", "pegasus", "marian", "m2m100")

ARCHITECTURES = Registry(
    "architecture",
    {
        **{f: f"lmtrain.modeling.encoders:{f}" for f in _ENCODERS},
        **{f: f"lmtrain.modeling.decoders:{f}" for f in _DECODERS},
        **{f: f"lmtrain.modeling.encoder_decoders:{f}" for f in _ENCODER_DECODERS},
        "ulmfit": "lmtrain.modeling.ulmfit:ulmfit",
        "elmo": "lmtrain.modeling.elmo:elmo",
    },
)
TASKS = Registry(
    "task",
    {
        "classification": "lmtrain.finetuning.classification:Classification",
        "multi_label": "lmtrain.finetuning.classification:MultiLabel",
        "token_classification": "lmtrain.finetuning.token_classification:TokenClassification",
        "question_answering": "lmtrain.finetuning.question_answering:QuestionAnswering",
        **dict.fromkeys(
            ("generative_qa", "summarization", "translation", "generation", "dialogue"),
            "lmtrain.finetuning.text_to_text:TextToText",
        ),
        "similarity": "lmtrain.finetuning.vectors:Similarity",
        "retrieval": "lmtrain.finetuning.vectors:Retrieval",
    },
)
