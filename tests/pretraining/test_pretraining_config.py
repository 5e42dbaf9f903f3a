"""What a pretraining does where its recipe doesn't say."""

import pytest

from lmtrain.pretraining.config import ADAM_RATE, PretrainConfig


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "adamw_8bit"])
def test_a_rate_that_isnt_given_is_that_of_the_optimizer(optimizer):
    assert PretrainConfig().learning_rate == 0.02
    assert PretrainConfig.model_validate({"optimizer": optimizer}).learning_rate == ADAM_RATE
    given = {"optimizer": optimizer, "learning_rate": 0.02}
    assert PretrainConfig.model_validate(given).learning_rate == 0.02
