"""A stage as a task: named by its label, watched in the page, retried only where that helps."""

import types

import httpx
import pytest
from prefect import flow, get_client
from prefect.context import get_run_context
from prefect.states import Cancelling

from lmtrain.config import Resources
from lmtrain.errors import SourceError, StorageError
from lmtrain.node import STAGES
from tasks.stages import TASKS, stage_task
from tasks.watch import BARS, Pace, PrefectWatch

pytestmark = pytest.mark.usefixtures("prefect_api")


@pytest.fixture
def run_task(artifacts_of):
    """Runs a task in a flow of its own; tells its state, what it ended with, and its artifacts."""

    def run(stage, label="python"):
        @flow
        def alone():
            ran.run_id = str(get_run_context().flow_run.id)
            ran.state = stage({}, None, label, "/nowhere", Resources(), return_state=True)

        ran = types.SimpleNamespace()
        alone(return_state=True)
        ran.outcome = ran.state.result(raise_on_failure=False)
        ran.artifacts = artifacts_of(ran.run_id)
        return ran

    return run


@pytest.fixture
def watched(run_task):
    """Runs a function on the watch of a task whose clocks are always due; returns the artifacts."""

    def run(body):
        @stage_task
        def pretrain(inputs, config, label, root, resources):
            """Do something under a watch."""
            watch = PrefectWatch(f"pretrain {label}")
            watch.progress_clock.seconds = watch.figure_clock.seconds = watch.cancel_clock.seconds = 0
            body(watch)
            return "done"

        ran = run_task(pretrain)
        assert ran.outcome == "done", ran.outcome
        return ran.artifacts

    return run


def quick(stage):
    return stage.with_options(retry_delay_seconds=0)


def test_every_stage_of_the_graph_has_its_task():
    assert TASKS.keys() == STAGES.keys()


@pytest.mark.parametrize("stage", TASKS.values(), ids=TASKS.keys())
def test_prefects_own_cache_is_off_and_the_name_tells_the_label(stage):
    assert stage.cache_policy.__class__.__name__ == "_None"
    assert stage.task_run_name == f"{stage.name.replace('_', ' ')} {{label}}"


def test_a_bad_source_fails_once_in_one_line(run_task):
    calls = []

    @stage_task
    def ingest(inputs, config, label, root, resources):
        """Fail as a missing source does."""
        calls.append(label)
        raise SourceError("no file at /nowhere: check the path")

    ran = run_task(quick(ingest))
    assert isinstance(ran.outcome, SourceError)
    assert calls == ["python"]
    assert ran.state.message == "no file at /nowhere: check the path"


def test_storage_that_stutters_is_tried_again(run_task):
    calls = []

    @stage_task
    def ingest(inputs, config, label, root, resources):
        """Fail once."""
        calls.append(label)
        if len(calls) < 2:
            raise StorageError("the bucket didn't answer")
        return "runs/corpus/python-0123456789ab/manifest.json"

    ran = run_task(quick(ingest))
    assert ran.outcome.endswith("manifest.json")
    assert len(calls) == 2


def test_a_defect_is_not_tried_again(run_task):
    calls = []

    @stage_task
    def ingest(inputs, config, label, root, resources):
        """Fail as a defect does."""
        calls.append(label)
        raise KeyError("a defect")

    assert isinstance(run_task(quick(ingest)).outcome, KeyError)
    assert len(calls) == 1


def test_progress_is_one_bar_that_moves(watched):
    def body(watch):
        for step in range(1, 5):
            watch.progress(step, 4, "steps")

    shown = watched(body)
    assert shown.keys() == {"pretrain-python-progress-steps"}
    (bar,) = shown.values()
    assert bar["type"] == "progress"
    assert bar["data"] == 100.0
    assert bar["description"] == "pretrain python: 4 of 4 steps"


def test_the_time_to_go_leaves_out_the_first_piece_and_begins_anew_with_the_work():
    pace = Pace()
    assert pace.left(0, 100, now=0) is None
    assert pace.left(10, 100, now=60) is None, "it compiled"
    assert pace.left(20, 100, now=65) == 40
    assert pace.left(60, 100, now=85) == 20
    assert pace.left(100, 100, now=105) is None
    assert pace.left(0, 100, now=106) is None
    assert pace.left(10, 100, now=116) is None
    assert pace.left(30, 100, now=126) == 35


def test_in_a_terminal_progress_is_a_bar_too(watched, capsys):
    def body(watch):
        watch.progress(1, 4, "steps")
        watch.figures(1, loss=3.25)
        watch.progress(4, 4, "steps")
        watch.close()

    BARS.set()
    watched(body)
    BARS.clear()
    shown = capsys.readouterr().err
    assert "pretrain python: 100%" in shown
    assert "loss 3.250" in shown


def test_the_loss_curve_grows_in_one_artifact(watched):
    def body(watch):
        for step in range(3):
            watch.figures(step, loss=3.0 - step, tokens_per_second=1e4)

    (shown,) = watched(body).values()
    assert shown["type"] == "markdown"
    assert "data:image/png;base64," in shown["data"]
    assert "| loss | 2 | 1.0000 |" in shown["data"]
    assert "tokens" not in shown["data"]


def test_the_curve_of_a_training_that_begins_anew_is_a_new_one(watched):
    def body(watch):
        for step in (10, 20, 10):
            watch.figures(step, loss=3.0)
        assert watch.curves == {"loss": [(10, 3.0)]}

    watched(body)


def test_who_cancels_the_run_is_heard(watched):
    def body(watch):
        assert not watch.cancelled()
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(watch.task_run.flow_run_id, Cancelling(), force=True)
        assert watch.cancelled()
        assert watch.cancelled(), "and stays so"

    watched(body)


def test_a_page_that_does_not_answer_stops_nothing(watched, monkeypatch):
    def refuse(*args, **kwargs):
        raise httpx.ConnectError("refused")

    def body(watch):
        with monkeypatch.context() as patch:
            patch.setattr("tasks.watch.get_client", refuse)
            watch.progress(1, 2, "steps")
            watch.figures(1, loss=1.0)
            assert not watch.cancelled()

    assert watched(body) == {}
