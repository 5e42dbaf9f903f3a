"""Lines of artifacts that the report's tests share: made once, read by many."""

from pathlib import Path

import pytest
from made_line import BARE, RECIPE, chinese_recipe, make_line

from lmtrain.reporting import page
from lmtrain.reporting.line import Line

Inputs = dict[str, list[str]]


@pytest.fixture(scope="session")
def english_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def english(english_root: str, own_cache: None) -> Inputs:
    """A whole run, where pretraining helps in classification and not in summarization."""
    return make_line(RECIPE, english_root, summarization=0)


@pytest.fixture(scope="session")
def chinese(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Inputs:
    """A run on Chinese files, with a labelled set that contradicts itself."""
    folder = tmp_path_factory.mktemp("chinese")
    return make_line(chinese_recipe(folder / "texts"), str(folder / "runs"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Inputs:
    """A run without labelled sets and fine-tuning."""
    return make_line(BARE, str(tmp_path_factory.mktemp("bare")))


@pytest.fixture(scope="session")
def pages(
    english: Inputs, chinese: Inputs, bare: Inputs, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The pages of these runs, as files."""
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for name, inputs in (("english", english), ("chinese", chinese), ("bare", bare)):
        written[name] = folder / f"{name}.html"
        written[name].write_text(page.render(page.gather(Line.open(inputs), name)), encoding="utf-8")
    return written
