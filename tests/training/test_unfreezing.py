"""What is frozen stays as it is to the bit: weights and moments; a resumed training agrees."""

from itertools import pairwise

import pytest
import torch
from sharding_program import OPTIMIZERS
from test_loop import cancels_after, saving_often
from tiny_training import trainer, watched

from lmtrain.errors import CancelledError
from lmtrain.modeling.layers import depths, first_steps
from lmtrain.training.loop import whole_weights
from lmtrain.training.process import Process


def test_one_layer_more_is_trained_with_every_epoch_from_the_top(tmp_path):
    model = trainer(tmp_path, Process(), "zero2", "adamw").job.model
    depth = {name.removeprefix("model."): deep for name, deep in depths(model).items()}
    assert depth["embed_tokens.weight"] == 3
    assert {deep for name, deep in depth.items() if name.startswith("layers.0.")} == {2}
    assert {deep for name, deep in depth.items() if name.startswith("layers.1.")} == {1}
    assert depth["norm.weight"] == 0
    for new_head, expected in ((True, {0: 0, 1: 3, 2: 5, 3: 8}), (False, {0: 0, 1: 0, 2: 3, 3: 5})):
        found = first_steps(model, 10, 4, new_head=new_head)  # 2.5 steps in an epoch
        assert {depths(model)[name]: step for name, step in found.items()} == expected


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_frozen_weights_and_moments_do_not_move_before_their_step(tmp_path, optimizer):
    made = trainer(tmp_path, Process(), "zero2", optimizer, steps=16, unfreezes=True)
    begins = made.job.first_steps
    assert sorted(set(begins.values())) == [0, 4, 8, 12]
    seen = []
    watched(made, lambda step: seen.append({k: v.clone() for k, v in made._tensors().items()}))
    made.run()
    seen.append(made._tensors())
    for name, first in begins.items():
        own = [key for key in seen[0] if key == f"model.{name}" or f".{name}." in key]
        for key in own:
            changed = [not torch.equal(one[key], two[key]) for one, two in pairwise(seen)]
            assert changed == [False] * first + [True] * (16 - first), key


def test_the_norm_is_that_of_what_is_trained(tmp_path):
    made = trainer(tmp_path, Process(), "zero2", "adamw", steps=1, unfreezes=True)
    seen = []

    def before(step: int) -> None:
        own = dict(made.job.model.named_parameters())
        trained = [own[name].grad for name, first in made.job.first_steps.items() if first == 0]
        seen.append(float(torch.nn.utils.get_total_norm(trained)))

    trace = watched(made, before)
    made.run()
    assert trace.norms == pytest.approx(seen)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stopped_amid_unfreezing_and_resumed_equals_undisturbed_to_the_bit(tmp_path, optimizer):
    given = {"steps": 16, "unfreezes": True}
    whole = trainer(tmp_path / "whole", Process(), "zero2", optimizer, **given)
    whole.run()
    stopped = trainer(tmp_path / "part", cancels_after(1), "zero2", optimizer, **given)
    with pytest.raises(CancelledError):
        stopped.run()
    assert stopped.state.step == 10, "while the embeddings are frozen"
    resumed = saving_often(trainer(tmp_path / "part", Process(), "zero2", optimizer, **given))
    resumed.run()
    weights, others = whole_weights(whole.job.model), whole_weights(resumed.job.model)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
