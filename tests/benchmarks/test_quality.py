"""The benchmark of quality for compute: what ended isn't repeated, and what was found is drawn."""

import json
import subprocess

import quality
from figures import Row, write
from quality_plot import draw

CURVE = [{"step": 1, "seconds": 2.0, "bits_per_byte": 3.0}, {"step": 2, "seconds": 4.0, "bits_per_byte": 2.5}]
GIVEN = {"seed": 0, "seconds": 4.0}


def test_a_run_that_ended_is_not_repeated_on_the_same_machine(tmp_path, monkeypatch):
    started = []

    def run(command, **settings):
        started.append(json.loads(command[-1]))
        told = json.dumps({"curve": CURVE, "steps": 2, "tokens": 8192})
        return subprocess.CompletedProcess(command, 0, stdout=f"some line\n{told}\n")

    monkeypatch.setattr(quality, "_runs", lambda: tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    assert quality._curve("plain", GIVEN) == quality._curve("plain", GIVEN) == CURVE
    assert started == [GIVEN]
    quality._curve("ours", GIVEN)
    quality._curve("plain", {**GIVEN, "seed": 1})
    monkeypatch.setattr(quality, "machine", lambda: "another")
    quality._curve("plain", GIVEN)
    assert len(started) == 4


def test_curves_are_drawn_the_same_each_time(tmp_path):
    curves = {"plain": [CURVE, CURVE], "whole": [CURVE], "part": [CURVE]}
    row = Row(
        "corpus-en, bits per byte", "bits per byte", 2.0, 2.5, "a plain loop", 1.25, None, {"curves": curves}
    )
    write("quality", [row], {}, tmp_path)
    first = draw(tmp_path).read_text()
    assert "corpus-en" in first
    assert first == draw(tmp_path).read_text()
