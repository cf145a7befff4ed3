"""Fixtures that all tests share."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

for folder in ("", "hardware"):  # for toys.py, which worker processes import by name as well, and literal_hunt.py
    sys.path.insert(0, str(Path(__file__).parent / folder))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# No time limits in tests, and the same examples on every machine.
settings.register_profile("moopim", deadline=None, derandomize=True)
settings.load_profile("moopim")
