"""A tokenizer that is taken from a folder instead of being trained."""

import hashlib
import tempfile
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lmtrain import storage
from lmtrain.errors import RecipeError
from lmtrain.tokenization.config import TokenizerConfig

NAMES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""What makes a fast tokenizer; other files of a model's folder aren't looked at."""


def with_files_digest(config: TokenizerConfig) -> TokenizerConfig:
    """Return the config with the digest of the folder's files; a tokenizer to train stays as it is.

    Raises:
        RecipeError: the folder holds no tokenizer.
        SourceError: it can't be read.
    """
    if not config.existing:
        return config
    return config.model_copy(update={"digest": _digest(_read(config.existing))})


def take(config: TokenizerConfig) -> PreTrainedTokenizerFast:
    """Load the tokenizer, code from outside never.

    Raises:
        RecipeError: the folder holds no tokenizer, or another one than when the run was planned.
    """
    files = _read(config.existing)
    if _digest(files) != config.digest:
        raise RecipeError(
            f"tokenize.existing: {config.existing} has changed since the run was planned: run again"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        try:
            face = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError) as error:
            told = " ".join(str(error).split())
            raise RecipeError(f"tokenize.existing: {config.existing} holds no tokenizer: {told}") from error
    assert isinstance(face, PreTrainedTokenizerFast), "it has a tokenizer.json"
    return face


def _read(folder: str) -> dict[str, bytes]:
    with storage.told_as_source_error(folder):
        base = storage.resolve(folder)
        urls = {name: storage.join(base, name) for name in NAMES}
        files = {name: storage.read_bytes(url) for name, url in urls.items() if storage.exists(url)}
    if NAMES[0] not in files:
        raise RecipeError(f"tokenize.existing: no {NAMES[0]} in {folder}: it should be a Hugging Face folder")
    return files


def _digest(files: dict[str, bytes]) -> str:
    hashed = hashlib.sha256()
    for name, content in sorted(files.items()):
        hashed.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return hashed.hexdigest()
