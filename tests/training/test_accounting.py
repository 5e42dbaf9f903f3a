"""What private steps spend agrees with the formula, with Opacus, and with a tighter accountant."""

import math

import numpy as np
import pytest
from opacus.accountants import PRVAccountant, RDPAccountant

from lmtrain.errors import StageError
from lmtrain.training.accounting import ORDERS, Mechanism, calibrated


@pytest.mark.parametrize(("noise", "steps"), [(2.0, 1), (4.0, 30), (0.5, 3)])
def test_without_sampling_it_is_the_formula_of_the_gaussian(noise, steps):
    """Rényi divergence α/(2σ²) a step (Mironov 2017), turned into epsilon by Balle et al. 2020."""
    orders, delta = np.array(ORDERS), 1e-5
    renyi = steps * orders / (2 * noise**2)
    expected = np.min(renyi + np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1))
    assert Mechanism(1.0, noise, delta).epsilon(steps) == pytest.approx(expected, rel=1e-9)


def test_steps_of_a_sampled_mechanism_add_up_as_opacus_adds_them():
    mechanism, accountant = Mechanism(0.02, 0.9, 1e-5), RDPAccountant()
    for _ in range(150):
        accountant.step(noise_multiplier=0.9, sample_rate=0.02)
    theirs = accountant.get_epsilon(delta=1e-5)
    assert mechanism.epsilon(150) == pytest.approx(theirs, rel=1e-6)
    assert mechanism.epsilon(0) == 0
    assert mechanism.epsilon(50) < mechanism.epsilon(150)


def test_the_bound_lies_above_that_of_a_tighter_accountant():
    tighter = PRVAccountant()
    tighter.history = [(1.0, 0.05, 100)]
    bound = Mechanism(0.05, 1.0, 1e-5).epsilon(100)
    assert 0.7 * bound < tighter.get_epsilon(delta=1e-5) < bound


@pytest.mark.parametrize("target", [0.1, 1.0, 1000.0])
@pytest.mark.parametrize(("examples", "batch", "steps"), [(40, 8, 15), (100_000, 64, 4688)])
def test_no_more_is_spent_than_is_allowed_and_hardly_less(target, examples, batch, steps):
    delta = 1 / (2 * examples)
    found = calibrated(target, delta, batch / examples, steps)
    assert 0.995 * target <= found.epsilon(steps) <= target
    assert (found.sample_rate, found.delta) == (batch / examples, delta)


def test_more_privacy_takes_more_noise():
    noises = [calibrated(target, 1e-5, 0.01, 100).noise_multiplier for target in (0.5, 8.0)]
    assert noises == sorted(noises, reverse=True)
    assert all(math.isfinite(noise) and noise > 0 for noise in noises)


def test_an_epsilon_that_no_noise_can_keep_is_refused():
    with pytest.raises(
        StageError, match=r"target_epsilon 0.0001 can't be kept with delta 1e-06.*ask for 0\.00"
    ):
        calibrated(1e-4, 1e-6, 0.5, 10)
