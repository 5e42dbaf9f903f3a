"""The stage `import_model`: a model's folder becomes an artifact like one that was trained here."""

from typing import Any

from transformers import AutoTokenizer

from lmtrain import storage
from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.importing.config import ImportConfig
from lmtrain.importing.listing import digest_of, model_files, shape_of
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: ImportConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Take a model in; return the URL of its manifest.

    Args:
        inputs: none.
        config: where the folder is.
        root: where artifacts lie.
        resources: not used.
        watch: told each file.

    Raises:
        RecipeError: the folder holds no model that can be loaded safely, or has changed since the run was
            planned.
        SourceError: it can't be read.
    """
    return build_once(config, inputs, root, lambda attempt: _taken(attempt, config, watch))


def _taken(attempt: Attempt, config: ImportConfig, watch: Watch) -> Built:
    done = attempt.finished("model")
    if done is None:
        files = model_files(config.path)
        if digest_of(files) != config.digest:
            raise RecipeError(f"model: {config.path} has changed since the run was planned: run again")
        with attempt.shard("model") as output:
            for number, file in enumerate(files):
                storage.download(file.url, output.path(f"model/{file.name}"))
                watch.progress(number + 1, len(files), "files")
            _check_tokenizer(config.path, output.path("model"))
            output.add_folder("model", "weights")
            shape = shape_of(config.path)
            output.stats = {"architecture": shape["model_type"], "task": "imported", **_sizes(files)}
        done = output.result
    assert done is not None, "the shard was just recorded"
    return Built(done.files, done.stats)


def _check_tokenizer(path: str, folder: Any) -> None:
    try:
        AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise RecipeError(f"model: {path} holds no tokenizer: {' '.join(str(error).split())}") from error


def _sizes(files: list[storage.SourceFile]) -> dict[str, int]:
    return {"files": len(files), "bytes": sum(file.bytes for file in files)}
