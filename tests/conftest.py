"""Fixtures that all tests share."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for toys.py, which worker processes import by name as well


@pytest.fixture
def rng():
    return np.random.default_rng(1)


# No time limits in tests, and the same examples on every machine.
settings.register_profile("moopim", deadline=None, derandomize=True)
settings.load_profile("moopim")
