"""Runs: one optimiser on one problem with one seed, logged, resumable to the same bits."""

import copy
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from pymoo.core.algorithm import Algorithm
from pymoo.termination.max_eval import MaximumFunctionCallTermination

from moopim.algorithms.registry import make_algorithm
from moopim.errors import ConfigError, LogError
from moopim.evaluator import EvaluationLog, Evaluator
from moopim.experiment.frames import evaluations_frame, front_frame
from moopim.experiment.manifest import MANIFEST, Manifest, new_manifest, read_manifest, write_manifest
from moopim.experiment.plugins import build_problem, problem_spec
from moopim.experiment.progress import Progress, progress_bar
from moopim.experiment.result import EVALUATIONS, FRONT, LOG, RunResult, algorithm_label, load_run
from moopim.files import write_atomically
from moopim.problem import DesignProblem

__all__ = ["check_output", "resume", "run"]


def run(
    problem: DesignProblem,
    algorithm: str | Algorithm = "amosa",
    *,
    evaluations: int = 10_000,
    seed: int = 1,
    output: Path | str | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> RunResult:
    """Searches for the Pareto front of a problem.

    Args:
        problem: The problem.
        algorithm: Name of an optimiser (`moopim.algorithms.registry`), or a pymoo algorithm of your own.
        evaluations: Budget: the number of designs that the optimiser may ask for, cached ones included.
        seed: Seed of all random numbers; the same seed gives the same result.
        output: Run directory to make; without one the result is only returned.
        jobs: Number of processes that evaluate; the result does not depend on it.
        progress: Whether to show a progress bar, if standard error is a terminal.

    Returns:
        The front, everything evaluated, and a message about the end of the run.

    Raises:
        ConfigError: If an argument is not allowed or the output directory is not empty.
        EvaluationError: If the problem returns something unusable; what was evaluated before stays in the log.
    """
    name = algorithm if isinstance(algorithm, str) else None
    for label, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value < least:
            raise ConfigError(f"{label}={value} is not allowed; expected {least}, {least + 1}, ...")
    if not isinstance(problem, DesignProblem):
        raise ConfigError(f"problem is {problem!r}; expected an instance of a subclass of moopim.DesignProblem")
    # pymoo's algorithms keep the state of their run: a copy lets the caller use theirs again.
    optimiser = copy.deepcopy(algorithm) if name is None else make_algorithm(name, problem, evaluations)
    manifest = new_manifest(problem, problem_spec(problem), name, evaluations, seed, jobs)
    directory = None if output is None else Path(output)
    if directory is not None:
        check_output(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_manifest(directory, manifest)
    return _search(problem, optimiser, manifest, directory, progress=progress)


def resume(
    directory: Path | str,
    *,
    jobs: int | None = None,
    progress: bool = True,
    problem: DesignProblem | None = None,
    algorithm: Algorithm | None = None,
) -> RunResult:
    """Goes on with an interrupted run; a finished one is read back.

    The run starts again from its seed, is answered from its log as far as that reaches, and goes on from there: the
    result is the one that the uninterrupted run would have given, to the bit.

    Args:
        directory: The run directory.
        jobs: Number of processes that evaluate; as before where not given.
        progress: Whether to show a progress bar, if standard error is a terminal.
        problem: The problem, where only the calling script can make it.
        algorithm: The algorithm as it was passed to `run`, where that was not a name.

    Returns:
        The outcome, as from `run`.

    Raises:
        ConfigError: If the directory is not a run directory, or its problem cannot be built again.
        LogError: If the problem or its source has changed since.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    if manifest.status == "finished":
        return load_run(directory)
    if problem is None:
        if manifest.problem.spec is None:
            raise ConfigError(
                f"only its own script can make the problem of {str(directory)!r}; resume it there (problem=)"
            )
        problem = build_problem(manifest.problem.spec, manifest.problem.parameters)
    check_fingerprint(directory, manifest, problem)
    if manifest.algorithm is not None:
        optimiser = make_algorithm(manifest.algorithm, problem, manifest.evaluations)
    elif algorithm is not None:
        optimiser = copy.deepcopy(algorithm)
    else:
        raise ConfigError(
            f"the run in {str(directory)!r} used an algorithm of its own script; resume it there (algorithm=)"
        )
    if jobs is not None:
        manifest = manifest.model_copy(update={"jobs": jobs})
    return _search(problem, optimiser, manifest, directory, progress=progress)


def check_output(directory: Path) -> None:
    """Refuses an output directory that holds anything, so that nothing is overwritten.

    Raises:
        ConfigError: If the directory is a file or not empty.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"output {str(directory)!r} is not a directory")
    if directory.is_dir() and any(directory.iterdir()):
        hint = f"; 'moopim resume {directory}' goes on with its run" if (directory / MANIFEST).is_file() else ""
        raise ConfigError(f"output directory {str(directory)!r} is not empty{hint}")


def check_fingerprint(directory: Path, manifest: Manifest, problem: DesignProblem) -> None:
    """Refuses a run directory that belongs to another problem.

    Raises:
        LogError: If the fingerprints differ.
    """
    if manifest.problem.fingerprint != problem.fingerprint():
        raise LogError(
            f"the run in {str(directory)!r} belongs to another problem or version: it was {manifest.problem.title}, "
            f"now {problem!r}; its fingerprint has changed"
        )


def _search(
    problem: DesignProblem, algorithm: Algorithm, manifest: Manifest, directory: Path | None, *, progress: bool
) -> RunResult:
    """Runs the optimiser to its end and writes what came of it."""
    begun = time.perf_counter()
    with _open_log(problem, manifest, directory) as log:
        evaluator = Evaluator(problem, log, manifest.jobs)
        with progress_bar(algorithm_label(manifest), manifest.evaluations, show=progress) as report:
            exhausted = optimise(evaluator, algorithm, manifest.evaluations, manifest.seed, report)
    seconds = time.perf_counter() - begun
    frame = evaluations_frame(problem, evaluator.batches, np.atleast_2d(algorithm.opt.get("F")))
    front = front_frame(frame, problem.objectives)
    message = _message(evaluator, manifest.evaluations, len(front), exhausted=exhausted)
    message = "; ".join(filter(None, (message, problem.remark(frame, manifest.tally))))
    result = RunResult(
        title=manifest.problem.title,
        algorithm=algorithm_label(manifest),
        seed=manifest.seed,
        objectives=tuple(problem.objectives),
        constraints=tuple(problem.constraints),
        evaluations=frame,
        front=front,
        message=message,
        seconds=seconds,
        directory=directory,
    )
    if directory is not None:
        _write(result, directory)
        outcome = {"message": message, "n_evaluations": len(frame), "n_cached": evaluator.n_cached}
        outcome |= {"n_front": len(front), "seconds": seconds, "status": "finished"}
        write_manifest(directory, manifest.model_copy(update=outcome))
    return result


def optimise(
    evaluator: Evaluator,
    algorithm: Algorithm,
    evaluations: int,
    seed: int,
    report: Progress,
) -> bool:
    """Runs a pymoo algorithm to the exact budget, one committed generation after another.

    Args:
        evaluator: The evaluator; its problem is the one that is optimised.
        algorithm: A fresh algorithm.
        evaluations: The budget.
        seed: The seed.
        report: Called after every generation.

    Returns:
        Whether every design of the genome was evaluated before the budget was spent.
    """
    size = evaluator.problem.genome.size
    algorithm.setup(evaluator.problem, termination=MaximumFunctionCallTermination(evaluations), seed=seed)
    n_offsprings = getattr(algorithm, "n_offsprings", None)
    if getattr(algorithm, "pop_size", None):
        algorithm.pop_size = min(algorithm.pop_size, evaluations)
    generation = 0
    while evaluator.n_evaluations < evaluations and algorithm.has_next():
        if n_offsprings is not None:
            algorithm.n_offsprings = min(n_offsprings, evaluations - evaluator.n_evaluations)
        generation += 1
        algorithm.next()
        evaluator.commit(generation)
        report(generation, evaluator, algorithm)
        if evaluator.n_distinct >= size:
            return True
    return False


def _open_log(problem: DesignProblem, manifest: Manifest, directory: Path | None) -> Any:
    if directory is None:
        return nullcontext()
    shape = (problem.genome.n_genes, len(problem.quantities))
    return EvaluationLog(directory / LOG, manifest.problem.fingerprint, *shape, problem.genome.storage_dtype)


def _message(evaluator: Evaluator, evaluations: int, n_front: int, *, exhausted: bool) -> str:
    parts = [f"{evaluator.n_evaluations:,} evaluations ({evaluator.n_cached:,} cached)"]
    if exhausted:
        parts.append(f"the space is exhausted: all {evaluator.n_distinct:,} designs were evaluated")
    elif evaluator.n_evaluations < evaluations:
        parts.append(f"stopped before the budget of {evaluations:,}: the optimiser found no new designs")
    parts.append(f"{n_front:,} non-dominated designs" if n_front else "nothing feasible was found")
    return "; ".join(parts)


def _write(result: RunResult, directory: Path) -> None:
    """Writes the frames; Parquet as well where pyarrow is there."""
    write_atomically(directory / EVALUATIONS, result.evaluations.to_csv(index=False))
    write_atomically(directory / FRONT, result.front.to_csv(index=False))
    try:
        import pyarrow  # noqa: F401 (only to see whether it is there)
    except ImportError:
        return
    partial = directory / "evaluations.parquet.partial"
    result.evaluations.to_parquet(partial, index=False)
    partial.replace(directory / "evaluations.parquet")
