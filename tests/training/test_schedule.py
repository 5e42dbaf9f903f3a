"""The learning rate rises, stays and falls as its kind says, and the batch grows over its ramp."""

import pytest

from lmtrain.training.config import TrainingConfig
from lmtrain.training.schedule import batch_size, rate_share


def shares(steps: int = 100, **settings) -> list[float]:
    config = TrainingConfig(**settings)
    return [rate_share(step, steps, config) for step in range(steps)]


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "warmup_stable_decay"])
def test_it_rises_in_a_line_to_the_peak(kind):
    assert shares(lr_scheduler_type=kind, warmup_ratio=0.1)[:10] == pytest.approx(
        [n / 10 for n in range(1, 11)]
    )


def test_warmup_stable_decay_stays_at_the_peak_and_falls_in_a_line_at_the_end():
    found = shares(lr_scheduler_type="warmup_stable_decay", warmup_ratio=0.1, decay_ratio=0.2, min_lr_ratio=0)
    assert found[9:80] == [1.0] * 71
    assert found[80:] == pytest.approx([1 - n / 20 for n in range(20)])


def test_the_batch_grows_over_its_ramp_and_then_has_its_full_size():
    config = TrainingConfig(train_batch_size=40, batch_ramp_ratio=0.5, batch_ramp_start=8)
    sizes = [batch_size(step, 20, config) for step in range(20)]
    assert sizes == [8, 11, 14, 17, 20, 24, 27, 30, 33, 36] + [40] * 10


def test_a_ramp_that_would_shrink_is_refused():
    with pytest.raises(ValueError, match="batch_ramp_start 64 must be at most train_batch_size 32"):
        TrainingConfig(train_batch_size=32, batch_ramp_ratio=0.5, batch_ramp_start=64)
