"""Trials run on Ray Tune; ASHA gives the worse ones up, and what each one saw comes back."""

import logging
import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from lmtrain.config import Resources
from lmtrain.distributed.searching import Look, Rungs, Trial, search
from lmtrain.errors import CancelledError, DivergedError, LostWorkerError, StageError
from lmtrain.training.process import Process

pytestmark = pytest.mark.usefixtures("ray_cluster")

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers don't have the tests on their path

LOOKS = 9


class Seen:
    """A watch that remembers, and may be asked to stop."""

    def __init__(self, stop: bool = False) -> None:
        self.progress_told: list[tuple[float, float | None, str]] = []
        self.stop = stop

    def progress(self, done, total, unit):
        self.progress_told.append((done, total, unit))

    def figures(self, step, **values):
        """Ignore figures."""

    def log(self, rank, host, line, level=logging.INFO):
        """Ignore lines."""

    def cancelled(self):
        return self.stop


def falling(floor: float, look: int) -> float:
    """Return the loss of a trial at a look: the same in every trial, but for where it ends."""
    return floor + 1 / look


def trains(spec: dict, number: int, settings: dict, process: Process) -> None:
    """Tell the losses of a trial, of which a mark stays behind."""
    Path(spec["marks"], str(number)).touch()
    for look in range(1, LOOKS + 1):
        process.tell("figures", {"step": 10 * look, "loss": 0.0})
        if settings["floor"] < 0 and look == 3:
            raise DivergedError("the loss isn't finite")
        process.tell("figures", {"step": 10 * look, "validation_loss": falling(settings["floor"], look)})


def refuses(spec: dict, number: int, settings: dict, process: Process) -> None:
    """Raise what a person shall read."""
    raise StageError("no usable example")


def dies(spec: dict, number: int, settings: dict, process: Process) -> None:
    """Train the first trial; the second is killed."""
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    trains(spec, number, settings, process)


@pytest.fixture
def tried(tmp_path):
    """Searches over floors, one trial at a time; gives the trials and those that were trained."""

    def run(floors, rungs=(1, 3), known=None, watch=None, function=trains):
        kept: dict[int, Trial] = {}
        found = search(
            function,
            {"marks": str(tmp_path)},
            [{"floor": floor} for floor in floors],
            Rungs(*rungs),
            Resources(workers=1),
            watch or Seen(),
            known=known or {},
            keep=kept.__setitem__,
        )
        return found, kept, {int(mark.name) for mark in tmp_path.iterdir()}

    return run


def asha_by_hand(floors, grace, reduction):
    """Return the looks that each trial gets, one after the other (Li et al. 2020, algorithm 2)."""
    rungs = [grace * reduction**power for power in range(9)]
    recorded: dict[int, list[float]] = {rung: [] for rung in rungs}
    looks = []
    for floor in floors:
        for look in range(1, LOOKS + 1):
            if look in recorded:
                loss, before = falling(floor, look), recorded[look]
                given_up = before and loss > np.percentile(before, 100 / reduction)
                recorded[look] = [*before, loss]
                if given_up:
                    break
        looks.append(look)
    return looks


def test_the_worse_trials_are_given_up_as_the_algorithm_says(tried, capfd, caplog):
    floors = [0.5, 0.9, 0.1, 0.3, 0.05, 0.06, 0.04, 0.2]
    watch = Seen()
    found, kept, _ = tried(floors, watch=watch)
    expected = asha_by_hand(floors, 1, 3)
    assert [len(trial.looks) for trial in found] == expected
    assert {1, LOOKS} <= set(expected), "some are given up at once, some go to the end"
    assert [trial.ended for trial in found] == ["whole" if n == LOOKS else "stopped" for n in expected]
    assert found[2].looks == [Look(10 * n, falling(0.1, n)) for n in range(1, LOOKS + 1)]
    assert kept == dict(enumerate(found))
    assert watch.progress_told == [(done, len(floors), "trials") for done in range(len(floors) + 1)]
    assert capfd.readouterr() == ("", ""), "Tune keeps quiet"
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_trial_that_diverges_is_worse_than_any_other(tried):
    found, _, _ = tried([-0.1, math.inf, 0.3, 0.9], rungs=(3, 3))
    assert [trial.ended for trial in found] == ["diverged", "diverged", "whole", "stopped"]
    assert found[0].looks == [Look(10, falling(-0.1, 1)), Look(20, falling(-0.1, 2))], "the best up to then"
    assert found[1].looks == []


@pytest.mark.slow
def test_what_an_earlier_search_finished_is_not_trained_again(tried, tmp_path):
    floors = [0.5, 0.1, 0.9, 0.3]
    whole, _, _ = tried(floors)
    for mark in tmp_path.iterdir():
        mark.unlink()
    again, kept, trained = tried(floors, known={0: whole[0], 1: whole[1]})
    assert again == whole
    assert trained == set(kept) == {2, 3}


@pytest.mark.slow
def test_what_a_person_shall_read_is_raised_as_it_is(tried):
    with pytest.raises(StageError, match=r"^no usable example$"):
        tried([0.1, 0.2], function=refuses)


@pytest.mark.slow
def test_a_stop_ends_all_trials(tried):
    with pytest.raises(CancelledError):
        tried([0.1, 0.2], watch=Seen(stop=True))


@pytest.mark.slow
def test_a_killed_trial_is_told_in_one_line_and_what_ended_before_is_kept(tried, tmp_path):
    with pytest.raises(LostWorkerError, match="run again to go on with the trials that are left"):
        tried([0.1, 0.2], function=dies)
    assert [mark.name for mark in tmp_path.iterdir()] == ["0"]
