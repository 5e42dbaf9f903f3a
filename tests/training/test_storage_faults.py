"""A full disk ends a training in one line; an S3 server that is away is waited for. Nothing is lost."""

import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch
from s3_server import forget_clients, free_port, make_bucket, s3_server_command, started_weed
from tiny_training import trainer

from lmtrain import storage
from lmtrain.errors import StorageError
from lmtrain.storage import patience
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process

AWAY_SECONDS = 30
LARGEST_FILE = 40_000
"""Bytes: less than a checkpoint's, more than a log's."""


def calling(at: int, work: Callable[[], None]) -> Process:
    """A process that does something once it has told figures so often."""
    told: list[float] = []

    def tell(kind: str, payload: dict) -> None:
        if kind == "figures" and "loss" in payload:
            told.append(time.monotonic())
            if len(told) == at:
                work()

    return Process(tell=tell)


def saving_often(trained: Trainer) -> Trainer:
    trained.resources = trained.resources.model_copy(update={"checkpoint_seconds": 1e-9})
    return trained


def same_weights(ours: Trainer, theirs: Trainer) -> bool:
    weights, others = whole_weights(ours.job.model), whole_weights(theirs.job.model)
    return all(torch.equal(weights[name], others[name]) for name in others)


@contextmanager
def small_files_only() -> Iterator[Callable[[], None]]:
    """Yield what leaves no room for a large file, until the block ends: pytest writes files, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores the signal: writing fails instead
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_ends_in_one_line_and_the_checkpoint_before_is_gone_on_from(tmp_path):
    whole = trainer(tmp_path / "whole", Process(), "ddp", "adamw", steps=80)
    whole.run()
    with small_files_only() as fill:
        full = saving_often(trainer(tmp_path / "part", calling(4, fill), "ddp", "adamw", steps=80))
        with pytest.raises(
            StorageError, match=r"a checkpoint couldn't be written to .*MB are free.*make room"
        ):
            full.run()
        full.checkpoints._writer.shutdown()
    kept = full.checkpoints.steps()
    assert kept
    folders = {path.name for path in (tmp_path / "part" / "checkpoints" / "a").iterdir()}
    assert folders == {f"step-{step:08d}" for step in kept}, "what was cut short is gone"
    again = trainer(tmp_path / "part", Process(), "ddp", "adamw", steps=80)
    again.run()
    assert same_weights(again, whole)


def test_a_log_that_finds_no_room_ends_in_one_line(tmp_path):
    full = trainer(tmp_path, Process(), "ddp", "adamw", steps=10)
    with small_files_only() as fill:
        full._tell = lambda norm, stop: (
            fill(),
            (tmp_path / "log" / "big").write_bytes(bytes(2 * LARGEST_FILE)),
        )
        with pytest.raises(StorageError, match=r"no room to write.*: make room and run again"):
            full.run()


def test_a_file_that_finds_no_room_leaves_the_old_one_and_nothing_else(tmp_path):
    url = str(tmp_path / "file")
    storage.write_bytes(url, b"old")
    with small_files_only() as fill:
        fill()
        with pytest.raises(OSError, match="File too large"):
            storage.write_bytes(url, bytes(2 * LARGEST_FILE))
    assert storage.read_bytes(url) == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def no_server(monkeypatch) -> Iterator[None]:
    """An S3 endpoint at which nobody listens."""
    for name, value in credentials(f"http://127.0.0.1:{free_port()}").items():
        monkeypatch.setenv(name, value)
    forget_clients()
    yield
    forget_clients()


def credentials(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.mark.usefixtures("no_server")
def test_a_server_that_stays_away_is_an_error_that_names_the_file_once_patience_is_used_up(
    monkeypatch, caplog, tmp_path
):
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 1.0)
    asks = [
        lambda: storage.read_bytes("s3://bucket/folder/file"),
        lambda: storage.write_bytes("s3://bucket/folder/file", b""),
        lambda: storage.write_exclusive("s3://bucket/folder/file", b""),
        lambda: storage.download("s3://bucket/folder/file", tmp_path / "file"),
    ]
    for ask in asks:
        caplog.clear()
        with pytest.raises(
            StorageError, match=r"^s3://bucket/folder/file can't be reached, after 2 tries in"
        ):
            ask()
        told = [record for record in caplog.records if record.name == patience.__name__]
        assert ["trying again in 0.5 s" in record.getMessage() for record in told] == [True]


class Server:
    """An S3 server that can be taken away and come back."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.command = s3_server_command(os.environ["AWS_ENDPOINT_URL"], folder)
        self.open = ExitStack()
        self.process: subprocess.Popen
        self.start()
        self.bucket = make_bucket(self.process, self.log)

    def start(self) -> None:
        self.process = self.open.enter_context(started_weed(self.command, self.log))

    def goes_away(self, how: str) -> None:
        """Stop or kill it now, and let it come back later."""
        if how == "stopped":
            self.process.send_signal(signal.SIGSTOP)
            back = lambda: self.process.send_signal(signal.SIGCONT)  # noqa: E731
        else:
            self.process.kill()
            back = self.start
        threading.Timer(AWAY_SECONDS, back).start()


@pytest.fixture
def server(monkeypatch, tmp_path_factory) -> Iterator[Server]:
    """A server of this test's own."""
    for name, value in credentials(f"http://127.0.0.1:{free_port()}").items():
        monkeypatch.setenv(name, value)
    forget_clients()
    made = Server(tmp_path_factory.mktemp("s3"))
    yield made
    made.open.close()
    forget_clients()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stopped", "killed and started again"])
def test_a_server_that_is_away_for_thirty_seconds_costs_nothing_but_time(server, tmp_path, caplog, how):
    whole = trainer(tmp_path / "whole", Process(), "ddp", "adamw", steps=400)
    whole.run()
    steps_while_away: list[int] = []
    began: list[float] = []

    def tell(kind: str, payload: dict) -> None:
        if kind != "figures" or "loss" not in payload:
            return
        if payload["step"] == 50:
            server.goes_away(how)
            began.append(time.monotonic())
        elif began and time.monotonic() - began[0] < AWAY_SECONDS - 5:
            steps_while_away.append(payload["step"])
            time.sleep(0.5)

    away = saving_often(trainer(tmp_path / "part", Process(tell=tell), "ddp", "adamw", steps=400))
    away.checkpoints.url = f"{server.bucket}/checkpoints"
    away.run()
    assert len(steps_while_away) >= 10, "the training went on"
    assert same_weights(away, whole)
    assert max(away.checkpoints.steps()) >= 50
    if how != "stopped":  # a stopped one takes requests and answers late
        assert any("doesn't answer" in record.message for record in caplog.records)
    again = trainer(tmp_path / "again", Process(), "ddp", "adamw", steps=400)
    again.checkpoints.url = away.checkpoints.url
    server.goes_away(how)
    begun = time.monotonic()
    facts = again.checkpoints.load(again._tensors())
    assert facts is not None
    assert facts["state"]["step"] == max(away.checkpoints.steps())
    assert time.monotonic() - begun > AWAY_SECONDS - 5
