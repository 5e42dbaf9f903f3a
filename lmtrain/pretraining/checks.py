"""Whether shards, tokenizer and model belong together: asked before compute is spent."""

import hashlib
from typing import Any

from transformers import AutoTokenizer, PretrainedConfig

from lmtrain import storage
from lmtrain.errors import CorruptArtifactError, RecipeError, StageError
from lmtrain.manifest import Artifact, lost_files

UNREPEATABLE = ("wordpiece", "unigram")
"""Tokenizers whose training gives another one each time."""


def check_inputs(shards: Artifact, tokenizer: Artifact) -> None:
    """Refuse shards of which a file is missing or cut short, and a tokenizer that didn't make them.

    Raises:
        CorruptArtifactError: names the file.
        StageError: names both artifacts.
    """
    for artifact in (shards, tokenizer):
        lost = lost_files(artifact.root, artifact.address, artifact.manifest)
        if lost:
            raise CorruptArtifactError(
                f"{storage.join(artifact.root, lost[0])} is missing or cut short: "
                f"run again what made {artifact.address.folder}"
            )
    made_with = [given for given in shards.manifest.inputs if given.role == "tokenizer"]
    own = tokenizer.address
    for given in made_with:
        if given.digest != own.digest:
            raise StageError(
                f"the shards {shards.address.folder} were made with "
                f"{given.url.removesuffix('/manifest.json')}, not with the tokenizer {own.folder}: tokenize "
                "with it, or train with theirs"
            )
        now = hashlib.sha256(storage.read_bytes(tokenizer.url)).hexdigest()
        if given.manifest_sha256 != now and not _repeatable(tokenizer.manifest.config):
            raise StageError(
                f"the tokenizer {own.folder} was made again after the shards {shards.address.folder}, and "
                "its training never gives the same twice: delete the folder of the shards and run again"
            )
    largest, entries = shards.stats.get("largest_id"), tokenizer.stats.get("vocab_size")
    if largest is not None and entries is not None and largest >= entries:
        raise StageError(
            f"the shards {shards.address.folder} hold token {largest}, but the vocabulary of {own.folder} "
            f"has {entries} entries: tokenize with it"
        )


def _repeatable(config: dict[str, Any]) -> bool:
    """Tell whether a tokenizer of this config is the same whenever it is made."""
    return bool(config.get("digest")) or config.get("model") not in UNREPEATABLE


def check_checkpoint(model: Artifact, tokenizer: Artifact) -> None:
    """Refuse to continue from a model whose tokenizer is another one.

    Raises:
        StageError: names both, and the first token that they number differently.
    """
    ours, theirs = (
        AutoTokenizer.from_pretrained(folder).get_vocab()
        for folder in (tokenizer.folder("tokenizer"), model.folder("weights"))
    )
    if ours == theirs:
        return
    token = min(ours.items() ^ theirs.items(), key=lambda entry: (entry[1], entry[0]))[0]
    raise StageError(
        f"the tokenizer {tokenizer.address.folder} isn't that of the model {model.address.folder}: token "
        f"{token!r} is {ours.get(token)} here and {theirs.get(token)} there; set tokenize.existing to the "
        "model's folder"
    )


def check_model(shape: PretrainedConfig, vocabulary: int, row_tokens: int) -> None:
    """Refuse a model with fewer entries than the tokenizer, or fewer positions than a row.

    Args:
        shape: the model's config.
        vocabulary: entries of the tokenizer.
        row_tokens: the most tokens of a row.

    Raises:
        StageError: the vocabulary is too small.
        RecipeError: the rows are too long.
    """
    entries = getattr(shape, "vocab_size", vocabulary)
    if entries < vocabulary:
        raise StageError(
            f"the model's vocabulary has {entries} entries, but the tokenizer of the shards {vocabulary}: "
            "tokenize with the model's tokenizer"
        )
    positions = getattr(shape, "max_position_embeddings", None)
    if positions is not None and row_tokens > positions:
        raise RecipeError(
            f"pretrain.row_tokens {row_tokens} is more than the {positions} positions of the model: "
            f"set it to at most {positions}"
        )
