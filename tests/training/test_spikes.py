"""A loss out of line is a spike; a slow rise isn't."""

from lmtrain.training.spikes import LEAST, WINDOW, is_spike, remembered


def test_a_jump_is_a_spike():
    assert is_spike(5.0, [3.0, 3.1] * LEAST, 6)


def test_what_the_losses_do_all_the_time_is_none():
    assert not is_spike(3.3, [3.0, 3.2] * LEAST, 6)


def test_a_fall_is_none():
    assert not is_spike(0.1, [3.0, 3.1] * LEAST, 6)


def test_too_few_losses_tell_nothing():
    assert not is_spike(100.0, [3.0] * (LEAST - 1), 6)


def test_equal_losses_have_room_for_a_small_rise():
    assert not is_spike(3.01, [3.0] * WINDOW, 6)


def test_only_the_last_ones_are_remembered():
    losses: list[float] = []
    for number in range(WINDOW + 5):
        losses = remembered(float(number), losses)
    assert losses == [float(number) for number in range(5, WINDOW + 5)]
