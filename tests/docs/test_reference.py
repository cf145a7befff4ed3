"""The API reference and the examples in docstrings."""

import doctest
import importlib
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


def is_public(name):
    if name.rpartition(".")[2].startswith("_"):
        return False
    return importlib.import_module(name).__spec__.submodule_search_locations is None


def test_every_public_module_is_in_the_reference_once():
    assert sorted(documented()) == sorted(filter(is_public, modules()))


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
def test_examples_in_docstrings(name):
    if name == "moopim.network.crossbar._gpu":
        pytest.importorskip("triton", reason="comes with torch for CUDA only")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_there_are_examples_in_docstrings():
    tests = doctest.DocTestFinder().find(importlib.import_module("moopim.genome"))
    assert any(test.examples for test in tests)
