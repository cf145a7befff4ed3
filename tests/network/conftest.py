"""What all tests of networks share."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread):
    """Every test of a network runs on one thread."""
