"""Where a batch of designs is evaluated: in this process, or in worker processes, a chunk of rows at a time.

A batch is cut into chunks in the same way for any number of workers, so that the results do not depend on it.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from moopim.errors import ConfigError
from moopim.genes import IntArray
from moopim.problem import DesignProblem, FloatArray

__all__ = ["Execute", "executor"]

Execute = Callable[[IntArray], FloatArray]

# The problem of a worker process: built once, when the process starts.
_worker: dict[str, DesignProblem] = {}


def executor(problem: DesignProblem, jobs: int) -> Execute:
    """Makes the function that evaluates a batch.

    Args:
        problem: The problem; its `chunk_rows` says how many designs a worker gets at a time.
        jobs: Number of processes; 1 evaluates in this one.

    Returns:
        A function from genes ``(pop, n_genes)`` to quantities ``(pop, n_quantities)``.

    Raises:
        ConfigError: If ``jobs`` is less than 1.
    """
    if jobs < 1:
        raise ConfigError(f"jobs={jobs} is not allowed; expected 1, 2, ...")
    return problem.tabulate if jobs == 1 else _JoblibExecutor(problem, jobs)


class _JoblibExecutor:
    """Evaluates chunks in joblib worker processes that were given the problem when they started."""

    def __init__(self, problem: DesignProblem, jobs: int) -> None:
        self._problem = problem
        self._jobs = jobs
        self._parallel: Any = None

    def __call__(self, X: IntArray) -> FloatArray:
        chunks = self._problem.chunks(X)
        if len(chunks) == 1:
            # One chunk keeps one process busy: this one saves the way there and back.
            return self._problem.tabulate(X)
        import joblib

        if self._parallel is None:
            # joblib keeps workers for another pool with equal arguments: the token makes these ones its own, even
            # where the same problem object has changed in between.
            arguments = (self._problem, os.getpid(), uuid.uuid4().hex)
            self._parallel = joblib.Parallel(self._jobs, initializer=_adopt, initargs=arguments)
        return np.concatenate(self._parallel(joblib.delayed(_tabulate)(chunk) for chunk in chunks))


def _adopt(problem: DesignProblem, parent: int, token: str) -> None:
    """Prepares a worker process; ``token`` only tells pools apart."""
    _worker["problem"] = problem
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this worker when the run was killed and so cannot end it any more."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _tabulate(X: IntArray) -> FloatArray:
    return _worker["problem"].tabulate(X)
