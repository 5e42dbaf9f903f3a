"""Devices, batches, and who is told what."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmtrain.config import Resources
from lmtrain.errors import CancelledError, ResourceError
from lmtrain.evaluation.models import batches_by_length, choose_device, padded, run_batches, threads_of
from lmtrain.watch import SilentWatch


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 100))
def test_each_example_is_in_one_batch_and_no_batch_is_too_large(lengths, tokens):
    batches = batches_by_length(lengths, tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens


def test_padding_stands_on_the_side_that_is_asked_for():
    left, mask = padded([[5, 6], [7]], 1, "left")
    assert left.tolist() == [[5, 6], [1, 7]]
    assert mask.tolist() == [[1, 1], [0, 1]]
    right, mask = padded([[5, 6], [7]], 1, "right")
    assert right.tolist() == [[5, 6], [7, 1]]
    assert mask.tolist() == [[1, 1], [1, 0]]


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="no GPU"):
        choose_device(Resources(device="cuda"))
    assert choose_device(Resources(device="auto")).type == "cpu"


def test_auto_takes_the_gpu_that_is_there_unless_told_not_to(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(Resources(device="auto")).type == "cuda"
    assert choose_device(Resources(device="cpu")).type == "cpu"


def test_no_more_batches_at_once_than_cpus(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert threads_of(Resources(workers=2, threads_per_worker=1)) == 2
    assert threads_of(Resources(workers=8, threads_per_worker=2)) == 4


def test_torch_has_its_threads_back_afterwards():
    before = torch.get_num_threads()
    seen = []
    run_batches([[0], [1]], lambda batch: seen.append(torch.get_num_threads()), SilentWatch(), "examples", 2)
    assert seen == [1, 1]
    assert torch.get_num_threads() == before


def test_an_error_in_a_batch_is_raised_and_the_rest_is_left_out():
    done = []

    def work(batch):
        if batch == [0]:
            raise ZeroDivisionError
        time.sleep(0.002)  # as a model would: without, all might be over before anybody hears of the error
        done.append(batch)

    with pytest.raises(ZeroDivisionError):
        run_batches([[0], *([index] for index in range(1, 500))], work, SilentWatch(), "examples")
    assert len(done) < 499


def test_a_stop_takes_effect_between_batches():
    class Impatient(SilentWatch):
        def cancelled(self):
            return True

    with pytest.raises(CancelledError):
        run_batches([[index] for index in range(500)], lambda batch: None, Impatient(), "examples")
