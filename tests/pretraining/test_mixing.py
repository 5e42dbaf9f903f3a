"""A recipe's mixing becomes exact numbers of rows, and what can't be mixed so is refused before training."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_shards import END, made, written
from pydantic import ValidationError

from lmtrain.errors import RecipeError
from lmtrain.manifest import Address, address_of
from lmtrain.pretraining.config import MixingConfig, PretrainConfig
from lmtrain.pretraining.mixing import mixing_figures, rows_in_block, training_order, weights
from lmtrain.training.order import BLOCK, MixedOrder, PermutedOrder
from lmtrain.training.packing import PackedRows
from lmtrain.training.schedule import batch_size, rows_before


def opened(folder: Path, documents: list[int]) -> PackedRows:
    """Rows of 10 tokens, of so many documents of 9 tokens in each source: a row each."""
    return PackedRows(written(folder, made([[9] * count for count in documents])), 10, END)


def config_of(mixing: dict, **settings) -> PretrainConfig:
    return PretrainConfig.model_validate({"row_tokens": 10, "mixing": mixing, **settings})


def test_without_mixing_every_row_is_read_as_often_and_no_address_moves(tmp_path):
    assert isinstance(training_order(PretrainConfig(), opened(tmp_path, [3, 5])), PermutedOrder)
    inputs = {"shards": [Address("shards", "s", "0" * 12)]}
    assert address_of(PretrainConfig(), inputs) == address_of(config_of({}, row_tokens=512), inputs)
    assert PretrainConfig(packing="concatenate", mixing=MixingConfig()).addressed() == {}


@pytest.mark.parametrize(
    ("temperature", "shares"),
    [(1.0, [0.8, 0.2]), (0.0, [0.5, 0.5]), (0.5, [2 / 3, 1 / 3])],
)
def test_a_share_goes_by_tokens_to_the_power_of_the_temperature(temperature, shares):
    found = weights(MixingConfig(temperature=temperature), {"a": 8000, "b": 2000})
    assert [found[name] / sum(found.values()) for name in "ab"] == pytest.approx(shares)
    assert np.mean(list(found.values())) == pytest.approx(1), "a weight beside them is in units of their mean"


def test_a_weight_of_its_own_stands_beside_those_by_temperature():
    mixing = MixingConfig.model_validate({"temperature": 0, "sources": [{"source": "b", "weight": 3}]})
    assert weights(mixing, {"a": 7, "b": 1, "c": 90}) == {"a": 1, "b": 3, "c": 1}


def test_rows_are_dealt_by_largest_remainders():
    assert rows_in_block({"a": 3, "b": 3, "c": 3}, "abc") == [342, 341, 341]
    assert rows_in_block({"a": 1.0, "b": 0.0}, "ab") == [BLOCK, 0]
    assert rows_in_block({"a": 1023.4, "b": 0.6}, "ab") == [1023, 1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.5, 20), min_size=1, max_size=12))
def test_a_block_is_full_and_no_share_is_off_by_a_row(given_weights):
    names = [f"s{number}" for number in range(len(given_weights))]
    counts = rows_in_block(dict(zip(names, given_weights, strict=True)), names)
    assert sum(counts) == BLOCK
    exact = np.array(given_weights) / sum(given_weights) * BLOCK
    assert (np.abs(counts - exact) < 1).all()


REFUSED = {
    "unknown source": (
        {"sources": [{"source": "source9", "weight": 1}]},
        r"pretrain\.mixing\.sources: no source 'source9' .*\(there are: source0, source1\)",
    ),
    "nothing left": (
        {"sources": [{"source": "source0", "weight": 0}, {"source": "source1", "weight": 0}]},
        r"pretrain\.mixing\.sources: every weight is 0",
    ),
    "too little for a row": (
        {"sources": [{"source": "source0", "weight": 1}, {"source": "source1", "weight": 0.0001}]},
        r"'source1' with weight 0\.0001 of 1 has no row in 1,024: give it at least 0\.00099, or 0",
    ),
    "too many epochs": (
        {"temperature": 0, "sources": [{"source": "source0", "max_epochs": 2}]},
        r"max_epochs of 'source0' is 2, but max_steps 600 would read its 30 rows 160\.\d+ times: "
        r"set max_steps of at most 8, ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_mixed_is_refused_in_one_line(tmp_path, name):
    mixing, told = REFUSED[name]
    with pytest.raises(RecipeError, match=told) as raised:
        training_order(config_of(mixing, train_batch_size=16), opened(tmp_path, [30, 400]))
    assert "\n" not in str(raised.value)


def test_a_source_that_lost_all_its_documents_is_refused_a_weight(tmp_path):
    paths = written(tmp_path, made([[9] * 30, [9]]))
    rows = PackedRows(paths, 10, END, {made([[9] * 30, [9]])[1][0][0]})
    told = r"'source1' has weight 2, but no tokens in the training split"
    with pytest.raises(RecipeError, match=told):
        training_order(config_of({"sources": [{"source": "source1", "weight": 2}]}), rows)
    order = training_order(config_of({"temperature": 0.5}), rows)
    assert isinstance(order, MixedOrder)
    assert order.counts.tolist() == [BLOCK, 0]


@pytest.mark.parametrize("ramp", [0.0, 0.5])
def test_the_most_steps_that_a_refusal_names_are_the_most_that_fit(tmp_path, ramp):
    rows = opened(tmp_path, [300, 4000])
    settings = {"train_batch_size": 24, "batch_ramp_ratio": ramp, "batch_ramp_start": 4}
    mixing = {"temperature": 0.0, "max_epochs": 1.5}
    with pytest.raises(RecipeError) as raised:
        training_order(config_of(mixing, max_steps=5000, **settings), rows)
    most = int(str(raised.value).split("at most ")[1].split(",")[0])
    order = training_order(config_of(mixing, max_steps=most, **settings), rows)
    read = order.at(0, rows_before(most, most, config_of(mixing, max_steps=most, **settings)))
    assert (read[1] < 300).sum() <= 450
    with pytest.raises(RecipeError):
        training_order(config_of(mixing, max_steps=most + 1, **settings), rows)


def test_rows_before_a_step_are_those_of_all_batches(tmp_path):
    config = PretrainConfig(train_batch_size=24, batch_ramp_ratio=0.3, batch_ramp_start=4)
    sizes = [batch_size(step, 50, config) for step in range(50)]
    assert [rows_before(step, 50, config) for step in range(51)] == [0, *np.cumsum(sizes).tolist()]


def test_figures_tell_the_share_of_a_source_and_how_often_it_was_read(tmp_path):
    rows = opened(tmp_path, [256, 1000])
    order = training_order(config_of({"temperature": 0.0}), rows)
    assert mixing_figures(rows, order, 2 * BLOCK) == {
        "source0": {"share": 0.5, "epochs": 4.0},
        "source1": {"share": 0.5, "epochs": 1.024},
    }
    assert mixing_figures(rows, PermutedOrder(1256, 0), 100) == {}


@pytest.mark.parametrize(
    ("mixing", "told"),
    [
        ({"temperature": 5}, "less than or equal to 1"),
        ({"sources": [{"source": "a", "weight": -1}]}, "greater than or equal to 0"),
        ({"max_epochs": 0}, "greater than 0"),
        ({"sources": [{"source": "a"}, {"source": "a", "weight": 1}]}, "'a' stands there 2 times"),
    ],
)
def test_fields_out_of_bounds_are_refused_by_the_config(mixing, told):
    with pytest.raises(ValidationError, match=told):
        MixingConfig.model_validate(mixing)
