"""The page: well formed, alone in the world, honest with numbers, deaf to hostile text."""

import re
from pathlib import Path

import pytest
from made_line import CHINESE, DROPPED_COUNTS, HOSTILE
from page_reader import Reader

from lmtrain.reporting import humanize, page
from lmtrain.reporting.line import Line, Scored
from lmtrain.reporting.results import read_scores
from lmtrain.reporting.volumes import volumes

NAMES = ["english", "chinese", "bare"]


@pytest.fixture(params=NAMES)
def reader(request, pages: dict[str, Path]) -> Reader:
    return Reader(pages[request.param].read_text(encoding="utf-8"))


@pytest.fixture
def english_page(pages) -> Reader:
    return Reader(pages["english"].read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_every_id_is_used_once(reader: Reader):
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 5


def test_every_link_within_the_page_leads_somewhere(reader: Reader):
    ids = {attributes.get("id") for _, attributes in reader.elements}
    targets = {attributes["href"] for tag, attributes in reader.elements if tag == "a"}
    assert len(targets) > 3
    assert {target.removeprefix("#") for target in targets} <= ids


def test_it_asks_nothing_of_any_network(reader: Reader, pages):
    for tag, attributes in reader.elements:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "xlink:href", "action", "poster"):
            assert not re.match(r"\s*(?:[a-z]+:)?//", attributes.get(name) or ""), (tag, attributes)
    style = "".join(re.findall(r"<style>(.*?)</style>", pages["english"].read_text(), re.DOTALL))
    assert "url(" not in style
    assert "@import" not in style
    policies = [
        given.get("content") for tag, given in reader.elements if tag == "meta" and "http-equiv" in given
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_hostile_text_is_shown_and_never_run(pages, english_page: Reader):
    raw = pages["english"].read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in raw
    assert "<script" not in raw
    assert "<img" not in raw
    assert HOSTILE.replace("  ", " ") in english_page.shown


def test_the_page_stays_small(pages):
    assert all(path.stat().st_size < 2_000_000 for path in pages.values())


def test_every_figure_says_what_it_shows_and_every_table_has_headers(english_page: Reader):
    drawings = [given for tag, given in english_page.elements if tag == "svg"]
    assert len(drawings) >= 6
    assert all(given.get("role") == "img" and given.get("aria-label") for given in drawings)
    tables = sum(tag == "table" for tag, _ in english_page.elements)
    assert sum(tag == "thead" for tag, _ in english_page.elements) == tables > 5
    assert all(given.get("scope") in ("col", "row") for tag, given in english_page.elements if tag == "th")


def all_scores(inputs) -> list[tuple[Scored, dict]]:
    return [(scored, row) for scored in Line.open(inputs).scored for row in read_scores(scored)]


def test_every_score_stands_on_the_page_with_its_interval(english, english_page: Reader):
    rows = all_scores(english)
    assert len(rows) > 20
    for _, row in rows:
        value = humanize.score(row["value"])
        interval = (
            f"{humanize.score(row['low'], row['value'])} to {humanize.score(row['high'], row['value'])}"
        )
        assert f"{value} {interval}" in english_page.shown, row


def test_the_headline_shows_our_value_its_interval_and_every_baseline(english, english_page: Reader):
    cards = english_page.shown.split("Scores Each value")[0]
    for scored in Line.open(english).scored:
        headline = scored.artifact.stats["headline"]
        assert humanize.score(headline["value"]) in cards
        if scored.system in ("model", "pretrained"):
            low, high = (humanize.score(headline[end], headline["value"]) for end in ("low", "high"))
            assert f"95 % interval {low} to {high}" in cards


def test_it_says_in_plain_words_what_pretraining_bought(english_page: Reader):
    shown = english_page.shown
    assert re.search(
        r"Pretraining bought \+0\.\d{3} accuracy \(95 % interval \+0\.\d{3} to \+0\.\d{3}\)\.", shown
    )
    assert "Pretraining made no difference that the test set could show: " in shown
    assert re.search(r"Beats the bigram model: −0\.\d{3} bits per byte", shown)
    assert re.search(r"Beats the first sentence: \+0\.\d{3} ROUGE-L", shown)


def test_the_funnel_and_the_reasons_add_up_to_what_was_read(english_page: Reader):
    shown = english_page.shown
    assert "41,250 read = 22,360 kept + 18,890 dropped" in shown
    for key, number in DROPPED_COUNTS.items():
        filtered, _, reason = key.partition("/")
        assert f"{humanize.words(reason)} {humanize.words(filtered)} {number:,}" in shown
    for step in (
        "41,250",
        "40,000 · 17.6 MB",
        "38,690",
        "31,475",
        "28,805",
        "25,000",
        "22,400 · 13.2 MB",
        "22,360 · 13.2 MB",
    ):
        assert step in shown


def test_each_reason_tells_bytes_and_words_beside_documents(english_page: Reader):
    for number in DROPPED_COUNTS.values():
        volume = f"{humanize.size(number * 250)} · {humanize.compact(number * 40)} words"
        assert re.search(rf"{number:,} [\d.]+ % {volume}", english_page.shown)


def test_every_line_of_the_totals_tells_what_was_kept_dropped_and_read(english, english_page: Reader):
    table = english_page.shown.split("By source and licence")[1].split("Taken out")[0]
    lines = volumes(Line.open(english))
    assert [line.license for line in lines] == ["", "BSD-3-Clause", "Apache-2.0", "PSF-2.0", "MIT", "unknown"]
    for line in lines:
        documents, words = line.figures["documents"], line.figures["words"]
        name = line.license or line.source
        kept, dropped, read = (humanize.count(documents[done]) for done in ("kept", "dropped", "read"))
        assert f"{name} {kept} {dropped} dropped {read} read" in table
        kept, dropped, read = (humanize.compact(words[done]) for done in ("kept", "dropped", "read"))
        tokens = humanize.compact(line.figures["tokens"]["kept"])
        assert f"{kept} {dropped} dropped {read} read {tokens}" in table


def test_what_was_cut_out_of_texts_is_told_by_kind_and_without_what_never_occurred(english_page: Reader):
    assert (
        "900 documents changed: 600 kB and 90,000 words less. unpunctuated 9,000 lines policy 40 lines"
        in (english_page.shown)
    )
    assert "email 14 places phone 1 place" in english_page.shown
    assert "javascript" not in english_page.shown


def test_examples_that_were_touched_more_than_once_are_named(english_page: Reader):
    assert "160 test examples, of which 12 are too short" in english_page.shown
    assert (
        "5 documents dropped, 2 examples touched; most often test-0 (by 3), test-1 (by 2)"
        in english_page.shown
    )


def test_copies_and_contradicting_labels_are_told(chinese):
    shown = Reader(page.render(page.gather(Line.open(chinese), "zh"))).shown
    assert "4,630 examples were copies of another, and were taken out." in shown
    assert "106 texts stand under more than one label" in shown
    assert "all 212 examples of them were taken out" in shown


def test_chinese_stands_in_its_own_language(chinese):
    reader = Reader(page.render(page.gather(Line.open(chinese), "zh")))
    assert CHINESE in reader.shown
    quotes = [given for tag, given in reader.elements if tag == "blockquote"]
    assert sum(given.get("lang") == "zh-Hans" for given in quotes) > 10


@pytest.mark.parametrize(
    "missing",
    [
        ["labelled"],
        ["scores"],
        ["models", "scores"],
        ["corpora"],
        ["documents"],
        ["tokenizer", "shards"],
        ["corpora", "documents", "labelled", "tokenizer", "shards", "models"],
        ["corpora", "documents", "labelled", "tokenizer", "shards", "models", "scores"],
    ],
    ids=lambda roles: "+".join(roles),
)
def test_a_part_that_is_missing_leaves_a_page(english, missing):
    inputs = {role: urls for role, urls in english.items() if role not in missing}
    reader = Reader(page.render(page.gather(Line.open(inputs), "quickstart")))
    assert "quickstart" in reader.shown
    anchors = {given["href"] for tag, given in reader.elements if tag == "a"}
    assert ("#scores" in anchors) == ("scores" not in missing)


def test_a_run_without_fine_tuning_says_nothing_of_it(bare):
    shown = Reader(page.render(page.gather(Line.open(bare), "bare"))).shown
    assert "Fine-tuning" not in shown
    assert "Labelled sets" not in shown
    assert "Bits per byte on python-english" in shown
