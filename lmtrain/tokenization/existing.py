"""A tokenizer that is taken from a folder instead of being trained."""

import tempfile
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lmtrain.errors import RecipeError
from lmtrain.tokenization.config import TokenizerConfig
from lmtrain.tokenization.files import digest_of, read_files


def take(config: TokenizerConfig) -> PreTrainedTokenizerFast:
    """Load the tokenizer, code from outside never.

    Raises:
        RecipeError: the folder holds no tokenizer, or another one than when the run was planned.
    """
    files = read_files(config.existing)
    if digest_of(files) != config.digest:
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
