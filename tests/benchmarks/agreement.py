"""datatrove 0.10.1 as the judge of our filters: the same texts, our words and sentences put into it.

`make bench-agreement` runs it. Every filter sees every document, and verdict,
reason and the text that C4 leaves must be the same. Two rounds: each filter with
its published thresholds, at which the first broken rule hides the others, and,
with `--each-rule`, every rule alone.

Texts are those of the folders `corpus-*` of `BENCH_DATA` (without it the
docstrings of installed packages), of any folder of `.jsonl` or `.jsonl.gz` that
`--folder` names, and made ones that hold corners of the definitions. A text of
no word at all, at which a datatrove filter may raise, is counted apart.
"""

import argparse
import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from corpora import documents
from figures import Row, write
from hostile import hostile
from paired import Peer
from peers import DATATROVE, DATATROVE_NAME, python_of

from lmtrain.curation.document import Document
from lmtrain.curation.filters import FILTERS
from lmtrain.curation.filters.gopher_quality import STOP_WORDS
from lmtrain.curation.presets import (
    C4_RULES,
    C4_UNITS,
    CHINESE,
    FINEWEB,
    GOPHER_QUALITY,
    GOPHER_REPETITION,
    MC4,
)

Language = Literal["en", "zh"]
BATCH = 100
SHOWN = 3
"""Disagreements that are printed of each form and corpus."""

REASONS = {
    "gopher_short_doc": "few_words",
    "gopher_long_doc": "many_words",
    "gopher_below_avg_threshold": "short_words",
    "gopher_above_avg_threshold": "long_words",
    "gopher_too_many_hashes": "hash_signs",
    "gopher_too_many_ellipsis": "ellipses",
    "gopher_too_many_bullets": "bullet_lines",
    "gopher_too_many_end_ellipsis": "ellipsis_lines",
    "gopher_below_alpha_threshold": "few_alphabetic_words",
    "gopher_enough_stop_words": "few_stop_words",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_para_char_frac": "duplicate_paragraph_characters",
    "dup_line_frac": "duplicate_lines",
    "dup_line_char_frac": "duplicate_line_characters",
    **{f"duplicated_{n}_n_grams": f"repeated_{n}_grams" for n in range(5, 11)},
    "line_punct_ratio": "unpunctuated_lines",
    "short_line_ratio": "short_lines",
    "char_dup_ratio": "duplicate_written_lines",
    "list_ratio": "newlines",
    "too_few_sentences": "few_sentences",
    "< 3 paragraphs": "few_long_lines",
}
"""Theirs to ours; those that aren't here have one name."""

NEVER = 1e9
"""A threshold of theirs that nothing exceeds."""


@dataclass(frozen=True)
class Form:
    """One filter with thresholds, as ours has them and as theirs are told them."""

    filter: str
    thresholds: Mapping[str, float]
    options: Mapping[str, Any]


def options_of(name: str, thresholds: Mapping[str, float], language: Language) -> dict[str, Any]:
    """Return what datatrove's filter is told, so that it goes by our thresholds and no others."""
    given = thresholds.get
    if name == "gopher_quality":
        return {
            "min_doc_words": given("min_words"),
            "max_doc_words": given("max_words"),
            "min_avg_word_length": given("min_mean_word_length"),
            "max_avg_word_length": given("max_mean_word_length"),
            "max_symbol_word_ratio": given("max_hash_sign_ratio"),
            "max_bullet_lines_ratio": given("max_bullet_line_ratio"),
            "max_ellipsis_lines_ratio": given("max_ellipsis_line_ratio"),
            "max_non_alpha_words_ratio": given("min_alphabetic_word_ratio"),
            "min_stop_words": given("min_stop_words"),
            "stop_words": list(STOP_WORDS[language]),
        }
    if name == "gopher_repetition":
        return {
            "dup_para_frac": given("max_duplicate_paragraph_ratio"),
            "dup_para_char_frac": given("max_duplicate_paragraph_character_ratio"),
            "dup_line_frac": given("max_duplicate_line_ratio"),
            "dup_line_char_frac": given("max_duplicate_line_character_ratio"),
            "top_n_grams": _ngrams(thresholds, "max_top_{}_gram_ratio"),
            "dup_n_grams": _ngrams(thresholds, "max_repeated_{}_gram_ratio"),
        }
    if name == "fineweb":
        return {
            "line_punct_thr": given("min_punctuated_line_ratio", 0),
            "short_line_thr": given("max_short_line_ratio", NEVER),
            "char_duplicates_ratio": given("max_duplicate_written_character_ratio", NEVER),
            "new_line_ratio": given("max_newline_ratio", NEVER),
        }
    if name == "c4":
        return {
            "split_paragraph": not given(C4_UNITS),
            "remove_citations": bool(given("remove_citations")),
            "filter_no_terminal_punct": bool(given("drop_unpunctuated_lines")),
            "min_words_per_line": given("min_line_words", -1),
            "max_word_length": given("max_line_word_length", -1),
            "filter_lorem_ipsum": bool(given("drop_lorem_ipsum")),
            "filter_javascript": bool(given("drop_javascript_lines")),
            "filter_curly_bracket": bool(given("drop_curly_brackets")),
            "filter_policy": bool(given("drop_policy_lines")),
            "min_num_sentences": given("min_sentences", -1),
        }
    return {}


def _ngrams(thresholds: Mapping[str, float], name: str) -> list[tuple[int, float]]:
    return [(n, thresholds[name.format(n)]) for n in range(2, 11) if name.format(n) in thresholds]


def published(language: Language) -> dict[str, Form]:
    """Return each filter as it is published: in English datatrove is told nothing, its defaults hold."""
    if language == "en":
        whole = {
            "gopher_quality": GOPHER_QUALITY,
            "gopher_repetition": GOPHER_REPETITION,
            "fineweb": FINEWEB,
            "c4": C4_RULES,
            "mc4": MC4,
        }
        forms = {name: Form(name, thresholds, {}) for name, thresholds in whole.items()}
        line_ends = {"drop_unpunctuated_lines": 0}
    else:
        forms = {
            name: Form(name, mine, options_of(name, mine, language))
            for name, names in {
                "gopher_quality": GOPHER_QUALITY, "gopher_repetition": GOPHER_REPETITION, "fineweb": FINEWEB,
            }.items()
            if (mine := {key: CHINESE.thresholds[key] for key in names if key in CHINESE.thresholds})
        }  # fmt: skip
        line_ends = {"drop_unpunctuated_lines": 0, "min_line_words": 0}
    for name, changed in {
        "c4, any line end": line_ends,
        "c4 by sentences": {C4_UNITS: 1, **line_ends},
    }.items():
        thresholds = {key: value for key, value in {**C4_RULES, **changed}.items() if value}
        forms[name] = Form("c4", thresholds, options_of("c4", thresholds, language))
    return forms


def each_rule(language: Language) -> dict[str, Form]:
    """Return every rule alone; `#` and ellipses have one threshold in datatrove, and stay together."""
    forms = {}
    for whole in published(language).values():
        for name, value in whole.thresholds.items():
            alone = {name: value}
            if name in ("max_hash_sign_ratio", "max_ellipsis_ratio"):
                alone = {"max_hash_sign_ratio": value, "max_ellipsis_ratio": value}
            options = options_of(whole.filter, alone, language)
            forms[f"{whole.filter}: {name}"] = Form(whole.filter, alone, options)
    return forms


def judged(form: Form, document: Document) -> tuple[str | None, str]:
    """Return why our filter drops a document, None where it is kept, and the text that it leaves."""
    verdict = FILTERS[form.filter](document, form.thresholds)
    if verdict is True:
        return None, document.text
    return (str(verdict[1]), document.text) if verdict[0] is False else (None, str(verdict[1]))


@dataclass
class Compared:
    """How often a form and its twin agreed on one corpus."""

    documents: int = 0
    dropped: int = 0
    rewritten: int = 0
    raised: int = 0
    """Texts at which datatrove's filter ended with an error: nothing to compare with."""
    different: list[tuple[str, str]] = field(default_factory=list)
    """Texts, and what each side says of them."""
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, ours: tuple[str | None, str], theirs: tuple[str | None, str]) -> None:
        """Take in one document."""
        self.documents += 1
        if theirs[0] is not None and theirs[0].startswith("raised"):
            self.raised += 1
            return
        reason = None if theirs[0] is None else REASONS.get(theirs[0], theirs[0])
        self.dropped += reason is not None
        self.rewritten += theirs[1] != text
        self.reasons[reason or "kept"] += 1
        if ours[0] != reason:
            self.different.append((text, f"ours {ours[0] or 'kept'}, theirs {reason or 'kept'}"))
        elif reason is None and ours[1] != theirs[1]:
            self.different.append((text, f"ours leaves {ours[1]!r}, theirs {theirs[1]!r}"))


def compare(
    texts: Iterator[str], forms: Mapping[str, Form], language: Language, segmenter: str, peer: Peer
) -> dict[str, Compared]:
    """Let both sides judge all texts by all forms."""
    found = {name: Compared() for name in forms}
    told = {name: {"filter": form.filter, "options": form.options} for name, form in forms.items()}
    while batch := list(islice(texts, BATCH)):
        answer = peer.ask(forms=told, language=language, segmenter=segmenter, texts=batch)
        for place, text in enumerate(batch):
            document = Document(text, language, segmenter)  # type: ignore[arg-type]
            for name, form in forms.items():
                left = answer["rewritten"][name][place]
                theirs = answer["verdicts"][name][place], text if left is None else left
                found[name].add(text, judged(form, document), theirs)
    return found


def texts_of(folder: Path) -> Iterator[str]:
    """Yield the texts of all `.jsonl` and `.jsonl.gz` files of a folder; what has none is passed over."""
    for path in sorted(folder.glob("*.jsonl*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            for line in lines:
                text = json.loads(line).get("text")
                if text:
                    yield text


def corpora(
    folder: Path | None, language: Language, made: int
) -> Iterator[tuple[str, Language, Iterator[str]]]:
    """Yield the name, language and texts of everything that is judged."""
    data = os.environ.get("BENCH_DATA")
    if folder:
        yield folder.name, language, texts_of(folder)
        return
    for corpus in sorted(Path(data).glob("corpus-*")) if data else []:
        yield corpus.name, "zh" if corpus.name.endswith("-zh") else "en", texts_of(corpus)
    if not data:
        yield "docstrings", "en", iter(documents("corpus-en", 0, 10**9))
    for spoken in ("en", "zh"):
        yield f"made, {spoken}", spoken, map(hostile, range(made))


def row_of(corpus: str, name: str, found: Compared) -> Row:
    """Return one row: how many documents the sides differ on, and the share that they agree on."""
    judged = found.documents - found.raised
    details = {
        "documents": found.documents,
        "dropped": found.dropped,
        "rewritten": found.rewritten,
        "peer_raised": found.raised,
        "reasons": dict(sorted(found.reasons.items())),
    }
    share = (judged - len(found.different)) / judged if judged else 0.0
    return Row(
        f"{name}, {corpus}", "disagreements", len(found.different), None, DATATROVE_NAME, share, 1, details
    )


def show(corpus: str, name: str, different: Sequence[tuple[str, str]]) -> None:
    """Print the first disagreements."""
    for text, told in different[:SHOWN]:
        print(f"  {name}, {corpus}: {told[:300]}\n    {text[:600]!r}")


def main() -> None:
    """Compare, print what differs, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="documents to judge instead: .jsonl, each with a `text`")
    parser.add_argument("--language", choices=["en", "zh"], default="en", help="of the folder")
    parser.add_argument("--segmenter", choices=["default", "characters"], default="default")
    parser.add_argument("--made", type=int, default=2000, help="made texts of each language")
    parser.add_argument("--only", default="", help="part of the names of the corpora to judge")
    parser.add_argument("--each-rule", action="store_true", help="every rule alone, too")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    python = python_of("datatrove", DATATROVE)
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])  # our words and sentences, for the peer
    rows = []
    with Peer(python, str(Path(__file__).parent / "agreement_peer.py")) as peer:
        for corpus, language, texts in corpora(options.folder, options.language, options.made):
            if options.only not in corpus:
                continue
            forms = published(language) | (each_rule(language) if options.each_rule else {})
            for name, found in compare(texts, forms, language, options.segmenter, peer).items():
                rows.append(row_of(corpus, name, found))
                show(corpus, name, found.different)
    write("agreement", rows, {"datatrove": "0.10.1"}, **({"folder": options.out} if options.out else {}))


if __name__ == "__main__":
    main()
