"""A worker, or a whole run, killed by SIGKILL at random moments: its files are those of a quiet run."""

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from both_languages import curate, write_files, write_recipe
from killing import Moment, Onlooker, random_moments, tasks_of
from running import LMTRAIN, Machine, contents

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.manifest import Artifact

KINDS = ("corpus", "labelled", "classifier", "documents")
ROLES = {"documents", "dropped", "signatures", "contamination"}
RESOURCES = Resources(workers=2, compile=False)


@dataclass(frozen=True)
class Undisturbed:
    """What is compared with: the data, a recipe for it, all files of a run, and the tasks it went through."""

    data: str
    recipe: Path
    files: dict[str, dict[str, tuple[str, int | None]]]
    tasks: Onlooker


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that nobody killed anything of."""
    folder = tmp_path_factory.mktemp("both-languages")
    write_files(folder)
    return seen_through(str(folder), write_recipe(folder / "recipe.yaml", str(folder)), str(folder / "runs"))


def seen_through(data: str, recipe: Path, root: str) -> Undisturbed:
    """Run without a kill, and check that there was something to do for every step."""
    with Onlooker() as onlooker:
        documents, later = map(Artifact, curate(recipe, data, root, RESOURCES))
    assert {record.role for record in documents.manifest.files} == ROLES
    assert documents.stats["by_language"].keys() >= {"en", "zh"}
    filters = {reason.partition("/")[0] for reason in documents.stats["dropped"]}
    assert filters >= {"bad_words", "decontamination", "deduplication", "gopher_quality", "quality"}
    assert documents.stats["rewritten"].keys() == {"privacy", "recurring"}
    assert later.stats["copies_of_earlier"] > 30
    return Undisturbed(data, recipe, contents(root, *KINDS), onlooker)


def assert_kills_change_nothing(
    undisturbed: Undisturbed, root: str, moments: list[Moment], seed: int
) -> None:
    """Run with kills at these moments; all files must be those of the undisturbed run.

    A run may be over before its last moment, where its tasks are shorter than they were: the rest of the
    kills then comes a little earlier in another run.
    """
    for run in range(3):
        place = storage.join(root, str(run))
        with Onlooker(moments, seed) as onlooker:
            curate(undisturbed.recipe, undisturbed.data, place, RESOURCES)
        print(f"seed {seed}: killed the workers at {onlooker.killed or 'nothing'}")  # noqa: T201
        assert contents(place, *KINDS) == undisturbed.files
        moments = [Moment(max(moment.tasks - 3, 1), 0) for moment in onlooker.moments]
        if not moments:
            return
    pytest.fail(f"no worker was killed at {moments}")


def test_three_workers_killed_at_random_moments_change_no_byte(undisturbed, tmp_path):
    moments = random_moments(undisturbed.tasks, seed=0, count=3)
    assert_kills_change_nothing(undisturbed, str(tmp_path / "runs"), moments, seed=0)


RUNS = 5


@pytest.mark.slow
@pytest.mark.parametrize("run", range(RUNS))
def test_twenty_workers_killed_in_all_steps_change_no_byte(undisturbed, tmp_path, run):
    """Each run has every fifth of twenty moments, which are spread over all tasks."""
    moments = random_moments(undisturbed.tasks, seed=1, count=20)[run::RUNS]
    assert_kills_change_nothing(undisturbed, str(tmp_path / "runs"), moments, seed=run)


@pytest.mark.slow
def test_a_run_killed_whole_again_and_again_ends_with_the_same_files(undisturbed, machine, tmp_path):
    """At each moment driver, cluster and workers die at once, and the next run goes on from there."""
    warm = Machine(machine.folder, machine.ray, {"LMTRAIN_CACHE": os.environ["LMTRAIN_CACHE"]})
    root, chance = tmp_path / "runs", random.Random(2)
    killed: list[set[str]] = []
    while life := killed_life(warm, undisturbed.recipe, root, chance):
        killed.append(life)
        print(f"kill {len(killed)}: at {sorted(life)}")  # noqa: T201
    assert len(killed) >= 3
    made = contents(str(root), *KINDS)
    assert {folder.split("/")[0] for folder in made} == set(KINDS)
    assert made == {folder: files for folder, files in undisturbed.files.items() if "later" not in folder}


def killed_life(machine: Machine, recipe: Path, root: Path, chance: random.Random) -> set[str]:
    """Start a run, kill all of it at a random moment; return what it was at, or nothing if it was faster."""
    tasks, seconds = chance.randint(1, 15), chance.uniform(0, 0.3)
    seen: set[str] = set()
    with machine.started(LMTRAIN, "curate", str(recipe), "--root", str(root)) as started:
        while len(seen) < tasks:
            if started.process.poll() is not None:
                assert started.process.returncode == 0, started.told()
                return set()
            seen.update(tasks_of(machine.processes()).values())
        time.sleep(seconds)
        running = machine.processes()
        for process in [started.process.pid, *running]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        started.process.wait()
    return {*tasks_of(running).values()} or {"between two tasks"}


@pytest.mark.slow
def test_on_s3_a_worker_killed_changes_no_byte(ray_cluster, s3_root, tmp_path):
    write_files(tmp_path)
    data = storage.join(s3_root, "data")
    for path in tmp_path.rglob("*.*"):
        storage.write_bytes(storage.join(data, path.relative_to(tmp_path).as_posix()), path.read_bytes())
    recipe = write_recipe(tmp_path / "recipe.yaml", data)
    undisturbed = seen_through(data, recipe, storage.join(s3_root, "undisturbed"))
    moments = random_moments(undisturbed.tasks, seed=3, count=1)
    assert_kills_change_nothing(undisturbed, storage.join(s3_root, "killed"), moments, seed=3)
