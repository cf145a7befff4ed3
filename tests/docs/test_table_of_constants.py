"""The table of constants in docs/hunt.md."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_constants_of_the_data_files():
    spec = importlib.util.spec_from_file_location("constants", ROOT / "docs" / "constants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawing = module.drawing()
    assert "| `write_power_W` | 20 | W | assumption |" in drawing
    assert drawing in module.PAGE.read_text(encoding="utf-8"), "run: python docs/constants.py"
