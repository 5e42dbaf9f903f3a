"""Why one document is kept or dropped: what every rule of every filter computes, beside its threshold.

In: a text, or the id of a document and the artifacts that it may be in; and a
config. Out: rows for a table, and what became of it as a copy. Every rule is
measured, those that are off and those behind the first broken one too; each
filter sees the text that the ones before it left.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.curation.classifier import Classifier
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.document import Document
from lmtrain.curation.filters import PRIVACY, RULES, c4, chain
from lmtrain.curation.filters.lists import bad_word_rules, url_rules
from lmtrain.curation.filters.rules import Rule, Thresholds, held_against
from lmtrain.curation.lists import Lists
from lmtrain.curation.privacy.config import KINDS, PrivacyConfig
from lmtrain.curation.privacy.finding import find
from lmtrain.curation.removal import REASONS, REMOVAL
from lmtrain.curation.share import KEEP_SHARE, Cut
from lmtrain.curation.writing import DEDUPLICATION
from lmtrain.manifest import Artifact
from lmtrain.removals.entries import Removals
from lmtrain.text.hashing import text_hash


@dataclass(frozen=True)
class Row:
    """What one rule computes for one document.

    Attributes:
        filter: the rule's filter.
        rule: the reason for which the rule drops a document, or takes lines out of it.
        value: what is measured; None where the rule only switches something on.
        sign: how the value must stand to the threshold.
        threshold: what it is held against; None where the rule is off.
        field: the name by which a recipe sets the threshold, if it can.
        outcome: what follows.
        note: what else there is to know, such as the language that was found.
    """

    filter: str
    rule: str
    value: float | None
    sign: Literal["≥", "≤", ""]
    threshold: float | None
    field: str
    outcome: Literal["met", "broken", "off", "changed"]
    note: str = ""


def explain(
    text: str,
    config: CurateConfig,
    lists: Lists | None = None,
    url: str | None = None,
    classifier: Classifier | None = None,
    cut: Cut | None = None,
    removals: Removals | None = None,
    identity: str | None = None,
) -> list[Row]:
    """Return what every rule computes for a text, filter by filter in their order.

    Args:
        text: the document's text.
        config: preset, thresholds, segmenter.
        lists: of addresses and words; none by default.
        url: where the document was found.
        classifier: scores quality, where the recipe has one.
        cut: the worst document that `keep_share` kept, once documents are curated.
        removals: what is listed for removal, where the recipe lists any.
        identity: the document's id, if it has one; it also orders documents of the same score.

    Raises:
        RecipeError: a segmenter isn't installed.
    """
    given, thresholds = lists or Lists(), config.all_thresholds
    document = Document(text, config.language, config.segmenter, url, classifier)
    rules = {**RULES, "urls": url_rules(given), "bad_words": bad_word_rules(given)}
    rows: list[Row] = []
    left: str | None = None  # of the text, by the filters up to the first that drops it
    for name, function in chain(given, config.privacy).items():
        if name == "c4":
            rows += _c4_rows(document, thresholds)
        elif name == PRIVACY:
            rows += _privacy_rows(document, config.privacy)
        else:
            rows += _rows(name, rules[name], document, thresholds)
        verdict = function(document, thresholds)
        if verdict is not True and verdict[0] is True:
            document = document.with_text(verdict[1])
        elif verdict is not True and left is None:
            left = document.text
    if config.keep_share < 1:
        rows.append(_share_row(document, config.keep_share, cut, identity))
    if removals is None:
        return rows
    texts = text, document.text if left is None else left
    return [*_removal_rows(removals, identity, url, texts), *rows]


def _removal_rows(
    removals: Removals, identity: str | None, url: str | None, texts: tuple[str, str]
) -> Iterator[Row]:
    """Yield whether a document is listed; of its text, as it is and as the filters change it."""
    by_text = next(filter(None, (removals.by_hash(text_hash(text)) for text in texts)), None)
    found = {"ids": removals.by_name(identity, None), "urls": removals.by_name(None, url)}
    for name, listed in {**found, "text_hashes": by_text}.items():
        note = f"remove.{name}" + (f": {listed.entry}" if listed else "")
        outcome = "broken" if listed else "met"
        yield Row(REMOVAL, REASONS[name], float(bool(listed)), "≤", 0, "", outcome, note)


def decision(rows: Sequence[Row]) -> Row | None:
    """Return the row of the rule that drops the document: the first that is broken; None if it is kept."""
    return next((row for row in rows if row.outcome == "broken"), None)


def _rows(name: str, rules: Sequence[Rule], document: Document, thresholds: Thresholds) -> Iterator[Row]:
    for rule, threshold in zip(rules, held_against(rules, thresholds), strict=True):
        value = rule.measure(document)
        broken = threshold is not None and rule.breaks(value, threshold)
        yield Row(
            filter=name,
            rule=rule.reason,
            value=value,
            sign="≥" if rule.is_minimum else "≤",
            threshold=threshold,
            field="" if rule.always is not None else rule.threshold,
            outcome="off" if threshold is None else "broken" if broken else "met",
            note=_note(name, rule, document),
        )


def _note(name: str, rule: Rule, document: Document) -> str:
    if name == "language":
        found, score = document.identified
        return f"{found} {score:.3f}, {document.language} is wanted"
    return (rule.told(document) if rule.told else None) or ""


def _privacy_rows(document: Document, config: PrivacyConfig) -> Iterator[Row]:
    """Yield how often each kind of personal data is found, and what is done about it."""
    counts = Counter(match.kind for match in find(document.text, points=document.characters))
    for kind in KINDS:
        action, count = config.action_of(kind), counts[kind]
        outcome = "met"
        if action == "off":
            outcome = "off"
        elif count and action == "drop":
            outcome = "broken"
        elif count and action == "replace":
            outcome = "changed"
        yield Row(
            filter=PRIVACY,
            rule=kind,
            value=count,
            sign="≤" if action == "drop" else "",
            threshold=0 if action == "drop" else None,
            field="privacy",
            outcome=outcome,
            note="" if action == "off" else action,
        )


def _share_row(document: Document, share: float, cut: Cut | None, identity: str | None) -> Row:
    """Return how the document scores beside the worst that stays; without an id it wins among equals."""
    score, outcome, note = document.quality, "met", f"the best {share:g} by score"
    if cut is None:
        outcome, note = "off", f"{note}: from which score is known once documents are curated"
    elif score < cut.threshold or (identity is not None and not cut.keeps(score, identity)):
        outcome = "broken"
    threshold = cut.threshold if cut else None
    return Row(KEEP_SHARE, "low_quality", score, "≥", threshold, KEEP_SHARE, outcome, note)


def _c4_rows(document: Document, thresholds: Thresholds) -> Iterator[Row]:
    """Yield what C4's rules make of the lines, and what follows for the document."""
    found = c4.lines_of(document, thresholds)
    for reason, field in c4.LINE_THRESHOLDS.items():
        removed = found.removed[reason]
        on = field in thresholds and (thresholds[field] > 0 or field.startswith("max_"))
        yield Row(
            filter="c4",
            rule=reason,
            value=removed if on else None,
            sign="",
            threshold=thresholds.get(field),
            field=field,
            outcome="off" if not on else "changed" if removed else "met",
            note=f"lines removed of {found.lines}" if on else "",
        )
    for reason in ("lorem_ipsum", "curly_bracket"):
        field = c4.DOCUMENT_THRESHOLDS[reason]
        taken = found.taken_by == reason
        outcome = "off" if not thresholds.get(field) else "broken" if taken else "met"
        value = None if outcome == "off" else float(taken)
        yield Row("c4", reason, value, "", thresholds.get(field), field, outcome)
    least = thresholds.get("min_sentences")
    short = least is not None and found.sentences < least and not found.taken_by
    outcome = "off" if least is None else "broken" if short else "met"
    yield Row("c4", "few_sentences", found.sentences, "≥", least, "min_sentences", outcome)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines for a terminal, under a line of titles."""
    cells = [("filter", "rule", "measured", "", "threshold", "", "curate.thresholds / note")]
    cells += [
        (
            row.filter,
            row.rule,
            _number(row.value),
            row.sign,
            _number(row.threshold),
            row.outcome if row.outcome != "broken" else "BROKEN",
            " ".join(part for part in (row.field, f"({row.note})" if row.note else "") if part),
        )
        for row in rows
    ]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def told(row: Row | None) -> str:
    """Return in one line what the rules decide."""
    if row is None:
        return "kept by every filter"
    sign = {"≥": "<", "≤": ">"}.get(row.sign)
    figures = f": {_number(row.value)} {sign} {_number(row.threshold)}" if sign else ""
    return f"dropped by {row.filter}/{row.rule}{figures}{f' ({row.note})' if row.note else ''}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def find_document(corpora: Sequence[Artifact], identity: str) -> dict[str, Any] | None:
    """Return the `id`, `text`, `url` and `source` of a document of one of the corpora, or None."""
    for corpus in corpora:
        for record in corpus.files("documents"):
            wanted = pq.read_table(
                corpus.open(record),
                columns=["id", "text", "url", "source"],
                filters=pc.field("id") == identity,
            )
            if wanted.num_rows:
                return wanted.to_pylist()[0]
    return None


def told_as_removed(documents: Artifact, identity: str, row: Row | None) -> str | None:
    """Return in one line what holds for a listed document that was curated before it was listed; else None.

    Args:
        documents: what was curated.
        identity: the document's id.
        row: of the rule that drops it now.
    """
    if row is None or row.filter != REMOVAL or find_document([documents], identity) is None:
        return None
    return (
        f"it was curated before it was listed: it stays in {documents.address.folder}, and training skips it"
    )


def told_as_copy(documents: Artifact, identity: str) -> str:
    """Return in one line whether curation dropped a document as a copy, and of what."""
    for record in documents.files("dropped"):
        found = pq.read_table(documents.open(record), filters=pc.field("id") == identity)
        for row in found.to_pylist():
            if row["filter"] == DEDUPLICATION and row["detail"] is not None:
                told = f"dropped as {row['reason']} of {row['detail']}"
                if row["value"] is None:  # known by its id alone
                    return told
                return f"{told}: Jaccard index {row['value']:.3f} against {row['threshold']:g}"
            return f"not compared with others: {row['filter']}/{row['reason']} dropped it before"
    return "no copy of another document"
