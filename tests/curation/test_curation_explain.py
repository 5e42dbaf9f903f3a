"""Every rule is told for a document, and what is told is what curation does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.curation.config import CurateConfig
from lmtrain.curation.document import Document
from lmtrain.curation.explain import decision, explain, table, told
from lmtrain.curation.filters import RULES, c4, chain
from lmtrain.curation.judging import judge
from lmtrain.curation.lists import Lists
from lmtrain.curation.privacy.config import PrivacyConfig

LISTS = Lists(domains=("bad.com",), bad_words={"en": ("bad",), "zh": ("坏",)})
WORDS = [
    "the ",
    "of ",
    "and ",
    "data ",
    "bad ",
    "[1] ",
    "{ ",
    "javascript ",
    "here. ",
    "坏",
    "。",
    "\n",
    "\n\n",
]
PRESETS = ["english", "gopher", "c4", "fineweb", "japanese", "korean", "none"]

NO_PRIVACY = PrivacyConfig()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=80).map("".join), st.sampled_from(PRESETS), st.booleans())
def test_the_first_broken_rule_is_the_one_that_drops(text, preset, listed):
    config = CurateConfig(preset=preset, thresholds={"min_language_score": 0, "min_words": 3})
    url = "http://bad.com" if listed else None
    judged = judge(Document(text, config.language, config.segmenter, url), chain(LISTS, NO_PRIVACY), config)
    row = decision(explain(text, config, LISTS, url))
    assert (judged.dropped is None) == (row is None)
    if row is not None:
        assert (row.filter, "other_language" if judged.dropped[1] == "other_language" else row.rule) == (
            judged.dropped[0],
            str(judged.dropped[1]),
        )


def test_every_rule_has_a_row_on_or_off():
    rows = explain("Some text.", CurateConfig(preset="none"), LISTS)
    found = {(row.filter, row.rule) for row in rows}
    assert found >= {(name, rule.reason) for name, rules in RULES.items() for rule in rules}
    assert found >= {("c4", reason) for reason in (*c4.LINE_THRESHOLDS, *c4.DOCUMENT_THRESHOLDS)}
    assert found >= {("urls", "domain"), ("bad_words", "bad_word")}
    assert {row.outcome for row in rows if row.field} == {"off"}


def test_a_later_filter_sees_the_text_that_c4_left():
    lines = "This is one line of the text, and it ends here. It has more. And more.\n" * 2
    config = CurateConfig(preset="fineweb", thresholds={"min_sentences": 2, "max_newline_ratio": 0.01})
    rows = {
        (row.filter, row.rule): row for row in explain(f"{lines}\n\n\nUse javascript here now.\n", config)
    }
    assert rows["c4", "javascript"].value == 1
    assert rows["c4", "javascript"].outcome == "changed"
    assert rows["fineweb", "newlines"].value == pytest.approx(1 / 40)


def test_a_table_says_value_threshold_and_field():
    rows = explain("Too short.", CurateConfig(preset="gopher", thresholds={"min_language_score": 0}))
    line = next(line for line in table(rows) if "few_words" in line)
    assert line.split() == ["gopher_quality", "few_words", "2", "≥", "50", "BROKEN", "min_words"]
    assert told(decision(rows)) == "dropped by gopher_quality/few_words: 2 < 50"
    assert told(None) == "kept by every filter"


def test_chinese_is_explained():
    rows = explain("数据质量决定了模型能够达到的水平。", CurateConfig(preset="chinese"), LISTS)
    assert next(row for row in rows if row.filter == "language").note.startswith("zh 0.9")
    assert told(decision(rows)).startswith("dropped by gopher_quality/few_words: ")
