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


OBJECTIVES = Registry("objective", {"clm": "lmtrain.objectives.clm:CausalLM"})
ARCHITECTURES = Registry(
    "architecture", {"llama": "lmtrain.modeling.llama:llama", "qwen3": "lmtrain.modeling.qwen3:qwen3"}
)
TASKS = Registry(
    "task",
    {
        "classification": "lmtrain.finetuning.classification:Classification",
        "summarization": "lmtrain.finetuning.summarization:Summarization",
    },
)
