"""Muon's update is orthogonal, and the schedule rises and falls as it says."""

import pytest
import torch

from lmtrain.training.config import TrainingConfig
from lmtrain.training.optimizers.muon import orthogonalize
from lmtrain.training.schedule import rate_share


@pytest.mark.parametrize("products", [None, torch.bfloat16])
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (40, 12), (12, 40)])
def test_singular_values_come_near_one_whatever_the_shape(rows, columns, products):
    torch.manual_seed(0)
    made = orthogonalize(torch.randn(3, rows, columns), products)
    assert made.dtype == torch.float32
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_the_rate_rises_to_its_peak_and_falls_to_its_last_share():
    config = TrainingConfig(warmup_ratio=0.1, min_lr_ratio=0.2)
    shares = [rate_share(step, 100, config) for step in range(100)]
    assert shares[9] == 1.0
    assert shares[:10] == sorted(shares[:10])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert 0.2 <= shares[-1] < 0.21


def test_linear_is_a_line_and_constant_stays():
    linear = TrainingConfig(lr_scheduler_type="linear", warmup_ratio=0, min_lr_ratio=0)
    assert rate_share(50, 100, linear) == 0.5
    constant = TrainingConfig(lr_scheduler_type="constant", warmup_ratio=0)
    assert rate_share(99, 100, constant) == 1.0
