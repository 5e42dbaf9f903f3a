"""The model card of a pretrained model, made from the manifests."""

from typing import Any

from lmtrain.manifest import Artifact
from lmtrain.pretraining.config import PretrainConfig


def model_card(
    config: PretrainConfig, figures: dict[str, Any], shards: Artifact, train: dict[str, int]
) -> str:
    """Return the card as Markdown with the metadata that the Hugging Face hub reads.

    Args:
        config: of the pretraining.
        figures: of the training.
        shards: that it was trained on.
        train: documents, tokens and bytes that it was trained on.
    """
    documents = shards.inputs("documents")
    licenses = sorted({name for one in documents for name in one.stats["by_license"]})
    languages = sorted({name for one in documents for name in one.stats["by_language"]})
    lines = [
        "---",
        f"language: [{', '.join(languages)}]",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "---",
        "",
        f"# {config.label({})}",
        "",
        f"A {config.architecture} of {figures['parameters']:,} weights, pretrained by {config.objective}.",
        "",
        "## Data",
        "",
        f"- {train['documents']:,} documents, {train['bytes']:,} bytes, {train['tokens']:,} tokens",
        f"- documents: {', '.join(one.address.folder for one in documents)}",
        f"- licences of the documents: {', '.join(licenses)}",
        "",
        "## Training",
        "",
        f"- {figures['steps']:,} steps of {config.train_batch_size} rows of {config.row_tokens} tokens",
        f"- {config.optimizer}, learning rate {config.learning_rate:g}, {config.lr_scheduler_type}, "
        f"products in {figures['products']}",
        f"- validation: {figures['validation_bits_per_byte']} bits per byte",
        "",
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
        'inputs = tokenizer(tokenizer.eos_token + "Return the", return_tensors="pt")',
        "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))",
        "```",
    ]
    return "\n".join(lines) + "\n"
