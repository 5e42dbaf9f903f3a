"""GloVe: its loss, its steps and its vectors, as the paper has them."""

import math

import numpy as np
import pytest
import torch

from lmtrain.errors import CancelledError
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors import glove
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.cooccurrence import cooccurrences
from lmtrain.wordvectors.corpus import Corpus
from lmtrain.wordvectors.glove import GloVe


def model(words: int = 3, width: int = 2) -> GloVe:
    return GloVe(words, width, x_max=100, alpha=0.75, generator=torch.Generator().manual_seed(0))


def corpus(words: int = 6, length: int = 400) -> Corpus:
    """Two circles of words: each word stands among those of its own circle."""
    chance = np.random.default_rng(0)
    circles = np.repeat(chance.integers(0, 2, length // 20), 20)
    numbers = (circles * (words // 2) + chance.integers(0, words // 2, length)).astype(np.int32)
    names = [f"w{n}" for n in range(words)]
    return Corpus(names, np.bincount(numbers, minlength=words), numbers, np.arange(20, length + 1, 20))


def config(**settings) -> WordVectorsConfig:
    return WordVectorsConfig(name="a", algorithm="glove", **{"vector_size": 4, "window": 2, **settings})


def test_the_loss_is_the_papers():
    one = model()
    w, c = one.word.weight.tolist(), one.context.weight.tolist()
    b, d = one.word_bias.weight.tolist(), one.context_bias.weight.tolist()
    pairs = [(0, 1, 10.0), (2, 2, 100.0), (1, 0, 2500.0)]
    expected = 0.0
    for i, j, x in pairs:
        product = sum(left * right for left, right in zip(w[i], c[j], strict=True))
        difference = product + b[i][0] + d[j][0] - math.log(x)
        expected += 0.5 * min(1, (x / 100) ** 0.75) * difference**2
    i, j, x = (torch.tensor(side) for side in zip(*pairs, strict=True))
    assert one(i, j, x).item() == pytest.approx(expected, rel=1e-6)


def test_a_step_is_adagrads():
    one = model()
    before = one.word.weight.detach().clone().double()
    i, j, x = torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([50.0, 3.0])
    weights = (x / 100).double() ** 0.75
    context = one.context.weight.detach().double()
    difference = (before[i] * context[j]).sum(1) + (one.word_bias.weight[i] + one.context_bias.weight[j])[
        :, 0
    ]
    gradient = ((weights * (difference.detach() - x.log()))[:, None] * context[j]).sum(0)
    with torch.sparse.check_sparse_tensor_invariants(enable=False):
        optimizer = torch.optim.Adagrad(one.parameters(), lr=0.05, initial_accumulator_value=1.0)
        one(i, j, x).backward()
        optimizer.step()
    expected = before[0] - 0.05 * gradient / (1 + gradient**2).sqrt()
    assert one.word.weight[0].tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert one.word.weight[1:].tolist() == before[1:].float().tolist(), "only words of the batch move"


def test_a_words_vector_is_the_sum_of_its_two():
    one = model()
    assert one.vectors() == pytest.approx((one.word.weight + one.context.weight).detach().numpy())


def test_the_loss_falls_and_words_of_a_circle_come_near_each_other():
    trained = glove.train(corpus(), config(epochs=60, learning_rate=0.1, batch_size=4), SilentWatch())
    assert trained.losses[-1] < 0.1 * trained.losses[0]
    assert trained.stats == {"pairs": cooccurrences(corpus(), 2, SilentWatch()).nnz}
    directions = trained.vectors / np.linalg.norm(trained.vectors, axis=1, keepdims=True)
    cosines = directions @ directions.T
    assert cosines[:3, :3].mean() > cosines[:3, 3:].mean() + 0.3


def test_the_same_seed_makes_the_same_bits_and_another_others():
    first, again, other = (
        glove.train(corpus(), config(epochs=2, batch_size=7, seed=seed), SilentWatch()) for seed in (1, 1, 2)
    )
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert first.losses == again.losses
    assert first.vectors.tobytes() != other.vectors.tobytes()


def test_it_counts_to_its_end_and_stops_when_the_watch_says_so():
    class Watch(SilentWatch):
        def __init__(self, patience):
            self.told, self.patience = [], patience

        def progress(self, done, total, unit):
            self.told.append((done, total, unit))

        def cancelled(self):
            return len(self.told) > self.patience

    watch = Watch(1000)
    pairs = glove.train(corpus(), config(epochs=3), watch).stats["pairs"]
    assert watch.told[-1] == (3 * pairs, 3 * pairs, "pairs")
    with pytest.raises(CancelledError):
        glove.train(corpus(), config(epochs=3), Watch(1))
