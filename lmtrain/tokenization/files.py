"""The files of a tokenizer that exists already, and their digest. Light: planning needs it."""

import hashlib

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
    return config.model_copy(update={"digest": digest_of(read_files(config.existing))})


def read_files(folder: str) -> dict[str, bytes]:
    """Return the contents of a folder's tokenizer files, by name.

    Raises:
        RecipeError: the folder holds no tokenizer.
        SourceError: it can't be read.
    """
    with storage.told_as_source_error(folder):
        base = storage.resolve(folder)
        urls = {name: storage.join(base, name) for name in NAMES}
        files = {name: storage.read_bytes(url) for name, url in urls.items() if storage.exists(url)}
    if NAMES[0] not in files:
        raise RecipeError(f"tokenize.existing: no {NAMES[0]} in {folder}: it should be a Hugging Face folder")
    return files


def digest_of(files: dict[str, bytes]) -> str:
    """Return the SHA-256 of files' names and contents."""
    hashed = hashlib.sha256()
    for name, content in sorted(files.items()):
        hashed.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return hashed.hexdigest()
