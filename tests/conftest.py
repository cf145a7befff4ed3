"""Fixtures that all tests share."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for toys.py, which worker processes import by name as well


@pytest.fixture
def rng():
    return np.random.default_rng(1)
