"""Execution of models: in this process or in worker processes, a chunk of designs at a time.

A batch is cut into chunks in the same way for any number of workers, so that the results do not depend on it.
"""

import os
import signal
import threading
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

from moopim.errors import ConfigError, EvaluationError
from moopim.problem import DesignProblem
from moopim.randomness import controlled_randomness, randomness_key
from moopim.typing import FloatArray, IntArray

Execute = Callable[[Sequence[IntArray]], Iterator[tuple[int, FloatArray]]]
"""Evaluates chunks ``(rows, n_genes)``: yields number and quantities ``(rows, n_quantities)`` of each, as it ends."""

# The problem of a worker process: built once, when the process starts.
_worker: dict[str, DesignProblem] = {}


def executor(problem: DesignProblem, workers: "Workers | None") -> Execute:
    """Function that evaluates the chunks of a batch in worker processes, or in this one where there are none."""

    def execute(chunks: Sequence[IntArray]) -> Iterator[tuple[int, FloatArray]]:
        key = randomness_key()
        # One chunk keeps one process busy: this one saves the way there and back.
        if workers is None or len(chunks) == 1:
            return ((i, tabulate_chunk(problem, chunk, key)) for i, chunk in enumerate(chunks))
        return workers.map(call_with_problem, [(tabulate_chunk, chunk, key) for chunk in chunks])

    return execute


class WorkersDiedError(EvaluationError):
    """A worker process died, and so did one of its successors."""


class Workers:
    """Worker processes, `jobs` of them, that end with this one; if one dies they are replaced once per call.

    They get `problem` when they start, for `call_with_problem`.
    """

    def __init__(self, jobs: int, problem: DesignProblem | None = None) -> None:
        if jobs < 1:
            raise ConfigError(f"jobs={jobs} is not allowed; expected 1, 2, ...")
        self._jobs = jobs
        self._problem = problem
        self._parallel: Any = None

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Apply a function that can be pickled to items; yields number and result of each as it ends.

        Warnings of the workers are issued here. Raises WorkersDiedError if a worker dies, and one of its successors as
        well.
        """
        left = dict(enumerate(items))
        for replaced in (False, True):
            outcomes = None
            try:
                with _sparing_workers():
                    import joblib  # in the block: a Ctrl-C in the middle of an import would leave a part of it

                    call = joblib.delayed(_call)
                    outcomes = self._pool()([call(function, i, item) for i, item in left.items()])
                for i, result, messages in outcomes:
                    for message, category in messages:
                        warnings.warn(message, category, stacklevel=2)
                    del left[i]
                    yield i, result
            except BrokenProcessPool:
                self._parallel = None
                if replaced:
                    raise WorkersDiedError(
                        f"a worker process died, and so did its successor (jobs={self._jobs}); where the system ended "
                        "them for want of memory, fewer jobs need less"
                    ) from None
                text = "a worker process died, perhaps for want of memory; going on with new ones"
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            else:
                return
            finally:
                if outcomes is not None:
                    with warnings.catch_warnings():  # of tasks that are left after Ctrl-C
                        warnings.filterwarnings("ignore", message=".*still being processed")
                        outcomes.close()

    def close(self) -> None:
        """End the processes, which would otherwise wait for work, and this process for them when it ends."""
        from joblib.externals.loky import get_reusable_executor

        if self._parallel is not None:
            self._parallel = None
            # Not asked but killed: one that died while it waited may hold the lock behind which the others are asked.
            get_reusable_executor(reuse=True).shutdown(kill_workers=True)

    def _pool(self) -> Any:
        import joblib

        if self._parallel is None:
            # joblib keeps workers for another pool with equal arguments: the token keeps these apart, even
            # where the same problem object has changed in between.
            arguments = (self._problem, os.getpid(), uuid.uuid4().hex)
            options = {"initializer": _adopt, "initargs": arguments, "return_as": "generator_unordered"}
            self._parallel = joblib.Parallel(self._jobs, **options)
        return self._parallel


@contextmanager
def _sparing_workers() -> Iterator[None]:
    """Block Ctrl-C in processes that start in the block, since a terminal sends it to them too; this one ends them.

    It is blocked rather than ignored, so that this process gets one that comes in between when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # When it starts, which joblib sees to with the first worker, it unblocks the signal (Python 3.11).
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _adopt(problem: DesignProblem | None, parent: int, token: str) -> None:
    """Prepare a worker process; `token` only tells pools apart."""
    if problem is not None:
        _worker["problem"] = problem
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker once its parent, if killed, cannot end it any more."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _call(function: Callable[[Any], Any], number: int, item: Any) -> tuple[int, Any, list[tuple[str, type[Warning]]]]:
    """Number, result and warnings of an item; categories that may not exist elsewhere become UserWarning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        result = function(item)
    known = [(w.message, w.category if w.category.__module__ == "builtins" else UserWarning) for w in caught]
    return number, result, [(str(message), category) for message, category in known]


def call_with_problem(item: tuple[Any, ...]) -> Any:
    """Call a function, the first entry, with the problem of this worker process and with the other entries."""
    function, *arguments = item
    return function(_worker["problem"], *arguments)


def tabulate_chunk(problem: DesignProblem, X: IntArray, key: tuple[int, ...] | None) -> FloatArray:
    """Evaluate a chunk; random numbers of the model follow from the run's key and the chunk alone.

    They are then the same in any process and after an interruption, and leave those of the optimiser alone.
    """
    if key is None:
        return problem.tabulate(X)
    with controlled_randomness(*key, zlib.crc32(X.tobytes())):
        return problem.tabulate(X)
