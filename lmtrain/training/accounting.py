"""What a private training spends: epsilon and delta of its steps, by the accountant of Opacus.

One step is the subsampled Gaussian mechanism: each example is drawn by itself with the same
probability, its gradient is clipped, and Gaussian noise is added to the sum. Rényi differential
privacy adds up over steps (Mironov 2017; Mironov, Talwar and Zhang 2019). Neighbouring sets differ in
one example that is there or not.
"""

import warnings
from dataclasses import dataclass

from opacus.accountants import RDPAccountant
from opacus.accountants.analysis.rdp import get_privacy_spent
from opacus.accountants.utils import get_noise_multiplier

from lmtrain.errors import StageError

ORDERS = [*RDPAccountant.DEFAULT_ALPHAS, *(64 * 2**power for power in range(6))]
"""Rényi orders that are tried. Opacus' own end at 63, where an epsilon below 0.2 is out of reach for
100,000 examples whatever the noise."""

TOLERANCE = 0.001
"""By which share of epsilon the calibrated noise may stay below what is allowed."""


@dataclass(frozen=True)
class Mechanism:
    """A subsampled Gaussian mechanism, used at every step.

    Attributes:
        sample_rate: probability with which each example is in a batch.
        noise_multiplier: standard deviation of the noise, divided by the norm to which gradients are clipped.
        delta: probability that the guarantee by epsilon may fail with.
    """

    sample_rate: float
    noise_multiplier: float
    delta: float

    def epsilon(self, steps: int) -> float:
        """Return what so many steps spend."""
        if steps == 0:
            return 0.0
        accountant = RDPAccountant()
        accountant.history = [(self.noise_multiplier, self.sample_rate, steps)]
        with _any_order():
            return float(accountant.get_epsilon(delta=self.delta, alphas=ORDERS))


def calibrated(target_epsilon: float, delta: float, sample_rate: float, steps: int) -> Mechanism:
    """Return the mechanism with the least noise of which so many steps spend no more than is allowed.

    Args:
        target_epsilon: what they may spend.
        delta: as for `Mechanism`.
        sample_rate: as for `Mechanism`.
        steps: of the whole training.

    Raises:
        StageError: no noise is enough at the orders that are tried.
    """
    with _any_order():
        least, _ = get_privacy_spent(orders=ORDERS, rdp=[0.0] * len(ORDERS), delta=delta)
    if target_epsilon <= 1.01 * float(least):
        raise StageError(
            f"target_epsilon {target_epsilon:g} can't be kept with delta {delta:g}, whatever the noise: "
            f"ask for {1.1 * float(least):.2g} or more, or for a larger delta"
        )
    with _any_order():
        noise = get_noise_multiplier(
            target_epsilon=target_epsilon,
            target_delta=delta,
            sample_rate=sample_rate,
            steps=steps,
            accountant="rdp",
            epsilon_tolerance=TOLERANCE * target_epsilon,
            alphas=ORDERS,
        )
    return Mechanism(sample_rate, float(noise), delta)


def _any_order() -> warnings.catch_warnings:
    """Silence the advice to try other orders: the bound holds at each of them."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)
