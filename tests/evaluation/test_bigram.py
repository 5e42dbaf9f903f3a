"""The bigram model is a distribution, has the values of its formula, and learns."""

import numpy as np
import pytest

from lmtrain.evaluation.bigram import BigramModel, with_end_tokens

END = 0


def stream(*documents):
    ends = np.cumsum([len(document) for document in documents])
    return with_end_tokens(np.concatenate(documents), ends, END)


def test_each_document_is_closed_by_the_end_token():
    assert stream([5, 6], [7], [], [8, 9]).tolist() == [5, 6, END, 7, END, END, 8, 9, END]


@pytest.mark.parametrize("vocabulary", [7, 50])
def test_probabilities_sum_to_one_after_every_token_seen_or_not(vocabulary):
    random = np.random.default_rng(0)
    model = BigramModel([stream(random.integers(1, 6, 40), random.integers(1, 6, 3))], vocabulary, END)
    tokens = np.arange(vocabulary)
    for head in range(vocabulary):
        probabilities = model.probabilities(np.full(vocabulary, head), tokens)
        assert probabilities.min() > 0
        assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_values_follow_the_formula():
    """One document 1 2 1 2 2 between end tokens 0, vocabulary of 4."""
    model = BigramModel([stream([1, 2, 1, 2, 2])], 4, END)
    # N = 6 tokens of T = 3 types: p(2) = (3 + 3/4) / (6 + 3)
    p2 = (3 + 3 / 4) / 9
    assert model.unigram == pytest.approx([(1 + 3 / 4) / 9, (2 + 3 / 4) / 9, p2, (3 / 4) / 9])
    # after 1: two times 2, one type; after 2: 1, 2 and the end, three types
    after_1 = (2 + 1 * p2) / (2 + 1)
    after_2 = (1 + 3 * p2) / (3 + 3)
    found = model.probabilities(np.array([1, 2, 3]), np.array([2, 2, 2]))
    assert found == pytest.approx([after_1, after_2, p2])


def test_the_first_token_of_a_document_follows_the_end_token():
    model = BigramModel([stream([1, 2], [1, 3], [1, 2])], 5, END)
    assert model.probabilities(np.array([END]), np.array([1]))[0] > 0.7


def test_a_document_costs_its_tokens_and_its_end():
    model = BigramModel([stream([1, 2, 1, 2, 2])], 4, END)
    heads, tokens = np.array([0, 1, 2]), np.array([1, 2, 0])
    expected = -np.log(model.probabilities(heads, tokens)).sum()
    assert model.nats(np.array([1, 2]), END) == pytest.approx(expected)


def test_streams_add_up():
    a, b = stream([1, 2, 3], [2, 2]), stream([3, 1], [1, 2])
    apart, joined = BigramModel([a, b], 5, END), BigramModel([np.concatenate([a, b])], 5, END)
    grid = np.indices((5, 5)).reshape(2, -1)
    assert apart.probabilities(*grid) == pytest.approx(joined.probabilities(*grid))


def test_more_text_of_the_same_kind_costs_less():
    random = np.random.default_rng(0)
    step = random.permutation(60)

    def text(length):
        tokens = [1]
        for _ in range(length):  # nine times of ten the same follower
            tokens.append(int(step[tokens[-1]]) if random.random() < 0.9 else int(random.integers(60)))
        return np.array(tokens)

    unseen = text(500)
    costs = [BigramModel([stream(text(length))], 60, END).nats(unseen, END) for length in (100, 1000, 10_000)]
    assert costs[0] > costs[1] > costs[2]


def test_without_training_text_every_token_is_as_likely():
    model = BigramModel([], 8, END)
    assert model.nats(np.array([1, 2, 3]), END) == pytest.approx(4 * np.log(8))
