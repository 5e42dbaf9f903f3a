"""What a model had seen is told by the order it was trained in: any packing, any mixing, a growing batch."""

from types import SimpleNamespace

import pytest
from tiny_line import split_of

from lmtrain import seen
from lmtrain.manifest import Artifact
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.mixing import training_order
from lmtrain.pretraining.rows import open_rows

ORDERS = [
    {"packing": "best_fit"},
    {"packing": "none", "batch_ramp_ratio": 0.5, "batch_ramp_start": 1},
    {"packing": "concatenate", "mixing": {"temperature": 0.5}},
    {"packing": "none", "mixing": {"max_epochs": 3.0}},
]


@pytest.mark.parametrize("settings", ORDERS)
def test_documents_were_seen_of_which_a_row_was_reached(line, settings):
    config = PretrainConfig.model_validate(
        {"row_tokens": 16, "train_batch_size": 3, "max_steps": 4, **settings}
    )
    shards = Artifact(line.shards_url)
    rows = open_rows(shards, "train", 16, 0, packing=config.packing)
    order = training_order(config, rows)
    stop = 2 * 3 if not config.batch_ramp_ratio else 1 + 2
    names = {f"d{n:03d}" for n in range(len(line.texts)) if split_of(n, len(line.texts)) == "train"}
    expected = {name for row in rows.documents(order.at(0, stop)[1]) for name in row}
    assert 0 < len(expected) < len(names)
    model = SimpleNamespace(manifest=SimpleNamespace(config=config.addressed()), stats={"steps": 2})
    assert seen._reached(model, shards, frozenset(), frozenset(names)) == expected
