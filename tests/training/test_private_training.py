"""A private training draws by chance, adds the noise that it says, and otherwise goes as any other."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_training import trainer

from lmtrain.config import Resources
from lmtrain.errors import CancelledError, DivergedError, ResourceError
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.accounting import Mechanism
from lmtrain.training.private import PrivateTrainer, random_of, rows_by_example
from lmtrain.training.process import Process

RATE = 0.2
NOISE = 1.5
MECHANISM = Mechanism(RATE, NOISE, 1e-5)


class SingleDocuments(CausalLM):
    """Rows that count as one document each: examples aren't packed."""

    def collate(self, rows, indices, epochs, seed):
        batch = super().collate(rows, indices, epochs, seed)
        batch.pop("document", None)
        return batch


@pytest.fixture
def private(tmp_path):
    """Makes private trainings of 40 examples."""

    def make(mechanism=MECHANISM, key="secret", folder="one", saves=True, **given):
        made = trainer(
            tmp_path / folder, Process(), "ddp", "adamw", dtype=torch.float32, saves=saves, batch=8, **given
        )
        made.loader.close()
        made.job.objective = SingleDocuments(pad=0)
        return PrivateTrainer(made.job, made.resources, Process(), mechanism, key)

    return make


def test_every_example_is_drawn_by_itself(private):
    training, steps = private(), 2000
    examples = len(training.examples)
    batches = np.zeros((steps, examples))
    for step in range(steps):
        batches[step, [rows[0] for rows in training.drawn(step)]] = 1
    sizes, shares = batches.sum(axis=1), batches.mean(axis=0)
    assert sizes.mean() == pytest.approx(RATE * examples, abs=4 * sizes.std() / steps**0.5)
    assert sizes.var() == pytest.approx(examples * RATE * (1 - RATE), rel=0.15), (
        "sizes vary as a binomial does"
    )
    assert np.abs(shares - RATE).max() < 4.5 * (RATE * (1 - RATE) / steps) ** 0.5
    together = np.corrcoef(batches.T) - np.eye(examples)
    assert np.abs(together).max() < 5 / steps**0.5, "one in the batch says nothing of another"
    after = [np.corrcoef(batches[:-1, one], batches[1:, one])[0, 1] for one in range(examples)]
    assert np.abs(after).max() < 5 / steps**0.5, "nor of itself a step later"


def test_noise_is_normal_of_the_scale_that_was_asked_for(private):
    training = private()
    training._add_noise()
    noise = torch.cat([one.grad.flatten() for one in training.gradients.parameters.values()]).double()
    expected = NOISE * training.config.max_grad_norm / (RATE * len(training.examples))
    assert len(noise) > 5000
    assert stats.kstest(noise.numpy() / expected, "norm").pvalue > 0.001
    training.state.step = 1
    training._add_noise()
    after = torch.cat([one.grad.flatten() for one in training.gradients.parameters.values()]).double()
    assert abs(float(torch.corrcoef(torch.stack([noise, after]))[0, 1])) < 5 / len(noise) ** 0.5


def test_a_step_is_the_clipped_sum_with_noise_over_the_expected_batch(private):
    training = private()
    training.precision = type("Exact", (), {"autocast": lambda self, device: nullcontext()})()
    training._accumulate(8)
    noisy = {name: one.grad.clone() for name, one in training.gradients.parameters.items()}
    drawn = training.drawn(0)
    assert drawn
    assert len(drawn) != RATE * len(training.examples)
    random = random_of("secret", "noise", 0)
    for name, parameter in training.gradients.parameters.items():
        noise = NOISE * 0.5 * random.standard_normal(tuple(parameter.shape), dtype=np.float32)
        clipped = noisy[name] * RATE * len(training.examples) - torch.from_numpy(noise)
        torch.testing.assert_close(clipped, training.gradients.sums[name], rtol=1e-4, atol=1e-5)
    whole = torch.cat([value.flatten() for value in training.gradients.sums.values()])
    assert 0 < float(whole.norm()) <= 0.5 * len(drawn) + 1e-5


def test_other_keys_draw_and_add_something_else(private):
    one, other = private(), private(key="another", folder="two")
    drawn = [[tuple(np.concatenate(each.drawn(step))) for step in range(20)] for each in (one, other)]
    assert drawn[0] != drawn[1]
    noises = [random_of(key, "noise", 3).standard_normal(1000) for key in ("a", "b")]
    assert abs(np.corrcoef(noises)[0, 1]) < 0.15


def test_nothing_that_examples_decide_is_told(private):
    told = []
    training = private(steps=20)
    training.process.tell = lambda kind, payload: told.append((kind, payload))
    outcome = training.run()
    assert outcome.rows
    assert any("validation_loss" in row for row in outcome.rows)
    for row in [*outcome.rows, *(payload for kind, payload in told if kind == "figures")]:
        assert not {"loss", "grad_norm", "bits_per_byte"} & row.keys()
    spent = outcome.figures["differential_privacy"]
    assert spent["epsilon"] == pytest.approx(Mechanism(RATE, NOISE, 1e-5).epsilon(20), abs=1e-5)
    assert (spent["noise_multiplier"], spent["sample_rate"], spent["delta"]) == (NOISE, RATE, 1e-5)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(private):
    whole = private(folder="whole", steps=30)
    whole.run()
    first = private(folder="stopped", steps=30)
    first.process.cancelled = lambda: True
    with pytest.raises(CancelledError):
        first.run()
    assert first.state.step < 30
    second = private(folder="stopped", steps=30)
    second.run()
    for one, other in zip(whole._weights().values(), second._weights().values(), strict=True):
        assert torch.equal(one, other)


def test_a_gradient_that_is_not_finite_ends_it_with_a_word(private):
    training = private(Mechanism(1.0, 1.0, 1e-5))
    with torch.no_grad():
        training.job.model.model.norm.weight[0] = float("nan")
    with pytest.raises(DivergedError, match="step 1: the gradient of an example isn't finite"):
        training.run()


def test_several_workers_are_refused(private):
    job = private().job
    with pytest.raises(ResourceError, match=r"set resources\.workers to 1"):
        PrivateTrainer(job, Resources(), Process(0, 2), Mechanism(RATE, NOISE, 1e-5), "")


def test_rows_of_an_example_stay_together(private):
    training = private()
    names = ["a", "b", "a", "c", "b"]
    training.job.rows = type(
        "Rows", (), {"__len__": lambda self: 5, "documents": lambda self, at: [[names[i]] for i in at]}
    )()
    examples = rows_by_example(training.job)
    assert [rows.tolist() for rows in examples] == [[0, 2], [1, 4], [3]]
    batches = training._micro_batches(examples)
    assert training.resources.micro_batch_size == 2
    assert [[rows.tolist() for rows in batch] for batch in batches] == [[[0, 2]], [[1, 4]], [[3]]]
