"""Dynamic quantization by torchao, in an environment of its own that has it beside ours."""

import json
import os
import site
import subprocess
import venv
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PROJECT = TESTS.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment that sees our packages, and torchao as the extra has it."""
    folder = tmp_path_factory.mktemp("torchao")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    asked = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    Path(asked.stdout.strip(), "ours.pth").write_text("\n".join(site.getsitepackages()))
    (wanted,) = [
        line
        for line in (PROJECT / "pyproject.toml").read_text().splitlines()
        if line.startswith("quantization")
    ]
    requirement = wanted.split('"')[1]
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        requirement,
    ]
    subprocess.run(install, check=True)
    return str(python)


def run(python, *arguments):
    paths = [PROJECT, TESTS, TESTS / "evaluation"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run([python, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_where_torchao_is_installed_nothing_is_said_of_it(python):
    done = run(python, "-c", "import sys, lmtrain.evaluation.stage; print('torchao' in sys.modules)")
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_eight_bits_change_little_and_weigh_a_quarter(python):
    found = json.loads(run(python, str(TESTS / "evaluation" / "int8_program.py")).stdout)
    for name, language in found.pop("scored").items():
        assert language["name"] == "int8", name
        assert language["system"].endswith("-int8")
        assert language["bytes"] < language["whole_bytes"]
        assert language["milliseconds"] > 0 < language["whole_milliseconds"]
    for family, told in found.items():
        assert told["steps"] <= 0.51, "half a step of a row's own scale, that of its largest weight by 127"
        assert 0 < told["error"] < 0.05, family
        assert told["head"] == "Parameter", "the head stays as it is"
        assert told["saved"] == told["expected"], "one byte for four, and a scale for each row"
