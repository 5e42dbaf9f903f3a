"""Each optimizer steps as its paper says, whatever the shape; the schedule rises and falls as it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sharding_program import OPTIMIZERS
from torch import nn

from lmtrain.training.config import TrainingConfig
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.optimizers.muon import _iterated, _iterated_on_gram, _owners, orthogonalize
from lmtrain.training.optimizers.quantizing import BLOCK, Quantized, code_book
from lmtrain.training.schedule import rate_share

CPU = torch.device("cpu")


class Small(nn.Module):
    """An embedding, a block with matrices and a norm, and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(20, 8)
        self.layers = nn.ModuleList([nn.ModuleDict({"up": nn.Linear(8, 300), "norm": nn.LayerNorm(300)})])
        self.lm_head = nn.Linear(300, 20, bias=False)

    def fill_gradients(self, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=drawn).to(parameter.dtype)


def stepped(optimizer: str, steps: int, dtype: torch.dtype = torch.float64, **settings) -> Small:
    model = Small().to(dtype)
    made = Optimizers(model, TrainingConfig(optimizer=optimizer, learning_rate=0.01, **settings))
    for seed in range(steps):
        model.fill_gradients(seed)
        made.step(1.0)
    return model


@pytest.mark.parametrize("products", [None, torch.bfloat16])
@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (40, 12), (12, 40)])
def test_singular_values_come_near_one_whatever_the_shape(rows, columns, products):
    torch.manual_seed(0)
    made = orthogonalize(torch.randn(3, rows, columns), products)
    assert made.dtype == torch.float32
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.4
    assert values.max() < 1.4


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 99))
def test_iterating_on_the_gram_matrix_gives_the_same(rows, columns, seed):
    torch.manual_seed(seed)
    x = torch.randn(2, rows, columns, dtype=torch.float64)
    x = x / x.norm(dim=(-2, -1), keepdim=True)
    torch.testing.assert_close(_iterated_on_gram(x), _iterated(x))


def test_owners_have_equally_much_to_multiply():
    owners = _owners([(8, 8)] * 4 + [(8, 32)] * 2, 2)
    assert sorted(owners[:4]) == [0, 0, 1, 1]
    assert sorted(owners[4:]) == [0, 1]


def test_muon_trains_matrices_within_blocks_and_adamw_the_rest():
    made = Optimizers(Small(), TrainingConfig(optimizer="muon"))
    names = {name.split(".", 1)[0] for name in made.state()}
    assert names == {"muon", "adamw"}
    assert [name for name in made.state() if name.startswith("muon")] == ["muon.layers.0.up.weight.momentum"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_vectors_never_decay_and_embeddings_where_the_recipe_says_so(optimizer):
    models = {
        decays: stepped(optimizer, 1, weight_decay=0.5, decay_embeddings=decays) for decays in (True, False)
    }
    bare = stepped(optimizer, 1, weight_decay=0.0)
    for name, parameter in bare.named_parameters():
        for decays, model in models.items():
            same = torch.equal(model.get_parameter(name), parameter)
            assert same == (parameter.ndim == 1 or (name == "tokens.weight" and not decays)), name


def test_adafactor_steps_as_its_paper_says():
    model = stepped("adafactor", 3, weight_decay=0.0)
    expected = Small().double()
    rows = columns = torch.zeros((), dtype=torch.float64)
    for seed in range(3):
        expected.fill_gradients(seed)
        weight = expected.lm_head.weight
        assert weight.grad is not None
        squares, forgotten = weight.grad.square() + 1e-30, (seed + 1) ** -0.8
        rows = rows * (1 - forgotten) + squares.sum(1) * forgotten  # algorithm 4: sums, over their common sum
        columns = columns * (1 - forgotten) + squares.sum(0) * forgotten
        update = weight.grad / (rows[:, None] * columns[None] / rows.sum()).sqrt()
        update /= max(1.0, float(update.square().mean().sqrt()))
        weight.data -= 0.01 * update
    torch.testing.assert_close(model.lm_head.weight, expected.lm_head.weight)


def test_adafactor_remembers_rows_and_columns_alone():
    state = Optimizers(Small(), TrainingConfig(optimizer="adafactor")).state()
    assert tuple(state["adafactor.lm_head.weight.rows"].shape) == (20,)
    assert tuple(state["adafactor.lm_head.weight.columns"].shape) == (300,)
    assert tuple(state["adafactor.layers.0.norm.weight.rows"].shape) == (300,)


def test_eight_bits_step_nearly_as_full_moments_do():
    ours, theirs = stepped("adamw_8bit", 20), stepped("adamw", 20)
    start = Small().double()
    for name, parameter in start.named_parameters():
        moved = (theirs.get_parameter(name) - parameter).norm()
        apart = (ours.get_parameter(name) - theirs.get_parameter(name)).norm()
        assert apart <= 0.03 * moved, name


def test_the_first_step_in_eight_bits_is_that_of_full_moments():
    ours, theirs = stepped("adamw_8bit", 1), stepped("adamw", 1)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, theirs.get_parameter(name), rtol=1e-6, atol=1e-8)


def test_matrices_in_eight_bits_take_little_more_than_two_bytes_a_weight():
    state = Optimizers(Small(), TrainingConfig(optimizer="adamw_8bit")).state()
    held = [value for name, value in state.items() if ".lm_head.weight." in name]
    assert sum(value.numel() * value.element_size() for value in held) == 20 * (2 * 300 + 2 * 2 * 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3 * BLOCK), st.booleans(), st.integers(0, 99))
def test_quantized_values_are_near_and_the_largest_of_a_block_is_kept(rows, columns, signed, seed):
    torch.manual_seed(seed)
    values = torch.randn(rows, columns) * 10.0 ** torch.randint(-6, 6, (rows, 1))
    values = values if signed else values.abs()
    stored = Quantized(rows, columns, signed=signed, device=CPU)
    assert not stored.values(torch.float32).any()
    stored.store(values)
    found = stored.values(torch.float32)
    for start in range(0, columns, BLOCK):
        block, kept = values[:, start : start + BLOCK], found[:, start : start + BLOCK]
        largest = block.abs().amax(dim=1, keepdim=True)
        assert ((kept - block).abs() <= 0.01 * largest).all()
        torch.testing.assert_close(kept.abs().amax(dim=1, keepdim=True), largest, rtol=0.01, atol=0)


def test_a_row_is_quantized_as_if_it_stood_alone():
    torch.manual_seed(0)
    values = torch.randn(6, 300) * 10.0 ** torch.arange(6.0)[:, None]
    whole, part = Quantized(6, 300, signed=True, device=CPU), Quantized(2, 300, signed=True, device=CPU)
    whole.store(values)
    part.store(values[4:])
    assert torch.equal(whole.codes[4:], part.codes)
    assert torch.equal(whole.scales[4:], part.scales)


@pytest.mark.parametrize("signed", [True, False])
def test_a_code_book_has_256_values_and_zero_is_one_of_them(signed):
    book = code_book(signed)
    assert len(set(book)) == 256
    assert 0.0 in book
    assert max(book) == 1.0
    assert (min(book) < -0.99) == signed


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
