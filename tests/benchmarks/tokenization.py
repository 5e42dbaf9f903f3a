"""The tokenize stage beside bare `encode_batch` and datatrove's DocumentTokenizer: the same texts and core.

`make bench-tokenization` runs it. Ours reads Parquet, encodes, sorts documents by
the hash of their ids, writes shards, hashes every file and writes the manifest.
The bare call encodes texts that are in memory and does nothing else. datatrove's
reads Parquet, encodes, shuffles and writes. Each side has a process of its own: where
`encode_batch` ran in ours, in turns with it, ours was measured at 0.74 to 0.93 of it, and
apart at 0.96 and 0.97. (Python has a module `tokenize`, so this one isn't called that.)
"""

import argparse
import os
import sys
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
from paired import Peer, Spent, in_turns, interval_of_median, median_wall, pin, spent_by
from peers import DATATROVE, DATATROVE_NAME, python_of

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


def measure(corpus: str, datatrove: Peer, options: argparse.Namespace) -> Iterator[Row]:
    """Compare on one corpus, with each peer in turns."""
    texts = documents(corpus, 0, round(options.megabytes * 1e6))
    with tempfile.TemporaryDirectory() as root:
        given = Given(texts, storage.resolve(root))
        folder = str(Artifact(given.documents).folder("documents"))
        about = {"folder": folder, "tokenizer": given.tokenizer_file}

        def row(name: str, theirs: Callable[[], Spent], goal: float | None) -> Row:
            found = in_turns(lambda: spent_by(given.ours), theirs, options.rounds)
            rates = [given.megabytes / median_wall(runs) for runs in (found.ours, found.peer)]
            low, high = interval_of_median(found.ratios)
            details = {
                "low": low, "high": high, "documents": len(texts), "processor_ratio": found.processor_ratio,
            }  # fmt: skip
            measured = f"Parquet to shards beside {name}, {corpus}"
            return Row(measured, "MB/s", *rates, name, found.ratio, goal, details)

        for method, goal in (("encode_batch", GOAL), ("encode_batch_fast", None)):
            with Peer(sys.executable, str(Path(__file__).with_name("tokenization_bare.py"))) as bare:
                bare.ask(do="setup", method=method, **about)
                name = f"{method}, tokenizers {tokenizers.__version__}"
                yield row(name, lambda: Spent(**bare.ask(do="encode")), goal)
        yield row(DATATROVE_NAME, lambda: Spent(**datatrove.ask(do="tokenize", end=END, **about)), None)


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
