"""The docstrings of installed packages: Python source in, documents out; nothing is imported or run."""

import ast
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from lmtrain import storage

UNKNOWN_LICENSE = "unknown"
_CLASSIFIER = "License :: "
_KINDS = {
    ast.Module: "module",
    ast.ClassDef: "class",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
}
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


@dataclass(frozen=True)
class Package:
    """An installed package: its import name, and version and licence of its distribution."""

    name: str
    version: str
    license: str


@dataclass(frozen=True)
class Docstring:
    """One docstring.

    Attributes:
        name: dotted within its module; empty for the module itself.
        kind: `module`, `class` or `function`.
        text: as `help` shows it, without indentation.
    """

    name: str
    kind: str
    text: str


def package_of(name: str) -> Package:
    """Return what the metadata of a package's distribution say of it."""
    distribution = metadata.packages_distributions().get(name, [name])[0]
    return Package(name, metadata.version(distribution), license_of(distribution))


def license_of(distribution: str) -> str:
    """Return a distribution's licence: its expression, else its classifiers, else a short licence field."""
    about = metadata.metadata(distribution)
    expressions = about.get_all("License-Expression")
    if expressions:
        return expressions[0]
    classifiers = [given for given in about.get_all("Classifier") or [] if given.startswith(_CLASSIFIER)]
    named = [given.rsplit(" :: ", 1)[-1] for given in classifiers]
    if named:
        return " AND ".join(named)
    field = "".join((about.get_all("License") or [])[:1]).strip()
    return field if field and len(field) <= 80 and "\n" not in field else UNKNOWN_LICENSE


def docstrings_of(source: bytes) -> Iterator[Docstring]:
    """Yield the docstrings of module, classes and functions, nested ones too, in the order of the source.

    Args:
        source: a Python file; its encoding is what it declares, else UTF-8.

    Raises:
        ValueError: it can't be parsed by this version of Python (SyntaxError isn't a ValueError,
            so it is given as one).
    """
    pending: list[tuple[ast.AST, str]] = [(_parsed(source), "")]
    while pending:  # a stack of our own: a chain of a thousand `elif` is nested a thousand deep
        node, scope = pending.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not isinstance(node, ast.Module):
                scope = f"{scope}.{node.name}".lstrip(".")
            text = ast.get_docstring(node)
            if text is not None:
                yield Docstring(scope, _KINDS[type(node)], text)
        inner = [child for block in _BLOCKS for child in getattr(node, block, ())]
        pending.extend((child, scope) for child in reversed(inner))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the garbage collector: a syntax tree has no cycles, and walking it over and over took a third."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings(), _without_collection():
        warnings.simplefilter("ignore")  # invalid escapes in other people's code are none of ours
        try:
            return ast.parse(source)
        except (SyntaxError, RecursionError, MemoryError) as error:  # the last two: nested too deep
            raise ValueError(f"{type(error).__name__}: {error}") from error


def read_source(package: str, name: str) -> bytes:
    """Return a source file of a package as it is installed on this machine.

    Args:
        package: import name.
        name: path below the folder that holds the package, `numpy/linalg/_linalg.py`.
    """
    return (storage.package_folder(package).parent / name).read_bytes()
