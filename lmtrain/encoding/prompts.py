"""Tasks whose answer is a text: what a model is given, and what it is to write."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TURN = "{role}: {content}\n"
"""A turn of a dialogue, as a decoder reads it."""

ANSWERING = "assistant"
"""Role whose turns are learned."""


@dataclass(frozen=True)
class Prompt:
    """Of one task.

    Attributes:
        source: of an example, the text that the model is given.
        targets: of an example, the texts that are right; the first one is learned.
        suffix: what stands between source and target for a decoder, which goes on where the source ends.
    """

    source: Callable[[dict[str, Any]], str]
    targets: Callable[[dict[str, Any]], list[str]]
    suffix: str


def _asked(example: dict[str, Any]) -> str:
    return f"{example['context']}\n{example['question']}".strip()


def _before(messages: list[dict[str, str]]) -> str:
    return "".join(TURN.format(**turn) for turn in messages[:-1]).rstrip("\n")


PROMPTS: dict[str, Prompt] = {
    "summarization": Prompt(
        lambda example: example["document"], lambda example: [example["summary"]], "\nTL;DR:"
    ),  # Radford et al. 2019
    "translation": Prompt(
        lambda example: example["source_text"], lambda example: [example["target_text"]], "\n=>"
    ),
    "generative_qa": Prompt(_asked, lambda example: list(example["answers"]), "\nAnswer:"),
    "generation": Prompt(lambda example: example["prompt"], lambda example: [example["response"]], "\n"),
    "dialogue": Prompt(
        lambda example: _before(example["messages"]),
        lambda example: [example["messages"][-1]["content"]],
        f"\n{ANSWERING}:",
    ),
}
"""By task."""
