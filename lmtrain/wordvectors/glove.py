"""GloVe: vectors whose products are the logarithms of how often words meet (Pennington et al. 2014).

In: counts of pairs of words. Out: a vector for each word, and the loss of each
pass. Every word has two vectors, as a word and as a neighbour, and what is told
of it is their sum. The loss of a pair that was counted x times is

    1/2 f(x) (w · c + b_w + b_c - log x)²,    f(x) = min(1, (x / x_max)^alpha)

and AdaGrad goes down it. A step takes the gradients of a batch together, where
the authors' program takes pair after pair, so that steps are few and the same
seed makes the same bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lmtrain.errors import CancelledError
from lmtrain.watch import Watch
from lmtrain.wordvectors.config import WordVectorsConfig
from lmtrain.wordvectors.cooccurrence import cooccurrences
from lmtrain.wordvectors.corpus import Corpus
from lmtrain.wordvectors.trained import Trained

SQUARES_AT_FIRST = 1.0
"""What AdaGrad's sums of squares begin with, so that first steps aren't the longest; as the authors do."""

LOOK_EVERY = 100
"""Steps between two looks at the watch."""


class GloVe(nn.Module):
    """Two vectors and two biases for each word.

    Args:
        words: in the vocabulary.
        width: of a vector.
        x_max: count from which all weigh the same.
        alpha: power by which smaller ones weigh less.
        generator: draws the first values, uniform within half a unit over the width.
    """

    def __init__(
        self, words: int, width: int, x_max: float, alpha: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.x_max = x_max
        self.alpha = alpha
        self.word = nn.Embedding(words, width, sparse=True)
        self.context = nn.Embedding(words, width, sparse=True)
        self.word_bias = nn.Embedding(words, 1, sparse=True)
        self.context_bias = nn.Embedding(words, 1, sparse=True)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.5 / width, 0.5 / width, generator=generator)

    def forward(self, words: Tensor, contexts: Tensor, counts: Tensor) -> Tensor:
        """Return the sum of the losses of pairs.

        Args:
            words: numbers, shape (pairs,).
            contexts: numbers of their neighbours, shape (pairs,).
            counts: of each pair, shape (pairs,).
        """
        product = (self.word(words) * self.context(contexts)).sum(dim=1)
        biases = (self.word_bias(words) + self.context_bias(contexts)).squeeze(1)
        weights = (counts / self.x_max).pow(self.alpha).clamp(max=1)
        return 0.5 * (weights * (product + biases - counts.log()).square()).sum()

    def vectors(self) -> np.ndarray:
        """Return the sum of each word's two vectors, shape (words, width), float32."""
        return (self.word.weight + self.context.weight).detach().numpy()


def train(corpus: Corpus, config: WordVectorsConfig, watch: Watch) -> Trained:
    """Count pairs and train.

    Args:
        corpus: the text.
        config: settings.
        watch: told the words that are counted, then the pairs that are done.

    Raises:
        StageError: there are more pairs than fit, or none.
        CancelledError: the watch was asked to stop.
    """
    found = cooccurrences(corpus, config.window, watch)
    words, contexts = (torch.from_numpy(side.astype(np.int32)) for side in found.coords)
    counts = torch.from_numpy(found.data.astype(np.float32))
    del found
    generator = torch.Generator().manual_seed(config.seed)
    model = GloVe(len(corpus.words), config.vector_size, config.x_max, config.alpha, generator)
    optimizer = torch.optim.Adagrad(
        model.parameters(), lr=config.rate, initial_accumulator_value=SQUARES_AT_FIRST
    )
    losses, done = [], 0
    # torch wants to be told whether to check the sparse gradients that it makes itself
    with _one_thread(), torch.sparse.check_sparse_tensor_invariants(enable=False):
        for _ in range(config.passes):
            lost = 0.0
            order = torch.randperm(len(counts), generator=generator)
            for step, chosen in enumerate(order.split(config.batch_size)):
                optimizer.zero_grad()
                loss = model(words[chosen], contexts[chosen], counts[chosen])
                loss.backward()
                optimizer.step()
                lost += loss.item()
                done += len(chosen)
                if step % LOOK_EVERY == 0:
                    _look(watch, done, config.passes * len(counts))
            losses.append(lost / len(counts))
    _look(watch, done, done)
    return Trained(model.vectors(), losses, stats={"pairs": len(counts)})


def _look(watch: Watch, done: int, total: int) -> None:
    watch.progress(done, total, "pairs")
    if watch.cancelled():
        raise CancelledError("stopped on request; run again to train from here")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: sums in another order would be other bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
