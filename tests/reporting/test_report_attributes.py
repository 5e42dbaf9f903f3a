"""Errors by attribute on the page: each value, one of too few examples, and the gaps."""

import json

from made_samples import HOSTILE_DOMAIN

from lmtrain.reporting import page
from lmtrain.reporting.attributes import by_attribute
from lmtrain.reporting.line import Line
from lmtrain.reporting.results import results


def test_values_and_gaps_are_those_of_the_scores(english):
    line = Line.open(english)
    result = next(one for one in results(line) if one.task == "classification")
    apart = result.by_attribute
    ours = next(one for one in line.scored if one.task == "classification" and one.system == "pretrained")
    (record,) = ours.artifact.files("attributes")
    rows = json.loads(ours.artifact.open(record).read_text(encoding="utf-8"))
    assert [(bar.name, bar.value) for bar in apart.values] == [
        ("books", rows[0]["score"]), (HOSTILE_DOMAIN, rows[1]["score"]), ("songs", None),
    ]  # fmt: skip
    assert apart.gaps[0].name == result.headline.name
    assert apart.gaps[0].value == abs(rows[0]["score"] - rows[1]["score"])
    rates = [bar.value for bar in apart.gaps[1:]]
    assert rates == sorted(rates, reverse=True)
    assert all(apart.axis[0] <= bar.low and bar.high <= apart.axis[1] for bar in apart.values[:2])


def test_the_page_tells_them_and_escapes_what_data_say(english):
    html = page.render(page.gather(Line.open(english), "quickstart"))
    assert "Largest gaps" in html
    assert HOSTILE_DOMAIN not in html
    assert "films &lt;b&gt;&amp;&lt;/b&gt;" in html
    assert "is found where it is true" in html


def test_scores_without_an_attribute_have_no_such_tables(english):
    line = Line.open(english)
    scored = next(one for one in line.scored if one.task == "summarization")
    assert by_attribute(scored, "ROUGE-L") is None
