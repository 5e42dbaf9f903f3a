"""The model card of a pretrained model, made from the manifests."""

from typing import Any

from lmtrain.manifest import Artifact
from lmtrain.modeling.fitting import OBJECTIVES, Head
from lmtrain.modeling.sizes import RECURRENT
from lmtrain.pretraining.config import PretrainConfig

PIPELINE_TAGS: dict[Head, str] = {
    "causal": "text-generation",
    "masked": "fill-mask",
    "pairs": "fill-mask",
    "replaced": "feature-extraction",
    "seq2seq": "text2text-generation",
    "bare": "feature-extraction",
    "both_directions": "feature-extraction",
}
"""What the Hugging Face hub calls what a model is for."""

_MASKED = [
    "from transformers import pipeline",
    "",
    'fill = pipeline("fill-mask", model="FOLDER")',
    'print(fill(f"Return the {fill.tokenizer.mask_token} of a matrix."))',
]
_VECTORS = [
    "from transformers import AutoModel, AutoTokenizer",
    "",
    'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    'model = AutoModel.from_pretrained("FOLDER")',
    'inputs = tokenizer("Return the", return_tensors="pt")',
    "print(model(**inputs).last_hidden_state.mean(dim=1).shape)",
]
USES: dict[Head, list[str]] = {
    "causal": [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
        'inputs = tokenizer(tokenizer.eos_token + "Return the", return_tensors="pt")',
        "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))",
    ],
    "masked": _MASKED,
    "pairs": _MASKED,
    "replaced": _VECTORS,
    "seq2seq": [
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        'model = AutoModelForSeq2SeqLM.from_pretrained("FOLDER")',
        'inputs = tokenizer("Return the", return_tensors="pt", return_token_type_ids=False)',
        "print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))",
    ],
    "bare": _VECTORS,
    "both_directions": _VECTORS,
}
"""Python code that uses the exported folder."""


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
    head = OBJECTIVES[config.objective].head_of(config.architecture)
    own = config.architecture in RECURRENT
    documents = shards.inputs("documents")
    licenses = sorted({name for one in documents for name in one.stats["by_license"]})
    languages = sorted({name for one in documents for name in one.stats["by_language"]})
    lines = [
        "---",
        f"language: [{', '.join(languages)}]",
        "library_name: transformers",
        f"pipeline_tag: {PIPELINE_TAGS[head]}",
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
        f"- validation: {_validation(figures)}",
        "",
        "## Use",
        "",
        "```python",
        *(["import lmtrain.modeling.own  # makes the family known to Transformers"] if own else []),
        *USES[head],
        "```",
    ]
    return "\n".join(lines) + "\n"


def _validation(figures: dict[str, Any]) -> str:
    """Return what the last look at the validation text said."""
    if "validation_bits_per_byte" in figures:
        return f"{figures['validation_bits_per_byte']} bits per byte"
    return f"a loss of {figures['validation_loss']:.4f}"
