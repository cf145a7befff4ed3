"""Check of the tables of refused arguments; a file of its own, so that tests of several packages import it."""

import pytest

from moopim import ConfigError


def check_refused(call, message):
    """Assert that a call raises ConfigError with a message of one line that matches a pattern."""
    with pytest.raises(ConfigError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
