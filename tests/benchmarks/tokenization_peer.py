"""datatrove's side of `tokenization.py`, run by the Python of its own environment.

In, a line each on standard input: `{"do": "setup"}`, then `{"do": "tokenize", ...}`
with a folder of Parquet files, a tokenizer's file and its end token, as often as
wanted. Out: one line of JSON for each, with the seconds that it took.
"""

import tempfile
from importlib import metadata

from answering import answer_requests, timed
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.tokens import DocumentTokenizer
from loguru import logger


def tokenize(folder, tokenizer, end):
    """Read Parquet, encode, shuffle documents as ours are by their hash, write; without executor and logs."""
    with tempfile.TemporaryDirectory() as out:
        reader = ParquetReader(folder, glob_pattern="*.parquet")
        step = DocumentTokenizer(out, tokenizer, eos_token=end, seed=0)
        step.run(reader(None, 0, 1), 0, 1)


def answer(request):
    """Do what is asked; return the answer."""
    if request["do"] == "setup":
        return {"versions": {name: metadata.version(name) for name in ("datatrove", "tokenizers", "pyarrow")}}
    return timed(lambda: tokenize(request["folder"], request["tokenizer"], request["end"]))


def main():
    """Answer until the input ends."""
    logger.disable("datatrove")
    answer_requests(answer)


if __name__ == "__main__":
    main()
