"""The drawn graph: boxes below what they need, beside each other without overlap."""

import re

from lmtrain.reporting.stage_graph import BOX_WIDTH, Box, levels, stage_graph


def box(key: str, *needs: str) -> Box:
    return Box(key, "model", "pretrain", key, key, list(needs))


DIAMOND = [box("a"), box("b", "a"), box("c", "a"), box("d", "b", "c", "a")]


def test_a_box_stands_below_all_that_it_needs():
    assert levels(DIAMOND) == {"a": 0, "b": 1, "c": 1, "d": 2}


def test_boxes_of_a_row_do_not_overlap_and_stay_in_the_picture():
    drawn = stage_graph(DIAMOND, "a diamond")
    places = [(float(x), int(y)) for x, y in re.findall(r'<rect x="([\d.-]+)" y="(\d+)"', drawn)]
    assert len(places) == 4
    width = float(re.search(r'width="(\d+)"', drawn)[1])
    assert all(x >= -2 and x + BOX_WIDTH <= width for x, _ in places)
    same_row = sorted(x for x, y in places if y == places[1][1])
    assert same_row[1] - same_row[0] > BOX_WIDTH


def test_a_curve_over_several_rows_passes_each_in_a_place_of_its_own():
    assert stage_graph(DIAMOND, "a diamond").count('class="edge"') == 6  # a→d is drawn in two pieces


def test_names_are_escaped():
    assert "&lt;b&gt;" in stage_graph([box("<b>")], "x < y")
