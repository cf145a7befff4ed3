"""The page on the architecture: its drawing of the layers, and the files that it names."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# Paths from the root, from moopim/ or from moopim/hardware/
NAMED = sorted(set(re.findall(r"`([\w/]+/[\w./-]*)`", PAGE)))


@pytest.fixture(scope="module")
def layers():
    spec = importlib.util.spec_from_file_location("layers", ROOT / "docs" / "layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_layers_of_the_sources(layers):
    assert layers.drawing() in PAGE, "run: python docs/layers.py"


def test_imports_point_downwards(layers):
    uses = layers.imports()
    rows = layers.layers(uses)
    height = {part: len(rows) - number for number, row in enumerate(rows) for part in row}
    assert all(height[used] < height[part] for part, used_by in uses.items() for used in used_by)


def test_layers_are_the_longest_chains_of_imports(layers):
    assert layers.layers({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": set()}) == [["a"], ["b"], ["c", "d"]]


@pytest.mark.parametrize("path", NAMED)
def test_files_that_the_page_names_exist(path):
    places = (ROOT, ROOT / "moopim", ROOT / "moopim" / "hardware")
    assert any((place / path).exists() for place in places)
