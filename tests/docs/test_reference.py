"""The API reference and the examples in docstrings."""

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"moopim": "moopim", "problems": "moopim.problems", "analysis": "moopim.analysis"}


def modules():
    """Names of all modules of the library, packages included, by walking the folders."""
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")])


def documented():
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    return [name for page in pages for name in re.findall(r"automodule:: (\S+)", page)]


def exporting_packages():
    """Packages with names in their ``__all__``."""
    for name in modules():
        path = importlib.util.find_spec(name).submodule_search_locations
        if path is not None and getattr(importlib.import_module(name), "__all__", ()):
            yield name


def public_names():
    for package in exporting_packages():
        module = importlib.import_module(package)
        yield from ((package, name) for name in module.__all__ if not name.startswith("__"))


def test_the_reference_shows_every_package_that_exports_names():
    assert set(exporting_packages()) <= set(documented())


@pytest.mark.parametrize(("package", "name"), list(public_names()))
def test_public_names_are_documented_with_their_arguments(package, name):
    found = getattr(importlib.import_module(package), name)
    if not inspect.isfunction(found):
        assert not inspect.isclass(found) or inspect.getdoc(found)
        return
    text = inspect.getdoc(found) or ""
    missing = [argument for argument in inspect.signature(found).parameters if f"{argument}:" not in text]
    assert text
    assert not missing, f"{package}.{name} does not document {missing}"


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
def test_examples_in_docstrings(name):
    if name == "moopim.network.crossbar._gpu":
        pytest.importorskip("triton", reason="comes with torch for CUDA only")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_there_are_examples_in_docstrings():
    tests = doctest.DocTestFinder().find(importlib.import_module("moopim.genome"))
    assert any(test.examples for test in tests)
