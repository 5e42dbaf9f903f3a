"""What the page shows: rows that agree with the stats, and a picture that needs no other file."""

import base64

import pytest

from tasks.figures import (
    as_markdown,
    curves_of,
    draw_curves,
    dropped_rows,
    funnel_rows,
    markdown_table,
    score_rows,
)

STATS = {
    "funnel": [
        {"filter": "read", "documents": 200, "bytes": 3_000_000, "dropped": 0},
        {"filter": "language", "documents": 150, "bytes": 2_000_000, "dropped": 50},
        {"filter": "重复", "documents": 100, "bytes": 1_000_000, "dropped": 50},
    ],
    "dropped": {"language/other": 50, "copies/exact": 20, "copies/near": 30},
}


def test_the_funnel_has_a_row_per_filter_with_what_is_left():
    rows = funnel_rows(STATS)
    assert [row["filter"] for row in rows] == ["read", "language", "重复"]
    assert [row["share"] for row in rows] == ["100.0 %", "75.0 %", "50.0 %"]
    assert rows[-1] == {"filter": "重复", "documents": 100, "share": "50.0 %", "dropped": 50, "MB": 1.0}


def test_an_empty_corpus_has_a_funnel_too():
    rows = funnel_rows({"funnel": [{"filter": "read", "documents": 0, "bytes": 0, "dropped": 0}]})
    assert rows[0]["share"] == "0.0 %"


def test_reasons_stand_with_the_commonest_first():
    assert [row["reason"] for row in dropped_rows(STATS)] == ["language/other", "copies/near", "copies/exact"]


def test_scores_stand_with_their_interval():
    score = {
        "system": "bigram",
        "task": "language_modeling",
        "dataset": "python-english",
        "split": "test",
        "metric": "bits_per_byte",
        "value": 2.05,
        "low": 2.01,
        "high": 2.09,
        "samples": 812,
    }
    (row,) = score_rows([score])
    assert row["95 % interval"] == "2.0100 to 2.0900"
    assert row["set"] == "python-english (test)"


def test_curves_are_read_from_the_rows_that_hold_them():
    metrics = [
        {"step": 1, "loss": 8.0, "grad_norm": 1.0},
        {"step": 2, "loss": 7.0},
        {"step": 2, "validation_loss": 7.5},
    ]
    assert curves_of(metrics, ("loss", "validation_loss")) == {
        "loss": [(1, 8.0), (2, 7.0)],
        "validation_loss": [(2, 7.5)],
    }


@pytest.mark.parametrize("curves", [{}, {"loss": [(1, 8.0)]}, {"loss": [(1, 8.0), (2, float("nan"))]}])
def test_the_picture_is_a_png_that_stands_in_the_text_itself(curves):
    picture = draw_curves(curves)
    text = as_markdown("pretrain", curves, picture)
    encoded = text.split("base64,")[1].split(")")[0]
    assert base64.b64decode(encoded) == picture
    assert picture.startswith(b"\x89PNG")


def test_a_table_cannot_be_broken_by_what_stands_in_it():
    table = markdown_table([{"name": "a|b<script>", "count": 1234}])
    assert table.splitlines() == [
        "| name | count |",
        "| --- | ---: |",
        "| a\\|b&lt;script&gt; | 1,234 |",
    ]


def test_no_rows_are_said_to_be_none():
    assert markdown_table([]) == "(nothing)"
