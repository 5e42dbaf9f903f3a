"""The model card of a fine-tuned model, made from the manifests."""

from collections.abc import Sequence
from typing import Any

from lmtrain.finetuning.general_config import FinetuneConfig, TuningConfig
from lmtrain.manifest import Artifact

PIPELINE_TAGS = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "token_classification": "token-classification",
    "question_answering": "question-answering",
    "generative_qa": "text-generation",
    "summarization": "summarization",
    "translation": "translation",
    "generation": "text-generation",
    "dialogue": "text-generation",
    "similarity": "sentence-similarity",
    "retrieval": "feature-extraction",
}
"""What the Hugging Face hub calls a task."""


def model_card(
    config: TuningConfig, figures: dict[str, Any], labelled: Sequence[Artifact], use: str, task: str
) -> str:
    """Return the card as Markdown with the metadata that the Hugging Face hub reads.

    Args:
        config: how the model was trained.
        figures: of the training.
        labelled: the sets that it learned from.
        use: Python code.
        task: of the folder, or `joint` or `text_to_text` for what is told of several.
    """
    data = [line for one in labelled for line in _told_of(one)]
    tag = [f"pipeline_tag: {PIPELINE_TAGS[task]}"] if task in PIPELINE_TAGS else []
    ended = "stopped by its own validation" if figures["stopped_early"] else "ended"
    start = "a pretrained model" if config.initial == "pretrained" else "random weights"
    lines = [
        "---",
        "library_name: transformers",
        *tag,
        "---",
        "",
        f"# {config.label({})}",
        "",
        f"A model of {figures['parameters']:,} weights for {task}, fine-tuned from {start}.",
        "",
        "## Data",
        "",
        *data,
        "",
        "## Training",
        "",
        f"- at most {config.num_train_epochs:g} epochs of batches of {config.train_batch_size}; {ended} "
        f"after {figures['steps']} steps, with the weights of step {figures['best_step']}",
        f"- {config.optimizer}, learning rate {figures['learning_rate']:g} ({_tried(config)})",
        f"- validation loss {figures['validation_loss']:.4f}",
        "",
        *_privacy(figures.get("differential_privacy")),
        "## Use",
        "",
        "```python",
        use,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _privacy(guarantee: dict[str, Any] | None) -> list[str]:
    """Return what is guaranteed to each training example, and towards whom; nothing without a guarantee."""
    if guarantee is None:
        return []
    towards = {
        "secret": "The noise follows from a secret that is kept by whoever trained the model.",
        "from the manifest": "The noise follows from the manifest: who has that can take it off again, so "
        "the guarantee holds towards those alone who have only the weights.",
    }[guarantee["noise"]]
    return [
        "## Differential privacy",
        "",
        f"- epsilon {guarantee['epsilon']:.4g} with delta {guarantee['delta']:.3g}, for each of the "
        f"{guarantee['examples']:,} training examples there or not (DP-SGD, by the Rényi accountant of "
        f"Opacus, over {guarantee['steps']} steps; those done spent "
        f"{guarantee['epsilon_of_steps_done']:.4g})",
        f"- noise multiplier {guarantee['noise_multiplier']:.4g}, gradients of examples clipped to "
        f"{guarantee['max_grad_norm']:g}, each example drawn with probability {guarantee['sample_rate']:.4g}",
        f"- {towards}",
        "- The guarantee is of this model alone: what models of the same examples spend adds up. The "
        "number of examples, the labels, and the validation split are taken to be public.",
        "",
    ]


def _tried(config: TuningConfig) -> str:
    if isinstance(config, FinetuneConfig) and config.search.trials:
        low, high = config.search.learning_rate
        return f"the best of {config.search.trials} trials with rates from {low:g} to {high:g}"
    return f"tried: {', '.join(f'{rate:g}' for rate in config.learning_rates or [config.learning_rate])}"


def _told_of(labelled: Artifact) -> list[str]:
    counts = {split: row["documents"] for split, row in labelled.stats["by_split"].items()}
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    licenses = ", ".join(name for name in sorted(labelled.stats["by_license"]) if name)
    return [
        f"- examples: {told}",
        f"- labelled set: {labelled.address.folder}",
        f"- licences of the examples: {licenses or 'none is told'}",
    ]
