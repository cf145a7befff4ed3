"""What all tests of networks share."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """The networks of tests are small, and several tests run at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
