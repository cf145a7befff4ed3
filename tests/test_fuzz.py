"""Whatever a file holds, it is read or refused in one line; ``benchmarks/fuzz.py`` runs more cases and times them."""

import pytest
from hostile import LOADERS, attempt, read_valid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Written and read anew for each case: the folder is emptied by `attempt`.
CASES = settings(max_examples=500, suppress_health_check=list(HealthCheck), database=None)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", LOADERS)
def test_the_files_are_accepted_before_they_are_changed(name, tmp_path):
    assert read_valid(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
@CASES
@given(random=st.randoms(use_true_random=True))
def test_a_hostile_file_is_read_or_refused_in_one_line(name, random, tmp_path_factory):
    outcome = attempt(name, random, tmp_path_factory.getbasetemp() / f"hostile {name}")  # raises errors of others
    assert not outcome.fault
