"""Enumeration of whole design spaces: the true front of a problem whose space is small enough."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np

from moopim.checks import number
from moopim.csv_files import write_frame
from moopim.errors import ConfigError, EvaluationError, LogError
from moopim.evaluator.executors import Workers, call_with_problem, tabulate_chunk
from moopim.experiment.arguments import check_count, check_new_directory, check_problem
from moopim.experiment.enumeration_state import (
    ENUMERATION,
    STATE,
    Enumeration,
    front_fingerprint,
    front_rows,
    read_state,
)
from moopim.experiment.frames import front_frame
from moopim.experiment.manifest import Manifest, new_manifest, write_manifest
from moopim.experiment.plugins import problem_spec
from moopim.experiment.result import EVALUATIONS, FRONT, RunResult, result_of
from moopim.files import locked
from moopim.messages import count, resume_command, rounded
from moopim.problem import DesignProblem
from moopim.progress import progress_bar
from moopim.randomness import controlled_randomness, randomness_key
from moopim.typing import FloatArray, IntArray

MOST = 10**12
"""Largest space that can be enumerated, in any time."""

# Seconds that the sample for the estimate takes at least, and its designs at most.
_SAMPLE_S = 0.2
_SAMPLE = 2**14
# Seconds that a block takes about, and its designs at most.
_BLOCK_S = 0.5
_BLOCK = 2**16
# Seconds between two commits of the state, and least ratio of them to the time that one takes.
_INTERVAL_S = 1.0
_PAUSE = 20
# Units of time with their seconds, and the number of the next smaller ones from which they are used.
_UNITS = (("years", 31_557_600), ("days", 86_400), ("h", 3_600), ("min", 60))
_FROM = 2

_Found = tuple[IntArray, IntArray, FloatArray, int]


def enumerate_designs(
    problem: DesignProblem,
    *,
    hours: float = 1.0,
    output: Path | str | None = None,
    jobs: int = 1,
    progress: bool = True,
    announce: Callable[[str], object] | None = None,
) -> RunResult:
    """Evaluate every design of a problem: its true front, for spaces that are small enough.

    The designs are those of the genome, as they are: what `DesignProblem.repair_designs` makes of one is among them. In
    memory, and in the output directory, are the non-dominated designs only. Of designs whose objectives are equal up to
    rounding errors, a part in 10^12, it has the first. An interrupted enumeration is continued by `resume`, to the same
    bits.

    Args:
        problem: The problem.
        hours: Longest time that it may take, as estimated by a sample of designs (h).
        output: Directory to make, as that of a run; without one the result is only returned.
        jobs: Number of processes that evaluate; the result does not depend on it.
        progress: Whether to show a progress bar, if standard error is a terminal.
        announce: Function that is given the size of the space and the estimate, in words, before the start.

    Returns:
        The front. `RunResult.evaluations` has its designs only, by their number in the order of `Genome.unrank`, from
        1.

    Raises:
        ConfigError: If an argument is not allowed, the space too large, or the output directory not empty.
        EvaluationError: If the problem returns unusable values.
    """
    check_problem(problem)
    check_count("jobs", jobs, 1)
    hours = number("hours", hours, positive=True)
    directory = None if output is None else Path(output)
    if directory is not None:
        check_new_directory(directory)
    size = problem.genome.size
    rate = _rate(problem)
    seconds = min(size, 10**300) / (rate * min(jobs, os.cpu_count() or 1))
    processes = "1 process" if jobs == 1 else f"{jobs} processes"
    about = (
        f"{type(problem).__name__} has {rounded(size)} designs, which take about {_duration(seconds)} in {processes}"
    )
    if size > MOST:
        raise ConfigError(f"{about}; expected a space of at most {MOST:,} designs")
    if seconds > 3_600 * hours:
        raise ConfigError(f"{about}; expected at most hours={hours:g}: allow more, or choose a smaller space")
    if announce is not None:
        announce(about)
    state = _new(problem, size, rate)
    manifest = new_manifest(problem, problem_spec(problem), ENUMERATION, size, 0, jobs)
    if directory is None:
        return _complete(state, manifest, None, progress=progress)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        check_new_directory(directory)  # another process may have been first
        write_manifest(directory, manifest)
        return _complete(state, manifest, directory, progress=progress)


def resume_enumeration(
    problem: DesignProblem, manifest: Manifest, directory: Path, *, progress: bool, drop_damaged: bool
) -> RunResult:
    """Evaluate what is left of an enumeration, and write its results; `drop_damaged` drops a damaged state."""
    path, size = directory / STATE, manifest.evaluations
    state = None
    if path.is_file():
        try:
            state = read_state(path, problem, size)
        except LogError:
            if not drop_damaged:
                raise
    return _complete(state or _new(problem, size, _rate(problem)), manifest, directory, progress=progress)


def _new(problem: DesignProblem, size: int, rate: float) -> Enumeration:
    """Enumeration that begins: blocks of whole chunks, so that a model sees the same ones for blocks of any size."""
    chunks = int(min(_BLOCK_S * rate, _BLOCK) // problem.chunk_rows)
    return Enumeration(problem, size, max(chunks, 1) * problem.chunk_rows)


def _complete(state: Enumeration, manifest: Manifest, directory: Path | None, *, progress: bool) -> RunResult:
    """Evaluate the blocks that are left, and write the results."""
    begun = time.perf_counter()
    path = None if directory is None else directory / STATE
    problem = state.problem
    try:
        _evaluate(state, manifest, path, progress=progress)
    except EvaluationError as error:
        if directory is None:
            raise
        way_on = f"{resume_command(directory)} goes on, with --changed-source after the source was mended"
        kept = f"{count(state.n_evaluated, 'evaluated design')} kept in {str(directory)!r}"
        raise EvaluationError(f"{error}; {kept}: {way_on}") from error
    frame, fingerprint = state.frame(), front_fingerprint(state.genes)
    front = front_frame(frame, problem.objectives)
    message = (
        f"all {count(state.size, 'design')} evaluated, {state.n_feasible:,} feasible; "
        f"{count(len(front), 'non-dominated design')}, fingerprint {fingerprint[:16]}"
    )
    result = result_of(manifest, frame, front, message, time.perf_counter() - begun, directory)
    if directory is not None:
        write_frame(directory / EVALUATIONS, frame)
        write_frame(directory / FRONT, front)
        outcome = {"message": message, "n_evaluations": state.size, "n_front": len(front)}
        outcome |= {"front_fingerprint": fingerprint, "seconds": result.seconds, "status": "finished"}
        write_manifest(directory, manifest.model_copy(update=outcome))
        (directory / STATE).unlink(missing_ok=True)
    return result


def _evaluate(state: Enumeration, manifest: Manifest, path: Path | None, *, progress: bool) -> None:
    """Evaluate the blocks that are left; commit the state now and then, and when it is interrupted."""
    workers = None if manifest.jobs == 1 else Workers(manifest.jobs, state.problem)
    due = time.monotonic() + _INTERVAL_S
    with (
        nullcontext() if workers is None else closing(workers),
        progress_bar(ENUMERATION, state.size, state.n_evaluated, show=progress) as report,
        controlled_randomness(manifest.seed),
    ):
        try:
            for block, found in _fronts(state, np.flatnonzero(~state.done).tolist(), workers):
                state.add(block, *found)
                now = time.monotonic()
                if path is not None and now >= due:
                    state.write(path)
                    due = time.monotonic() + max(_INTERVAL_S, _PAUSE * (time.monotonic() - now))
                report(state.n_evaluated, lambda: f"{len(state.numbers):,} non-dominated")
        except BaseException:
            if path is not None:
                state.write(path)
            raise
    state.settle()


def _fronts(state: Enumeration, blocks: list[int], workers: Workers | None) -> Iterator[tuple[int, _Found]]:
    """Yield number and front of each block, as it ends."""
    key = randomness_key()
    if workers is None:
        yield from ((block, _front(state.problem, *state.bounds(block), key)) for block in blocks)
        return
    for i, found in workers.map(call_with_problem, [(_front, *state.bounds(block), key) for block in blocks]):
        yield blocks[i], found


def _front(problem: DesignProblem, start: int, stop: int, key: tuple[int, ...] | None) -> _Found:
    """Non-dominated designs among those of consecutive numbers, see `_selected`."""
    numbers = np.arange(start, stop)
    return _selected(problem, numbers, problem.genome.unrank(numbers), key)


def _selected(problem: DesignProblem, numbers: IntArray, X: IntArray, key: tuple[int, ...] | None) -> _Found:
    """Numbers, genes and quantities of the non-dominated among designs `X` ``(pop, n_genes)``; number of feasible."""
    table = np.concatenate([tabulate_chunk(problem, chunk, key) for chunk in problem.chunks(X)])
    rows = np.flatnonzero(problem.feasible(table))
    n_feasible = len(rows)
    rows = rows[front_rows(problem, table[rows])]
    return numbers[rows], X[rows], table[rows], n_feasible


def _rate(problem: DesignProblem) -> float:
    """Designs per second in one process, from a sample of random designs, the same each time."""
    genome, rng, rows = problem.genome, np.random.default_rng(0), 1
    with controlled_randomness(0):
        _selected(problem, np.arange(rows), genome.sample(rows, rng), None)  # loads and compiles
        while True:
            begun = time.perf_counter()
            numbered = genome.size <= MOST
            X = genome.unrank(rng.integers(0, genome.size, rows)) if numbered else genome.sample(rows, rng)
            _selected(problem, np.arange(rows), X, None)
            seconds = time.perf_counter() - begun
            if seconds >= _SAMPLE_S or rows >= _SAMPLE:
                return rows / seconds
            rows *= 4


def _duration(seconds: float) -> str:
    """Time in words, such as ``3.5 min``."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= _FROM * length), ("s", 1))
    two_digits = float(f"{seconds / length:.2g}")
    return f"{two_digits:,g} {unit}"
