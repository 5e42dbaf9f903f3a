"""The line's artifacts for every test of evaluation, in both languages."""

from pathlib import Path

import pytest
from evaluation_line import TEXTS, Line, tiny_model


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    """The line's artifacts in each language."""
    return {language: Line(str(tmp_path_factory.mktemp(language)), language) for language in TEXTS}


@pytest.fixture(params=["en", "zh"])
def line(request: pytest.FixtureRequest, lines: dict[str, Line]) -> Line:
    """The line's artifacts, in English and in Chinese."""
    return lines[request.param]


@pytest.fixture
def english(lines: dict[str, Line]) -> Line:
    """The English line's artifacts."""
    return lines["en"]


@pytest.fixture
def model_folder(english: Line, tmp_path: Path) -> Path:
    """A Hugging Face folder of a random language model."""
    tiny_model(english.tokenizer).save_pretrained(tmp_path / "model")
    english.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"
