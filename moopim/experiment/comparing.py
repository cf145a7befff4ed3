"""Comparisons of optimisers: several seeds, one problem and budget, a directory per run."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moopim.algorithms.registry import algorithm_names, make_algorithm
from moopim.algorithms.screening import prepare
from moopim.errors import ConfigError, EvaluationError, unknown_name
from moopim.evaluator.executors import Workers, WorkersDiedError
from moopim.experiment.arguments import check_count, check_fingerprint, check_new_directory, check_problem
from moopim.experiment.manifest import MANIFEST, read_manifest
from moopim.experiment.plugins import build_problem, problem_spec
from moopim.experiment.result import RunResult
from moopim.experiment.running import resume, run
from moopim.files import is_vacant, locked
from moopim.problem import DesignProblem


@dataclass(frozen=True)
class _Task:
    """Run of a comparison as a worker process gets it."""

    spec: str
    parameters: dict[str, Any]
    algorithm: str
    evaluations: int
    seed: int
    directory: Path
    screen: bool


def compare(
    problem: DesignProblem,
    algorithms: Sequence[str],
    *,
    seeds: int = 5,
    evaluations: int = 10_000,
    output: Path | str,
    jobs: int = 1,
    screen: bool = False,
    progress: bool = True,
) -> list[RunResult]:
    """Compare optimisers on one problem, each with the seeds 1, 2, ....

    An interrupted comparison continues when it is called again: finished runs are read back, started ones resumed.

    Args:
        problem: The problem; its class must be importable.
        algorithms: Names of optimisers (`moopim.algorithms.registry`).
        seeds: Number of seeds.
        evaluations: Budget of each run.
        output: Directory of the comparison; each run gets ``ALGORITHM-sSEED`` in it.
        jobs: Number of runs at a time, each in a process of its own.
        screen: Whether a surrogate chooses among the optimisers' proposals, see `run`.
        progress: Whether to show progress, if standard error is a terminal.

    Returns:
        The outcomes, algorithm by algorithm, seed by seed.

    Raises:
        ConfigError: If an argument is not allowed, or the output directory holds something else.
        LogError: If the output directory holds runs of another problem.
        EvaluationError: If a run fails, or worker processes die; earlier evaluations are kept.
    """
    directory = Path(output)
    tasks = _plan(problem, algorithms, seeds, evaluations, directory, jobs, screen=screen)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        if jobs == 1:
            return [_perform(task, progress=progress) for task in tasks]
        # The problem is built again in each worker: a worker only gets its description.
        try:
            with closing(Workers(jobs)) as workers:
                results = dict(workers.map(_perform, tasks))
        except WorkersDiedError as error:
            kept = f"what was evaluated is kept in {str(directory)!r}, and the same comparison goes on from there"
            raise EvaluationError(f"{error}; {kept}") from error
        return [results[i] for i in range(len(tasks))]


def _plan(
    problem: DesignProblem,
    algorithms: Sequence[str],
    seeds: int,
    evaluations: int,
    output: Path,
    jobs: int,
    *,
    screen: bool,
) -> list[_Task]:
    """Runs of a comparison; everything is checked before the first one starts."""
    for label, value in (("seeds", seeds), ("evaluations", evaluations), ("jobs", jobs)):
        check_count(label, value, 1)
    check_problem(problem)
    if isinstance(algorithms, str):
        raise ConfigError(f"algorithms is {algorithms!r}; expected a list of names, such as {algorithms.split(',')!r}")
    algorithms = list(algorithms or ())  # of any kind, read once
    if not algorithms:
        raise ConfigError("algorithms is empty; expected at least one name")
    for name in algorithms:
        if not isinstance(name, str):
            raise ConfigError(f"algorithms has {name!r}; expected names: {', '.join(algorithm_names())}")
        if name not in algorithm_names():
            raise unknown_name("algorithm", name, algorithm_names())
        if algorithms.count(name) > 1:
            raise ConfigError(f"algorithm {name!r} is named twice")
        optimiser = make_algorithm(name, problem, evaluations)
        if screen:
            prepare(optimiser, problem, evaluations, name)
    spec = problem_spec(problem)
    if spec is None:
        raise ConfigError(f"{type(problem).__name__} cannot be imported by name; put its class into a module or a file")
    tasks = [
        _Task(spec, problem.parameters(), name, evaluations, seed, output / f"{name}-s{seed}", screen)
        for name in algorithms
        for seed in range(1, seeds + 1)
    ]
    _check_directories(problem, tasks, output)
    return tasks


def _check_directories(problem: DesignProblem, tasks: Sequence[_Task], output: Path) -> None:
    """Raise ConfigError if an output directory holds no comparison, or runs of another problem or budget."""
    begun = {task.directory.name for task in tasks if is_vacant(task.directory)}  # interrupted at the very first
    entries = [entry for entry in output.iterdir() if entry.name not in begun] if output.is_dir() else []
    if entries and not any((entry / MANIFEST).is_file() for entry in entries):
        check_new_directory(output)
    for task in tasks:
        if not (task.directory / MANIFEST).is_file():
            check_new_directory(task.directory)
            continue
        manifest = read_manifest(task.directory)
        check_fingerprint(task.directory, manifest, problem)
        if manifest.evaluations != task.evaluations:
            raise ConfigError(
                f"the run in {str(task.directory)!r} has evaluations={manifest.evaluations}, not {task.evaluations}"
            )
        if manifest.screen != task.screen:
            raise ConfigError(f"the run in {str(task.directory)!r} has screen={manifest.screen}, not {task.screen}")


def _perform(task: _Task, *, progress: bool = False) -> RunResult:
    if (task.directory / MANIFEST).is_file():
        return resume(task.directory, progress=progress)
    settings: dict[str, Any] = {"evaluations": task.evaluations, "seed": task.seed, "output": task.directory}
    settings["screen"] = task.screen
    return run(build_problem(task.spec, task.parameters), task.algorithm, **settings, progress=progress)
