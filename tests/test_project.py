"""The project's own files: what a newcomer reads and types works as it says."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
PAGES = [path for path in PROJECT.rglob("*.md") if ".venv" not in path.parts and "runs" not in path.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


def test_every_file_that_the_readme_names_is_there():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:flows|lmtrain|infra|docker|tests|tasks)/[\w./-]*)`", readme):
        assert (PROJECT / name).exists(), name
    for name in re.findall(r"`([\w-]+\.yaml)`", readme):
        assert (PROJECT / "flows" / "recipes" / name).exists(), name


def test_every_make_target_explains_itself():
    makefile = (PROJECT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    told = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for target in phony[1].split():
        assert f"make {target} " in told


def test_the_lock_serves_cpu_and_gpu_alike():
    pins = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if line[0] != "#"]
    assert "torch==2.13.0" in pins
    for pin in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.!]*", pin), "a pin, without local build, path or hash"
        assert not re.match(r"triton|nvidia|cuda", pin, re.IGNORECASE)
    assert pins == sorted(pins, key=str.upper)


def test_every_recipe_begins_by_saying_what_it_is():
    for path in (PROJECT / "flows" / "recipes").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), path.name
        assert yaml.safe_load(text)["name"] == path.stem
