"""Progress bar on a terminal: steps done, state of the work, time left."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

# Seconds between updates, and least ratio of the time between two updates to the time that one takes.
_INTERVAL_S = 0.2
_PAUSE = 20


class Report(Protocol):
    """Callback after every step of long work."""

    def __call__(self, done: int, state: Callable[[], str] | None = None) -> None:
        """Update the bar to the number of steps done and the text of `state`, called when it is shown."""


def _ignore(done: int, state: Callable[[], str] | None = None) -> None:
    """Show nothing."""


@contextmanager
def progress_bar(title: str, total: int, begun: int = 0, *, show: bool) -> Iterator[Report]:
    """Progress bar on standard error; yields the callback, which shows nothing without a terminal.

    `begun` is the number of the `total` steps that an earlier session did.
    """
    if not (show and sys.stderr.isatty()):
        yield _ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=begun, state="")
        due, text = 0.0, ""
        latest: Callable[[], str] | None = None

        def report(done: int, state: Callable[[], str] | None = None) -> None:
            nonlocal due, text, latest
            now = time.monotonic()
            latest = state or latest
            if now < due and done < total:
                return
            if latest is not None:
                text, latest = latest(), None
            bar.update(task, completed=done, state=text)
            due = time.monotonic() + max(_INTERVAL_S, _PAUSE * (time.monotonic() - now))

        yield report
