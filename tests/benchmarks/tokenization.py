"""The tokenize stage beside bare `encode_batch` and datatrove's DocumentTokenizer: the same texts and core.

`make bench-tokenization` runs it. Ours reads Parquet, encodes, sorts documents by
the hash of their ids, writes shards, hashes every file and writes the manifest.
The bare call encodes texts that are in memory and does nothing else. datatrove's
reads Parquet, encodes, shuffles and writes. (Python has a module `tokenize`, so
this one isn't called that.)
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tokenizers
from corpora import documents, has_corpus
from figures import Row, write
from in_process import without_ray
from paired import Peer, Spent, in_turns, median_wall, pin, spent_by
from peers import DATATROVE, DATATROVE_NAME, python_of
from tokenizers import Tokenizer

from lmtrain import storage
from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.config import Resources, StageConfig
from lmtrain.curation.config import CurateConfig
from lmtrain.manifest import Artifact
from lmtrain.schemas import DOCUMENTS, document_id
from lmtrain.tokenization import stage
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig
from lmtrain.tokenization.special_tokens import END, wrap
from lmtrain.tokenization.training import train
from lmtrain.watch import SilentWatch

GOAL = 0.9
"""Of the bare call's rate."""

VOCABULARY = 8192


class Given:
    """Texts as a documents artifact, and a tokenizer trained on a quarter of them."""

    def __init__(self, texts: list[str], root: str) -> None:
        self.texts = texts
        self.root = root
        self.megabytes = sum(len(text.encode()) for text in texts) / 1e6
        self.documents = _artifact(CurateConfig(preset="none"), {"corpora": []}, root, self._write_documents)
        config = TokenizerConfig(vocab_size=VOCABULARY)
        inputs = {"documents": [self.documents]}
        self.tokenizer = _artifact(config, inputs, root, self._write_tokenizer)
        made = Artifact(self.tokenizer)
        self.tokenizer_file = str(made.folder("tokenizer") / "tokenizer.json")
        self._runs = count()

    def _write_documents(self, output: ShardOutput) -> None:
        number = len(self.texts)
        columns: dict[str, Any] = {name: [""] * number for name in DOCUMENTS.names}
        columns |= {
            "id": [document_id("corpus", "file", place) for place in range(number)],
            "text": self.texts,
            "source": ["corpus"] * number,
            "split": ["train"] * number,
        }
        for name in ("language_score", "cluster_size", "quality"):
            columns[name] = [None] * number
        pq.write_table(pa.table(columns, DOCUMENTS), output.path("documents.parquet"), compression="zstd")
        output.add("documents.parquet", "documents", rows=number)

    def _write_tokenizer(self, output: ShardOutput) -> None:
        config = TokenizerConfig(vocab_size=VOCABULARY)
        face = wrap(train(iter(self.texts[::4]), config), config.special_tokens)
        face.save_pretrained(str(output.path("tokenizer")))
        output.add_folder("tokenizer", "tokenizer")
        output.stats = {"vocab_size": len(face)}

    def ours(self) -> None:
        """Run the stage; each run has another address."""
        config = ShardsConfig(shard_tokens=2_000_000 + next(self._runs))
        inputs = {"documents": [self.documents], "tokenizer": [self.tokenizer]}
        stage.build(inputs, config, self.root, Resources(workers=1), SilentWatch())

    def bare(self, *, fast: bool) -> None:
        """Encode texts that are in memory."""
        tokenizer = Tokenizer.from_file(self.tokenizer_file)
        tokenizer.encode_special_tokens = True
        encode = tokenizer.encode_batch_fast if fast else tokenizer.encode_batch
        encode(self.texts, add_special_tokens=False)


def _artifact(
    config: StageConfig, inputs: dict[str, list[str]], root: str, make: Callable[[ShardOutput], None]
) -> str:
    """Wrap what is written into an artifact, as a stage would."""

    def work(attempt: Attempt) -> Built:
        with attempt.shard("all") as output:
            make(output)
        assert output.result is not None
        return Built(output.result.files, output.result.stats)

    return build_once(config, inputs, root, work)


def measure(corpus: str, peer: Peer, options: argparse.Namespace) -> Iterator[Row]:
    """Compare on one corpus, with each peer in turns."""
    texts = documents(corpus, 0, round(options.megabytes * 1e6))
    with tempfile.TemporaryDirectory() as root:
        given = Given(texts, storage.resolve(root))
        folder = str(Artifact(given.documents).folder("documents"))

        def theirs() -> Spent:
            request = {"folder": folder, "tokenizer": given.tokenizer_file, "end": END}
            return Spent(**peer.ask(do="tokenize", **request))

        version = f"tokenizers {tokenizers.__version__}"
        peers: list[tuple[str, Callable[[], Spent], float | None]] = [
            (f"encode_batch, {version}", lambda: spent_by(lambda: given.bare(fast=False)), GOAL),
            (f"encode_batch_fast, {version}", lambda: spent_by(lambda: given.bare(fast=True)), None),
            (DATATROVE_NAME, theirs, None),
        ]
        for name, other, goal in peers:
            found = in_turns(lambda: spent_by(given.ours), other, options.rounds)
            rates = [given.megabytes / median_wall(runs) for runs in (found.ours, found.peer)]
            details = {"documents": len(texts), "processor_ratio": found.processor_ratio}
            measured = f"Parquet to shards beside {name}, {corpus}"
            yield Row(measured, "MB/s", *rates, name, found.ratio, goal, details)


def main() -> None:
    """Measure on the English and the Chinese corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=20, help="text of a run")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    print(f"on core {pin()}")
    without_ray()
    script = str(Path(__file__).with_name("tokenization_peer.py"))
    with Peer(python_of("datatrove", DATATROVE), script) as peer:
        versions = peer.ask(do="setup")["versions"]
        rows = [
            row
            for corpus in ("corpus-en", "corpus-zh")
            if has_corpus(corpus)
            for row in measure(corpus, peer, options)
        ]
    write("tokenization", rows, versions, **({"folder": options.out} if options.out else {}))


if __name__ == "__main__":
    main()
