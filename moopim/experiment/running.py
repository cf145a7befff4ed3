"""Runs: one optimiser on one problem with one seed, logged, resumable to the same bits."""

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd
from pymoo.core.algorithm import Algorithm
from pymoo.core.mating import Mating
from pymoo.core.variable import get
from pymoo.termination.max_eval import MaximumFunctionCallTermination

from moopim.algorithms.registry import algorithm_names, make_algorithm
from moopim.algorithms.screening import Screen, prepare
from moopim.csv_files import write_frame
from moopim.errors import ConfigError, EvaluationError, MoopimError
from moopim.evaluator import BudgetSpent, EvaluationLog, Evaluator
from moopim.experiment.arguments import check_count, check_fingerprint, check_new_directory, check_problem
from moopim.experiment.enumerating import resume_enumeration
from moopim.experiment.enumeration_state import ENUMERATION
from moopim.experiment.frames import evaluations_frame, front_frame, unmet_bounds
from moopim.experiment.manifest import (
    Manifest,
    new_manifest,
    read_manifest,
    versions,
    write_manifest,
)
from moopim.experiment.plugins import problem_spec, rebuild_problem
from moopim.experiment.result import EVALUATIONS, FRONT, LOG, RunResult, algorithm_label, load_run, result_of
from moopim.files import locked, open_atomically
from moopim.messages import count, plural, resume_command
from moopim.pareto import ideal_nadir, normalise, normalised_hypervolumes
from moopim.problem import DesignProblem
from moopim.progress import progress_bar
from moopim.randomness import controlled_randomness
from moopim.typing import FloatArray
from moopim.user_code import reason

PARQUET = "evaluations.parquet"
SCREENING = "screening.csv"
# Called after every generation with its number; the optimiser's ``opt`` holds the designs that it would return.
_Report = Callable[[int, Evaluator, Algorithm], None]
# Generations in a row without an evaluation after which a run ends.
_MOST_IDLE = 1_000
# Rows that are put together in memory for a Parquet file.
_ROW_GROUP = 2**16


def run(
    problem: DesignProblem,
    algorithm: str | Algorithm = "amosa",
    *,
    evaluations: int = 10_000,
    seed: int = 1,
    output: Path | str | None = None,
    jobs: int = 1,
    screen: bool = False,
    progress: bool = True,
) -> RunResult:
    """Search for the Pareto front of a problem.

    Args:
        problem: The problem.
        algorithm: Name of an optimiser (`moopim.algorithms.registry`), or a pymoo algorithm of your own. Evaluated
            designs that it brings, such as a population from elsewhere, are evaluated again.
        evaluations: Budget: number of designs that the optimiser may ask for, cached ones included.
        seed: Seed of all random numbers; the same seed gives the same result.
        output: Run directory to make; without one the result is only returned.
        jobs: Number of processes that evaluate; the result does not depend on it.
        screen: Whether a surrogate of the problem chooses among the optimiser's proposals, for expensive problems;
            needs scikit-learn.
        progress: Whether to show a progress bar, if standard error is a terminal.

    Returns:
        The front, all evaluations, and a message about the end of the run.

    Raises:
        ConfigError: If an argument is not allowed, the output directory is not empty, or the optimiser cannot be
            screened.
        EvaluationError: If the problem returns unusable values; earlier evaluations stay in the log.
    """
    for label, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        check_count(label, value, least)
    check_problem(problem)
    if not isinstance(algorithm, str):
        _check_algorithm(algorithm, f", or one of {', '.join(algorithm_names())}")
    name = algorithm if isinstance(algorithm, str) else None
    # pymoo's algorithms keep the state of their run: a copy lets the caller use theirs again.
    optimiser = copy.deepcopy(algorithm) if name is None else make_algorithm(name, problem, evaluations)
    manifest = new_manifest(problem, problem_spec(problem), name, evaluations, seed, jobs)
    if screen:
        prepare(optimiser, problem, evaluations, algorithm_label(manifest))
        manifest = manifest.model_copy(update={"screen": True})
    if output is None:
        return _search(problem, optimiser, manifest, None, progress=progress)
    directory = Path(output)
    check_new_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory):
        check_new_directory(directory)  # another process may have been first
        write_manifest(directory, manifest)
        return _search(problem, optimiser, manifest, directory, progress=progress)


def resume(
    directory: Path | str,
    *,
    jobs: int | None = None,
    progress: bool = True,
    problem: DesignProblem | None = None,
    algorithm: Algorithm | None = None,
    drop_damaged: bool = False,
    changed_source: bool = False,
) -> RunResult:
    """Resume an interrupted run or enumeration; a finished one is read back.

    The run starts again from its seed and is answered from its log as far as that reaches: its result is the one of the
    uninterrupted run, to the bit.

    Args:
        directory: The run directory.
        jobs: Number of processes that evaluate; as before where not given.
        progress: Whether to show a progress bar, if standard error is a terminal.
        problem: The problem, where only the calling script can make it.
        algorithm: The algorithm as it was passed to `run`, where that was not a name.
        drop_damaged: Whether to drop damaged batches of the log and to evaluate them again.
        changed_source: Confirms that the logged results still hold though the source of the problem, or the version of
            moopim, has changed since; noted in the manifest.

    Returns:
        The outcome, as from `run`.

    Raises:
        ConfigError: If the directory is not a run directory or in use, or its problem cannot be built again.
        LogError: If the problem or its source has changed since, or the log is damaged.
    """
    directory = Path(directory)
    if jobs is not None:
        check_count("jobs", jobs, 1)
    if problem is not None:
        check_problem(problem)
    if algorithm is not None:
        _check_algorithm(algorithm)
    read_manifest(directory)  # names a folder that is no run; read again once nobody else can change it
    with locked(directory):
        manifest = read_manifest(directory)
        finished = manifest.status == "finished" and (directory / EVALUATIONS).is_file()
        if finished and problem is None and not changed_source:
            return _read_back(directory)
        if problem is None:
            if manifest.problem.spec is None:
                raise ConfigError(
                    f"only its own script can make the problem of {str(directory)!r}; resume it there (problem=)"
                )
            problem = rebuild_problem(manifest.problem.spec, manifest.problem.parameters)
        logged_as = manifest.problem.fingerprint
        manifest = check_fingerprint(directory, manifest, problem, changed_source=changed_source)
        if manifest.problem.fingerprint != logged_as and (directory / LOG).is_file():
            _open_log(problem, manifest, directory, repair=drop_damaged, former=logged_as).close()
            write_manifest(directory, manifest)
        if finished:
            return _read_back(directory)
        manifest = manifest.model_copy(update={"jobs": jobs or manifest.jobs})
        _warn_of_versions(directory, manifest)
        if manifest.algorithm == ENUMERATION:
            return resume_enumeration(problem, manifest, directory, progress=progress, drop_damaged=drop_damaged)
        optimiser = _recorded_algorithm(directory, manifest, problem, algorithm)
        return _search(problem, optimiser, manifest, directory, progress=progress, repair=drop_damaged)


def _read_back(directory: Path) -> RunResult:
    """Result of a finished run; its front is written again if it is missing."""
    result = load_run(directory)
    if not (directory / FRONT).is_file():
        write_frame(directory / FRONT, result.front)
    return result


def _recorded_algorithm(
    directory: Path, manifest: Manifest, problem: DesignProblem, algorithm: Algorithm | None
) -> Algorithm:
    if manifest.algorithm is not None:
        optimiser = make_algorithm(manifest.algorithm, problem, manifest.evaluations)
    elif algorithm is None:
        raise ConfigError(
            f"the run in {str(directory)!r} used an algorithm of its own script; resume it there (algorithm=)"
        )
    else:
        optimiser = copy.deepcopy(algorithm)
    if manifest.screen:
        prepare(optimiser, problem, manifest.evaluations, algorithm_label(manifest))
    return optimiser


def _warn_of_versions(directory: Path, manifest: Manifest) -> None:
    here = versions()
    changed = [
        f"{name} {there} then, {here.get(name, 'missing')} now"
        for name, there in manifest.versions.items()
        if here.get(name) != there and name != "moopim"  # which is part of the fingerprint
    ]
    if changed:
        text = f"the run in {str(directory)!r} goes on with other versions: {'; '.join(changed)}; its bits may differ"
        warnings.warn(text, stacklevel=3)


def _check_algorithm(algorithm: object, otherwise: str = "") -> None:
    """Raise ConfigError unless the argument is a pymoo algorithm; the message ends with the alternative."""
    if not isinstance(algorithm, Algorithm):
        called = f"an instance such as {algorithm.__name__}(...)" if isinstance(algorithm, type) else "an instance"
        raise ConfigError(f"algorithm is {algorithm!r}; expected {called}{otherwise}")


def _search(
    problem: DesignProblem,
    algorithm: Algorithm,
    manifest: Manifest,
    directory: Path | None,
    *,
    progress: bool,
    repair: bool = False,
) -> RunResult:
    """Run the optimiser to its end and write the results."""
    begun = time.perf_counter()
    screen = Screen(problem, manifest.seed) if manifest.screen else None
    with nullcontext() if directory is None else _open_log(problem, manifest, directory, repair=repair) as log:
        evaluator = Evaluator(problem, log, manifest.jobs)
        with (
            closing(evaluator),
            search_progress(algorithm_label(manifest), manifest.evaluations, screen, show=progress) as report,
            _way_on(evaluator, directory),
        ):
            exhausted = optimise(evaluator, algorithm, manifest.evaluations, manifest.seed, report, screen)
    seconds = time.perf_counter() - begun
    returned = np.empty((0, problem.n_obj)) if algorithm.opt is None else algorithm.opt.get("F")
    frame = evaluations_frame(problem, evaluator.batches, returned.reshape(-1, problem.n_obj))
    front = front_frame(frame, problem.objectives)
    found = count(len(front), "non-dominated design")
    if front.empty:
        found = f"no feasible design: {unmet_bounds(frame, problem.constraints, problem.limits)}"
    message = _message(evaluator, manifest.evaluations, found, exhausted=exhausted)
    if screen is not None:
        message = f"{message}; {screen.summary(evaluator.n_evaluations)}"
    try:
        message = "; ".join([message, *_reuse(problem, frame, manifest.cached_metrics)])
    except MoopimError as error:  # a fault in a remark must not cost the results
        warnings.warn(str(error), stacklevel=3)
    result = result_of(manifest, frame, front, message, seconds, directory)
    if directory is not None:
        write_frame(directory / EVALUATIONS, frame)
        write_frame(directory / FRONT, front)
        outcome = {"message": message, "n_evaluations": len(frame), "n_cached": evaluator.n_cached}
        outcome |= {"n_front": len(front), "seconds": seconds, "status": "finished"}
        if screen is not None:
            outcome |= {"n_screened": screen.n_screened, "rank_correlations": screen.correlation_of()}
            write_frame(directory / SCREENING, screen.frame())
        write_manifest(directory, manifest.model_copy(update=outcome))
        _write_parquet(frame, directory / PARQUET)
    return result


@contextmanager
def search_progress(title: str, evaluations: int, screen: Screen | None = None, *, show: bool) -> Iterator[_Report]:
    """Progress bar of a search: evaluations, generation, cache hits, hypervolume; yields the callback of `optimise`.

    The hypervolume is a share of the box from the first ideal point to 1.1 times the first nadir point; it only serves
    to see the search move.
    """
    box: list[tuple[FloatArray, FloatArray]] = []

    def state(generation: int, evaluator: Evaluator, algorithm: Algorithm) -> str:
        F = np.empty((0, evaluator.problem.n_obj)) if algorithm.opt is None else algorithm.opt.get("F")
        text = "nothing feasible yet"
        if len(F) and np.isfinite(F).all(axis=1).any():
            if not box:
                box.append(ideal_nadir(F))
            [[value], [error]] = normalised_hypervolumes([[normalise(F, *box[0])]])[0]
            text = f"hypervolume {value:.4f}" + (f" ± {error:.4f}" if error else "")
        parts = [f"generation {generation}, {evaluator.n_cached} cached, {text}", *([screen.state()] if screen else [])]
        return ", ".join(parts)

    with progress_bar(title, evaluations, show=show) as report:
        yield lambda generation, evaluator, algorithm: report(
            evaluator.n_evaluations, partial(state, generation, evaluator, algorithm)
        )


@contextmanager
def _way_on(evaluator: Evaluator, directory: Path | None) -> Iterator[None]:
    """Keep finished evaluations when a run is interrupted; the error of a failed one says how to resume."""
    try:
        yield
    except BaseException as error:
        evaluator.flush()
        if directory is None or not isinstance(error, EvaluationError):
            raise
        kept = f"{count(evaluator.n_distinct, 'evaluated design')} kept in {str(directory)!r}"
        way_on = f"{resume_command(directory)} goes on, with --changed-source after the source was mended"
        raise EvaluationError(f"{error}; {kept}: {way_on}") from error


def optimise(
    evaluator: Evaluator,
    algorithm: Algorithm,
    evaluations: int,
    seed: int,
    report: _Report,
    screen: Screen | None = None,
) -> bool:
    """Run a pymoo algorithm to the exact budget, one committed generation after another.

    Returns whether every design of the genome was evaluated before the budget was spent. `report` is called after every
    generation. A screen chooses the designs of each generation.
    """
    evaluator.budget, size = evaluations, evaluator.problem.genome.size
    with controlled_randomness(seed):
        with _naming_algorithm(algorithm, evaluator.problem):
            algorithm.setup(evaluator.problem, termination=MaximumFunctionCallTermination(evaluations), seed=seed)
        algorithm.evaluator.eval = _reevaluating(algorithm.evaluator.eval, evaluator)
        # Other ways to breed, such as differential evolution, need their offspring in full number.
        divisible = isinstance(getattr(algorithm, "mating", None), Mating | NoneType)
        offspring = get(getattr(algorithm, "n_offsprings", None)) if divisible else None
        if pop_size := get(getattr(algorithm, "pop_size", None)):
            algorithm.pop_size = min(pop_size, evaluations)
        generation = idle = 0
        while evaluator.n_evaluations < evaluations and idle < _MOST_IDLE and algorithm.has_next():
            if offspring is not None:
                most = offspring if screen is None else screen.batch(offspring, evaluations)
                algorithm.n_offsprings = min(most, evaluations - evaluator.n_evaluations)
            generation += 1
            before = evaluator.n_evaluations
            with _naming_algorithm(algorithm, evaluator.problem), suppress(BudgetSpent):
                if screen is None:
                    algorithm.next()
                else:
                    screen.next(algorithm, offspring)
            idle = idle + 1 if evaluator.n_evaluations == before else 0
            evaluator.commit(generation)
            if generation.bit_count() == 1:  # 1, 2, 4, ...: early, and seldom enough to cost nothing
                _check_optimum(evaluator, algorithm)
            report(generation, evaluator, algorithm)
            if evaluator.n_distinct >= size:
                break
        _check_optimum(evaluator, algorithm)
    return evaluator.n_distinct >= size


@contextmanager
def _naming_algorithm(algorithm: Algorithm, problem: DesignProblem) -> Iterator[None]:
    """Raise ConfigError for what an algorithm raises in the block, most often because it does not take the problem."""
    try:
        yield
    except (MoopimError, MemoryError):
        raise
    except Exception as error:
        kind = f"{count(problem.n_obj, 'objective')} and {count(problem.n_ieq_constr, 'constraint')}"
        name = type(algorithm).__name__
        raise ConfigError(f"algorithm {name} failed on a problem of {kind}: {reason(error)}") from error


def _reevaluating(evaluate: Callable[..., Any], evaluator: Evaluator) -> Callable[..., Any]:
    """Wrap pymoo's ``Evaluator.eval``, which skips evaluated individuals, to skip only those of this run."""

    def evaluate_foreign(problem: Any, pop: Any, *args: Any, **kwargs: Any) -> Any:
        brought = [individual for individual in np.atleast_1d(pop) if individual.evaluated]
        if brought:
            X, F = (np.array([getattr(individual, name) for individual in brought]) for name in "XF")
            known = (
                evaluator.knows(X, F) if F.shape == (len(X), evaluator.problem.n_obj) else np.zeros(len(X), np.bool_)
            )
            for i in np.flatnonzero(~known):
                brought[i].evaluated = set()
        return evaluate(problem, pop, *args, **kwargs)

    return evaluate_foreign


def _check_optimum(evaluator: Evaluator, algorithm: Algorithm) -> None:
    """Raise EvaluationError if an algorithm returns designs that are not in the log."""
    if algorithm.opt is None or not len(algorithm.opt):
        return
    X = algorithm.opt.get("X")
    known = evaluator.knows(X)
    if not known.all():
        genes = evaluator.problem.genome.repair(X[[int(known.argmin())]])[0]
        raise EvaluationError(
            f"algorithm {type(algorithm).__name__} returns {evaluator.problem.named(genes)}, which this run has not "
            "evaluated; expected every design of its optimum to come from problem.evaluate or pymoo's Evaluator"
        )


def _open_log(
    problem: DesignProblem, manifest: Manifest, directory: Path, *, repair: bool, former: str | None = None
) -> EvaluationLog:
    return EvaluationLog(directory / LOG, problem, manifest.problem.fingerprint, repair=repair, former=former)


def _reuse(problem: DesignProblem, frame: pd.DataFrame, before: Mapping[str, int]) -> Iterator[str]:
    """Yield how many values of each costly metric the caches held before the run began."""
    now = problem.cache_counts()
    for quantity in problem.quantities:
        if quantity.name in now and quantity.name in before:
            asked = int((frame[quantity.column].notna() & ~frame["cached"]).sum())
            known = max(0, asked - (now[quantity.name] - before[quantity.name]))
            yield f"{known:,} of {asked:,} {plural(quantity.name)} were known before"


def _message(evaluator: Evaluator, evaluations: int, found: str, *, exhausted: bool) -> str:
    parts = [f"{count(evaluator.n_evaluations, 'evaluation')} ({evaluator.n_cached:,} cached)"]
    if exhausted:
        designs = "the only design was" if evaluator.n_distinct == 1 else f"all {evaluator.n_distinct:,} designs were"
        parts.append(f"the space is exhausted: {designs} evaluated")
    elif evaluator.n_evaluations < evaluations:
        parts.append(f"stopped before the budget of {evaluations:,}: the optimiser ended or found no new designs")
    return "; ".join([*parts, found])


def _write_parquet(frame: Any, path: Path) -> None:
    """Write the evaluations a second time if pyarrow is installed; a failure is only a warning."""
    try:
        import pyarrow  # noqa: F401 (only to see whether it is there)
    except ModuleNotFoundError:
        return
    except Exception as error:  # noqa: BLE001 (a library that is there and does not load raises anything)
        _warn_of_parquet(path, error)
        return
    try:
        with open_atomically(path) as file:
            frame.to_parquet(file, index=False, row_group_size=_ROW_GROUP)
    except Exception as error:  # noqa: BLE001
        _warn_of_parquet(path, error)


def _warn_of_parquet(path: Path, error: Exception) -> None:
    text = f"{str(path)!r} was not written ({reason(error)}); {EVALUATIONS} holds the same"
    warnings.warn(text, stacklevel=4)
