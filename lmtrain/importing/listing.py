"""The files of a model's folder, and what its config says. Light: planning needs it.

Weights are taken as safetensors alone: the older formats are pickles, which may run code.
"""

import hashlib
import json
from typing import Any

from lmtrain import storage
from lmtrain.errors import RecipeError
from lmtrain.importing.config import ImportConfig

CONFIG = "config.json"
SUFFIXES = (".json", ".safetensors", ".txt", ".model")
"""Of the files that are taken: configs and tokenizers, weights, vocabularies."""


def model_files(path: str) -> list[storage.SourceFile]:
    """Return the files of a model's folder that are taken, those of folders within included.

    Raises:
        RecipeError: it holds no config, or no safetensors.
        SourceError: it can't be read.
    """
    found = [file for file in storage.list_files(path) if file.name.endswith(SUFFIXES)]
    names = {file.name for file in found}
    if CONFIG not in names:
        raise RecipeError(f"model: no {CONFIG} in {path}: it should be a Hugging Face folder")
    if not any(name.endswith(".safetensors") and "/" not in name for name in names):
        raise RecipeError(
            f"model: no .safetensors in {path}: save the model anew, other formats may run code"
        )
    return found


def digest_of(files: list[storage.SourceFile]) -> str:
    """Return the SHA-256 of files' names, sizes and fingerprints."""
    told = [[file.name, file.bytes, file.fingerprint] for file in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def with_digest(config: ImportConfig) -> ImportConfig:
    """Return the config with the digest of what the folder holds; without a folder it stays as it is."""
    if not config.path:
        return config
    return config.model_copy(update={"digest": digest_of(model_files(config.path))})


def shape_of(path: str) -> dict[str, Any]:
    """Return what a model's config.json says.

    Raises:
        RecipeError: it is no JSON object, or names no model_type.
    """
    with storage.told_as_source_error(path):
        raw = storage.read_bytes(storage.join(storage.resolve(path), CONFIG))
    try:
        shape = json.loads(raw)
    except ValueError as error:
        raise RecipeError(f"model: {CONFIG} in {path} is no JSON: {error}") from error
    if not isinstance(shape, dict) or not isinstance(shape.get("model_type"), str):
        raise RecipeError(f"model: {CONFIG} in {path} names no model_type")
    if "auto_map" in shape:
        raise RecipeError(f"model: {path} brings code of its own (auto_map), which is never run")
    return shape


def family_in(shape: dict[str, Any]) -> str:
    """Return what recipes call the family of a model, by its config.json."""
    name = str(shape["model_type"])
    return {"m2m_100": "m2m100"}.get(name, name)
