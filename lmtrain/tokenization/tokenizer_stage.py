"""Documents to a tokenizer, trained or taken from a folder, as a Hugging Face folder."""

from collections.abc import Iterable, Iterator

from transformers import PreTrainedTokenizerFast

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.errors import StageError
from lmtrain.manifest import Artifact
from lmtrain.schemas import row_key, strings
from lmtrain.tokenization import measuring, training
from lmtrain.tokenization.config import TokenizerConfig
from lmtrain.tokenization.existing import take
from lmtrain.tokenization.special_tokens import wrap
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: TokenizerConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Train a tokenizer on the training split, or take an existing one; return the URL of its manifest.

    Raises:
        StageError: there is no training text.
        RecipeError: the folder to take it from holds no tokenizer, or has changed since the run was planned.
    """

    def work(attempt: Attempt) -> Built:
        documents = [Artifact(url) for url in inputs["documents"]]
        result = attempt.finished("tokenizer")
        if result is None:
            with attempt.shard("tokenizer") as output:
                reader = Reader(documents, config.training_bytes, watch)
                face = take(config) if config.existing else _trained(reader, config)
                face.save_pretrained(str(output.path("tokenizer")))
                output.add_folder("tokenizer", "tokenizer")
                output.stats = {
                    "vocab_size": len(face),
                    "documents": reader.documents,
                    "bytes": reader.bytes,
                    "by_language": measuring.measure(face, held_out(documents)),
                }
            result = attempt.finished("tokenizer")
            assert result is not None, "just recorded"
        return Built(result.files, result.stats)

    return build_once(config, inputs, root, work)


def _trained(reader: "Reader", config: TokenizerConfig) -> PreTrainedTokenizerFast:
    tokenizer = training.train(reader.texts(), config)
    if not reader.documents:
        raise StageError("no document in the training split: add text, or loosen `curate`")
    return wrap(tokenizer, config.special_tokens)


class Reader:
    """Reads the training texts in the manifest's order and counts them."""

    def __init__(self, documents: list[Artifact], most_bytes: int, watch: Watch) -> None:
        self.artifacts = documents
        self.total = sum(one.stats["by_split"].get("train", {"bytes": 0})["bytes"] for one in documents)
        self.below = 2**64 * most_bytes // self.total if self.total > most_bytes else 2**64
        """Documents whose hash lies below are read: a share of all sources that doesn't depend on order."""
        self.watch = watch
        self.documents = 0
        self.bytes = 0

    def texts(self) -> Iterator[str]:
        """Yield one text after another."""
        wanted = min(self.total, self.total * self.below >> 64)
        for artifact in self.artifacts:
            for table in artifact.tables("documents", columns=["id", "text", "split"]):
                columns = (strings(table[name]) for name in ("id", "text", "split"))
                for identity, text, split in zip(*columns, strict=True):
                    if split == "train" and (self.below >> 64 or row_key(identity) < self.below):
                        self.documents += 1
                        self.bytes += len(text.encode())
                        yield text
                self.watch.progress(min(self.bytes, wanted), wanted, "bytes")


def held_out(documents: Iterable[Artifact]) -> Iterator[tuple[str, str]]:
    """Yield language and text of the documents that aren't trained on."""
    for artifact in documents:
        for table in artifact.tables("documents", columns=["text", "split", "language"]):
            columns = (strings(table[name]) for name in ("language", "text", "split"))
            yield from (
                (language, text) for language, text, split in zip(*columns, strict=True) if split != "train"
            )
