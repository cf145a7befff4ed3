"""Progress of a run on a terminal: generation, evaluations, cache hits, hypervolume, time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from pymoo.core.algorithm import Algorithm

from moopim.evaluator import Evaluator
from moopim.pareto import ideal_nadir, normalise, normalised_hypervolumes
from moopim.typing import FloatArray

__all__ = ["Progress", "progress_bar"]

# Seconds between updates of the hypervolume, and how many times as long as the last update took at least.
_INTERVAL = 0.5
_PAUSE = 20


class Progress(Protocol):
    """What a run calls after every generation."""

    def __call__(self, generation: int, evaluator: Evaluator, algorithm: Algorithm) -> None:
        """Shows the state.

        Args:
            generation: Number of the generation that ended.
            evaluator: The evaluator of the run.
            algorithm: The optimiser; its ``opt`` holds the designs that it would return now.
        """


def _silent(generation: int, evaluator: Evaluator, algorithm: Algorithm) -> None:
    """Shows nothing."""


@contextmanager
def progress_bar(title: str, evaluations: int, *, show: bool) -> Iterator[Progress]:
    """Opens a progress bar on standard error.

    Args:
        title: What is running.
        evaluations: The budget of evaluations.
        show: Whether to show it; without a terminal nothing is shown in any case.

    Yields:
        The function to call after every generation. The hypervolume is that of the current front as a share of the box
        from its first ideal point to 1.1 times its first nadir point; it only serves to see the search move.
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
        TextColumn("generation {task.fields[generation]}, {task.fields[cached]} cached, {task.fields[hypervolume]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=evaluations, generation=0, cached=0, hypervolume="")
        box: list[tuple[FloatArray, FloatArray]] = []
        due = [0.0]

        def show_state(generation: int, evaluator: Evaluator, algorithm: Algorithm) -> None:
            begun = time.monotonic()
            if begun < due[0] and evaluator.n_evaluations < evaluations:
                return
            F = np.empty((0, evaluator.problem.n_obj)) if algorithm.opt is None else algorithm.opt.get("F")
            text = "nothing feasible yet"
            if len(F) and np.isfinite(F).all(axis=1).any():
                if not box:
                    box.append(ideal_nadir(F))
                text = _hypervolume_text(normalise(F, *box[0]))
            fields = {"generation": generation, "cached": evaluator.n_cached, "hypervolume": text}
            bar.update(task, completed=evaluator.n_evaluations, **fields)  # type: ignore[arg-type]
            now = time.monotonic()
            due[0] = now + max(_INTERVAL, _PAUSE * (now - begun))

        yield show_state


def _hypervolume_text(F: FloatArray) -> str:
    """The hypervolume of normalised objectives as a share of the box, with its standard error where it has one."""
    [[value], [error]] = normalised_hypervolumes([[F]])[0]
    return f"hypervolume {value:.4f}" + (f" ± {error:.4f}" if error else "")
