"""How often rows of each set are read, and which of them there are."""

import numpy as np
import pytest

from lmtrain.encoding.rows import Row
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.mixing import SetRows, mixed_order, rows_in_block
from lmtrain.finetuning.several_config import SeveralConfig


def rows_of(*sizes):
    def encode(example):
        return [Row({"input_ids": np.array([example["value"]])})]

    return [
        ExampleRows([{"id": f"{one}-{place}", "value": 100 * one + place} for place in range(size)], encode)
        for one, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("settings", "sizes", "expected"),
    [
        ({}, [100, 300], [256, 768]),
        ({"temperature": 0}, [100, 300], [512, 512]),
        ({"size_limit": 100}, [100, 300], [512, 512]),
        ({"temperature": 0.5}, [100, 900], [256, 768]),
        ({}, [1, 10_000_000], [1, 1023]),
        ({}, [7], [1024]),
    ],
)
def test_shares_go_by_size_and_no_set_is_left_out(settings, sizes, expected):
    found = rows_in_block(sizes, SeveralConfig(name="all", **settings))
    assert sum(found) == 1024
    assert np.abs(np.array(found) - expected).max() <= 1  # one row of each is kept aside


def test_rows_keep_their_set_and_their_example():
    rows = SetRows(rows_of(3, 2))
    assert [(number, int(row.by_token["input_ids"][0])) for number, row in rows.take(np.arange(5))] == [
        (0, 0), (0, 1), (0, 2), (1, 100), (1, 101),
    ]  # fmt: skip
    assert rows.documents(np.array([4, 0])) == [["1-1"], ["0-0"]]
    assert rows.first_row.tolist() == [0, 3, 5]


def test_of_a_large_set_as_many_rows_are_looked_at_as_of_a_small_one():
    rows = SetRows(rows_of(50, 4), most=5)
    numbers = [number for number, _ in rows.take(np.arange(len(rows)))]
    assert numbers == [0] * 5 + [1] * 4
    drawn = [name for (name,) in rows.documents(np.arange(5))]
    assert len(set(drawn)) == 5
    assert drawn == [name for (name,) in SetRows(rows_of(50, 4), most=5).documents(np.arange(5))]


def test_each_row_of_the_largest_set_is_read_before_one_is_read_again():
    rows = SetRows(rows_of(60, 20))
    order = mixed_order(SeveralConfig(name="all"), rows)
    seen = order.at(0, 1024)[1]
    counts = np.bincount(seen, minlength=80)
    assert counts[:60].max() - counts[:60].min() <= 1
    assert counts[60:].max() - counts[60:].min() <= 1
