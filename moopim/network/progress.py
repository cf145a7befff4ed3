"""Progress of long work on a terminal; of a training: epoch, loss, accuracies, time left."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Progress", "progress_bar"]

# Seconds between updates within an epoch.
_INTERVAL = 0.2


class Progress(Protocol):
    """What long work calls after every step."""

    def __call__(self, step: int, row: Mapping[str, float] | None = None) -> None:
        """Shows the state.

        Args:
            step: Number of the step that ended.
            row: The row of the training log, where an epoch ended.
        """


def _silent(step: int, row: Mapping[str, float] | None = None) -> None:
    """Shows nothing."""


@contextmanager
def progress_bar(title: str, steps: int, begun: int, *, show: bool) -> Iterator[Progress]:
    """Opens a progress bar on standard error.

    Args:
        title: What is trained, or what the steps are.
        steps: Steps of the whole work.
        begun: Steps that an earlier session has done.
        show: Whether to show it; without a terminal nothing is shown in any case.

    Yields:
        The function to call after every step.
    """
    if not (show and sys.stderr.isatty()):
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=steps, completed=begun, state="")
        shown: dict[str, float] = {}
        last = [time.monotonic()]

        def show_state(step: int, row: Mapping[str, float] | None = None) -> None:
            now = time.monotonic()
            if row is None and now - last[0] < _INTERVAL:
                return
            last[0] = now
            shown.update({name: value for name, value in (row or {}).items() if value == value})  # noqa: PLR0124 (NaN)
            bar.update(task, completed=step, state=_words(shown))

        yield show_state


def _words(row: Mapping[str, float]) -> str:
    """Such as ``epoch 3, loss 0.412, train accuracy 0.874, validation accuracy 0.850``."""
    hidden = ("step", "learning_rate", "seconds")
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in row.items() if name not in hidden)
