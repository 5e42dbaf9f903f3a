"""A trace of a few steps: whose spans are in it, and how the time of a step is split."""

import gzip
import json
import os

import pytest
import torch
import torch.distributed as dist
from tiny_training import trainer

from lmtrain.training.communication import CollectiveWaits
from lmtrain.training.process import Process
from lmtrain.training.profiling import PARTS, WARMUP_STEPS, Profiled, new_profiler, seen, told


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """A profile of three steps."""
    folder = tmp_path_factory.mktemp("profiled")
    profiler = new_profiler(3, torch.device("cpu"))
    process = Profiled(profiler=profiler)
    with profiler:
        trainer(folder, process, "ddp", "muon", steps=WARMUP_STEPS + 3).run()
    return seen(profiler, 3, process.device, folder / "traces")


def test_the_trace_holds_the_spans_of_steps_and_the_operators(profiled):
    assert profiled.trace.name == "trace-rank-0.json.gz"
    events = json.loads(gzip.decompress(profiled.trace.read_bytes()))["traceEvents"]
    names = [event.get("name", "") for event in events]
    assert sum(name.startswith("ProfilerStep#") for name in names) == 3
    assert names.count("lmtrain/data") == names.count("lmtrain/optimizer") == 3
    assert names.count("lmtrain/forward") == names.count("lmtrain/backward") == 3 * 4
    assert "aten::mm" in names


def test_the_parts_of_a_step_make_up_the_step_but_for_a_rest(profiled):
    assert set(profiled.parts) == {*PARTS, "communication"}
    assert 0.5 < sum(profiled.parts[part] for part in PARTS) / profiled.seconds <= 1.0
    assert profiled.parts["communication"] == 0
    lines = told(profiled)
    assert lines[0].startswith("operator")
    assert any(line.startswith("aten::mm ") for line in lines)
    assert not any(line.startswith(("lmtrain/", "ProfilerStep")) for line in lines)


def test_waits_in_collectives_are_added_up_and_the_method_is_put_back(tmp_path):
    original = dist.Work.wait
    dist.init_process_group(
        "gloo", store=dist.FileStore(os.fspath(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        with CollectiveWaits() as waits:
            dist.all_reduce(torch.ones(1000))
            first = waits.seconds
            work = dist.all_reduce(torch.ones(1000), async_op=True)
            assert waits.seconds == first
            assert work is not None
            work.wait()
    finally:
        dist.destroy_process_group()
    assert 0 < first < waits.seconds
    assert dist.Work.wait is original


def test_alone_no_time_goes_into_communication(tmp_path):
    made = trainer(tmp_path, Process(), "ddp", "adamw", steps=2)
    (row,) = [row for row in made.run().rows if "loss" in row]
    assert row["communication_share"] == 0
    assert 0 <= row["loading_share"] <= 1
