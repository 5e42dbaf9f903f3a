"""Curves: thinned without moving their ends, smoothed without a lag; axes with round numbers."""

import math

import pytest

from lmtrain.reporting import svg
from lmtrain.reporting.curves import MAX_POINTS, Series, read_metrics, series, smoothed, thinned, usual
from lmtrain.reporting.line import Line


def test_metrics_come_in_the_order_of_their_steps(english):
    rows = read_metrics(Line.open(english).pretrained[0])
    steps = [row["step"] for row in rows]
    assert steps == sorted(steps)
    assert any("validation_bits_per_byte" in row for row in rows)


def test_values_that_are_missing_or_infinite_are_left_out():
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}, {"step": 3}, {"step": 4, "loss": None}]
    found = series(rows, "loss", "loss", "train")
    assert found is not None
    assert found.points == [(1.0, 2.0)]
    assert series(rows, "mfu", "mfu", "train") is None


@pytest.mark.parametrize("length", [1, 399, 400, 401, 5_000, 123_456])
def test_a_long_curve_is_thinned_and_keeps_its_last_point(length):
    points = [(float(x), float(-x)) for x in range(length)]
    kept = thinned(points)
    assert len(kept) <= MAX_POINTS
    assert kept[-1] == points[-1]
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)


def test_smoothing_leaves_a_straight_line_where_it_is():
    points = [(float(x), 3.0 * x) for x in range(60)]
    middle = smoothed(points)[10:-10]
    assert [y for _, y in middle] == pytest.approx([3.0 * x for x, _ in middle])


def test_the_usual_speed_leaves_out_the_start():
    assert (
        usual([(0, 1.0), (1, 2.0), (2, 20.0), (3, 21.0), (4, 22.0), (5, 21.5), (6, 20.5), (7, 21.0)]) == 21.0
    )


@pytest.mark.parametrize(("low", "high"), [(0, 1), (1.7, 2.6), (-0.02, 0.03), (0, 21_300), (5, 5)])
def test_ticks_are_round_and_within(low, high):
    marks = svg.ticks(low, high)
    assert marks
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in marks)
    assert len(marks) <= 8


@pytest.mark.parametrize("points", [[(1.0, 2.0)], [(0.0, 2.0), (5.0, 2.0)], [(0.0, 1.0), (1.0, 3.0)]])
def test_a_chart_of_few_or_equal_points_is_drawn_without_nan(points):
    drawn = svg.line_chart([Series("loss", "train", points)], title="loss", x_label="steps")
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert 'aria-label="loss"' in drawn


def test_a_histogram_shows_the_bins_in_use():
    drawn = svg.length_histogram([1, 10, 100, 1000, 10_000], [0, 5, 0, 2], title="lengths")
    assert drawn.count("<rect") == 3
    assert "10 bytes to 100 bytes: 5 documents" in drawn
