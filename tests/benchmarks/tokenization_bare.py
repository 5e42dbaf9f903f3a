"""Bare `encode_batch` for `tokenization.py`, in a process of its own.

In, a line each on standard input: `{"do": "setup"}` with a folder of Parquet files, a tokenizer's file and
the name of a method, then `{"do": "encode"}` as often as wanted. Out: one line of JSON for each.
"""

from typing import Any

import pyarrow.parquet as pq
from answering import answer_requests, timed
from tokenizers import Tokenizer


class Bare:
    """Encodes texts that are in memory."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self.tokenizer = self.method = ""

    def answer(self, request: dict[str, str]) -> dict[str, float]:
        """Do what is asked; return the answer."""
        if request["do"] == "setup":
            self.texts = pq.read_table(request["folder"], columns=["text"])["text"].to_pylist()
            self.tokenizer, self.method = request["tokenizer"], request["method"]
            return {}
        return timed(self._encode)

    def _encode(self) -> None:
        tokenizer = Tokenizer.from_file(self.tokenizer)
        tokenizer.encode_special_tokens = True
        getattr(tokenizer, self.method)(self.texts, add_special_tokens=False)


if __name__ == "__main__":
    answer_requests(Bare().answer)
