"""Fixtures that all tests share."""

import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

for folder in ("", "hardware"):  # for toys.py, which worker processes import by name as well, and literal_idealised.py
    sys.path.insert(0, str(Path(__file__).parent / folder))

# A shell that starts the tests in its background has them ignore Ctrl-C, and with them the commands they interrupt.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture(scope="module")
def one_thread():
    """The networks of tests are small, and several tests run at a time."""
    import torch  # only here: it is an extra, and slow to load

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# No time limits in tests, and the same examples on every machine.
settings.register_profile("moopim", deadline=None, derandomize=True)
settings.load_profile("moopim")
