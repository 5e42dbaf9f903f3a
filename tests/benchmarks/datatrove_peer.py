"""datatrove's side of `curation.py`, run by the Python of its own environment.

In, a line each on standard input: `{"do": "setup", ...}` with documents and the
names of filters, then `{"do": "chain"}` or `{"do": "stage", ...}` as often as
wanted. Out: one line of JSON for each, with the seconds that it took.
"""

import tempfile
from importlib import metadata

from answering import answer_requests, timed
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.parquet import ParquetWriter
from datatrove.utils.text import split_into_parts
from loguru import logger

# FineWeb-2's thresholds for Mandarin (Penedo et al. 2025), under datatrove's names.
MANDARIN = {
    "gopher_repetition": {
        "dup_line_frac": 0.287,
        "dup_para_frac": 0,
        "dup_para_char_frac": 0,
        "dup_line_char_frac": 0,
        "top_n_grams": ((2, 0.256), (3, 0.201), (4, 0.171)),
        "dup_n_grams": ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127)),
    },
    "gopher_quality": {
        "min_avg_word_length": 1,
        "max_avg_word_length": 5,
        "max_non_alpha_words_ratio": 0.735,
        "stop_words": list("的年在月是和日了於·為有被人中为他與後也而由"),
    },
    "fineweb": {
        "line_punct_thr": 0.106,
        "short_line_thr": 999,
        "char_duplicates_ratio": 0.1,
        "new_line_ratio": 0.178,
    },
}
FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "fineweb": FineWebQualityFilter,
    "c4": C4QualityFilter,
}


class Chain:
    """The filters that are asked for, over the documents that are given."""

    def __init__(self, request):
        language = request["language"]
        given = MANDARIN if language == "cmn_Hani" else {}
        self.filters = [
            FILTERS[name](language=language, **given.get(name, {}))
            for name in FILTERS
            if name in request["filters"]
        ]
        self.identifier = _identifier(request["model"]) if "language" in request["filters"] else None
        self.formatter = PIIFormatter() if "pii" in request["filters"] else None
        self.texts = request["texts"]

    def run(self):
        """Let every filter see every document; words are shared among those that follow each other."""
        split_into_parts.cache_clear()
        for text in self.texts:
            if self.identifier:
                self.identifier.filter(Document(text, ""))
            for step in self.filters:  # C4, which rewrites, is the last
                step.filter(Document(text, ""))
            if self.formatter:
                self.formatter.format(text)

    def stage(self, folder):
        """Read `.jsonl.gz`, filter one after the other, write Parquet; without executor and log files."""
        steps = [
            JsonlReader(folder, glob_pattern="*.jsonl.gz"),
            self.identifier,
            *self.filters,
            self.formatter,
        ]
        with tempfile.TemporaryDirectory() as out:
            steps.append(ParquetWriter(out, compression="zstd", adapter=_row))
            data = None
            for step in steps:
                if step is not None:
                    data = step(data, 0, 1)
            for _ in data:
                pass


def _row(writer, document):
    return {"id": document.id, "text": document.text}


class SampledLanguage(LanguageFilter):
    """Its language filter, over as many characters as ours looks at: a whole text takes it longer."""

    def filter(self, document):
        text, length, pieces = document.text, 1000, 5
        if len(text) > length:
            starts = [piece * (len(text) - length // pieces) // (pieces - 1) for piece in range(pieces)]
            text = " ".join(text[start : start + length // pieces] for start in starts)
        return super().filter(Document(text, ""))


def _identifier(model):
    """Return its language filter over the bundled model; its own is a download."""
    from fasttext.FastText import _FastText

    step = SampledLanguage(languages=["en"], language_threshold=0.65)
    step.model._model = _FastText(model)
    return step


class Datatrove:
    """What answers: the chain that it was set up with."""

    def __init__(self):
        self.chain = None

    def answer(self, request):
        """Do what is asked; return the answer."""
        if request["do"] == "setup":
            self.chain = Chain(request)
            packages = ("datatrove", "spacy", "jieba", "numpy", "pyarrow", "fasttext-numpy2-wheel")
            return {"versions": {name: metadata.version(name) for name in packages}}
        if request["do"] == "chain":
            return timed(self.chain.run)
        return timed(lambda: self.chain.stage(request["folder"]))


def main():
    """Answer until the input ends."""
    logger.disable("datatrove")
    answer_requests(Datatrove().answer)


if __name__ == "__main__":
    main()
