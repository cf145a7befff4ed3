"""Results of runs, in memory or read back from a run directory."""

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moopim.columns import numeric_column, truth_column
from moopim.errors import ConfigError, EvaluationError
from moopim.evaluator import EvaluationLog
from moopim.experiment.enumeration_state import ENUMERATION, STATE, read_state
from moopim.experiment.frames import evaluations_frame, front_frame, least_violating, minimised
from moopim.experiment.manifest import GroupRecord, Manifest, read_manifest
from moopim.genes import Choice, GeneGroup, Integer
from moopim.genome import Designs, Genome
from moopim.messages import count, resume_command
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Objective

EVALUATIONS = "evaluations.csv"
FRONT = "front.csv"
LOG = "evaluations.sqlite"
_FRAME_BYTES = 2**32


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
        title: The problem with its parameters.
        algorithm: Name of the optimiser; ``enumeration`` of an enumeration.
        seed: Seed of the run.
        objectives: The objectives of the problem.
        constraints: The constraints of the problem.
        limits: The limits on its objectives and metrics.
        evaluations: Every evaluated design in order; see `moopim.experiment.frames.evaluations_frame`. Of an
            enumeration, the designs of the front by their numbers.
        front: The non-dominated feasible designs; see `moopim.experiment.frames.front_frame`.
        message: Description of its end, such as which limit no design meets.
        seconds: Wall-clock time of the search (s).
        directory: The run directory, if there is one.
        finished: Whether the run has ended; the frames of one that has not are those of its log.
    """

    title: str
    algorithm: str
    seed: int
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    limits: tuple[Constraint, ...]
    evaluations: pd.DataFrame
    front: pd.DataFrame
    message: str
    seconds: float
    directory: Path | None = None
    finished: bool = True

    @property
    def feasible(self) -> bool:
        """Whether any evaluated design meets all constraints."""
        return len(self.front) > 0

    @property
    def least_violating(self) -> pd.DataFrame:
        """The ten distinct designs nearest to feasibility, the least violation first."""
        return least_violating(self.evaluations, self.constraints)

    def summary(self, n: int = 8) -> str:
        """Summary of the result: the message and a table of designs spread along the front.

        The column ``evaluation`` is the number of a design, as ``moopim plot --design`` takes it.

        Args:
            n: Number of designs to show, from the best to the worst by the first objective.
        """
        frame = self.front if self.feasible else self.least_violating
        columns = [quantity.column for quantity in (*self.objectives, *self.constraints, *self.limits)]
        rows = np.unique(np.linspace(0, len(frame) - 1, min(n, len(frame))).round().astype(np.int64))
        shown = frame.iloc[rows]
        numbers = shown["evaluation"] if "evaluation" in shown else self._evaluation_numbers(shown)
        shown = shown[list(dict.fromkeys(columns))]
        shown.insert(0, "evaluation", numbers)
        about = f"{self.title}, {self.algorithm}, seed {self.seed}: {self.message}"
        if shown.empty:  # an enumeration without a feasible design
            return about
        table = shown.to_string(index=False, float_format=lambda value: f"{value:.5g}")
        which = "designs spread along the front" if self.feasible else "designs with the least violation"
        return f"{about}\n{which}:\n{table}"

    def _evaluation_numbers(self, front: pd.DataFrame) -> list[str]:
        """Number of the first feasible evaluation with the objectives of each row; ``-`` where there is none."""
        feasible = truth_column(self.evaluations, "feasible")
        F, numbers = minimised(self.evaluations, self.objectives), numeric_column(self.evaluations, "evaluation")
        matches = [np.flatnonzero((row == F).all(axis=1) & feasible)[:1] for row in minimised(front, self.objectives)]
        return [f"{numbers[match[0]]:.0f}" if len(match) else "-" for match in matches]

    def _repr_html_(self) -> str:
        frame: Any = self.front if self.feasible else self.least_violating
        about = escape(f"{self.title}, {self.algorithm}, seed {self.seed}: {self.message}")
        return f"<p>{about}</p>{frame.head(10).to_html()}"


def load_run(directory: Path | str) -> RunResult:
    """Read a run back from its directory.

    A finished run has the frames of its end; a missing front is computed again. A run that has not ended, or has lost
    its evaluations, is read from its log, as far as that reaches; an enumeration from its state. Nothing is written.

    Args:
        directory: The run directory.

    Returns:
        The result.

    Raises:
        ConfigError: If the directory is not a run directory or a frame cannot be read.
        LogError: If the log is needed and damaged.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    objectives = tuple(manifest.problem.objectives)
    finished, message = manifest.status == "finished", manifest.message
    if finished and (directory / EVALUATIONS).is_file():
        evaluations = _read_frame(directory / EVALUATIONS, manifest)
        n_evaluations = len(evaluations)
    else:
        evaluations, n_evaluations = _checkpoint(directory, manifest)
    if finished and (directory / FRONT).is_file():
        front = _read_frame(directory / FRONT, manifest)
    else:
        front = front_frame(evaluations, objectives)
    if not finished:
        message = (
            f"not finished: {count(n_evaluations, 'evaluation')} of {manifest.evaluations:,} so far, "
            f"{count(len(front), 'non-dominated design')}; {resume_command(directory)} goes on"
        )
    return result_of(manifest, evaluations, front, message, manifest.seconds, directory, finished=finished)


def result_of(
    manifest: Manifest,
    evaluations: pd.DataFrame,
    front: pd.DataFrame,
    message: str,
    seconds: float,
    directory: Path | None,
    *,
    finished: bool = True,
) -> RunResult:
    """Result of the run that a manifest describes; the other arguments are attributes of `RunResult`."""
    problem = manifest.problem
    return RunResult(
        title=problem.title,
        algorithm=algorithm_label(manifest),
        seed=manifest.seed,
        objectives=tuple(problem.objectives),
        constraints=tuple(problem.constraints),
        limits=tuple(problem.limits),
        evaluations=evaluations,
        front=front,
        message=message,
        seconds=seconds,
        directory=directory,
        finished=finished,
    )


def algorithm_label(manifest: Manifest) -> str:
    """Name of a run's optimiser; ``custom`` for the caller's own."""
    return manifest.algorithm or "custom"


def _read_frame(path: Path, manifest: Manifest) -> pd.DataFrame:
    """Frame of a file with the types that it was written with: text stays text, even where it looks like a number."""
    problem = manifest.problem
    texts = {column: str for group in problem.genome if _is_text(group) for column in group.columns}
    try:
        _check_cells(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns of mixed types
            frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}") from None
    for quantity in (*problem.objectives, *problem.constraints, *problem.limits):
        if quantity.column not in frame:
            raise ConfigError(f"{str(path)!r} has no column {quantity.column!r}")
        if len(frame) and frame[quantity.column].dtype.kind not in "iuf":
            raise ConfigError(f"{str(path)!r} has words in column {quantity.column!r}; expected numbers")
    return frame


def _check_cells(path: Path) -> None:
    """Raise ConfigError if a file makes more cells than it has bytes: pandas pads short rows."""
    size = path.stat().st_size
    if not path.is_file() or size > _FRAME_BYTES:
        raise ConfigError(f"{str(path)!r} has {size} bytes or is no file; expected a file of at most {_FRAME_BYTES}")
    rows, quoted = 0, False
    with path.open("rb") as file:
        columns = file.readline().count(b",") + 1
        while chunk := file.read(2**20):
            for part in chunk.split(b'"'):
                rows += 0 if quoted else part.count(b"\n") + part.count(b"\r")
                quoted = not quoted
            quoted = not quoted  # the last part goes on
    if rows * columns > size:
        raise ConfigError(f"{str(path)!r} has {columns} columns but rows that are shorter; expected whole rows")


def _is_text(group: GroupRecord) -> bool:
    """Whether a gene group has values other than numbers."""
    return not (group.bounds or all(re.fullmatch(r"True|False|-?inf|[-+0-9.e]+", value) for value in group.values))


def _checkpoint(directory: Path, manifest: Manifest) -> tuple[pd.DataFrame, int]:
    """Evaluations in the log of a run, or the front so far of an enumeration; number of evaluations."""
    problem = _Recorded(manifest)
    enumerated = manifest.algorithm == ENUMERATION
    path = directory / (STATE if enumerated else LOG)
    if not path.is_file():
        if manifest.status == "finished":
            raise ConfigError(f"{str(directory)!r} has neither {EVALUATIONS} nor {path.name}; expected one of them")
        return evaluations_frame(problem, []), 0
    if enumerated:
        state = read_state(path, problem, manifest.evaluations)
        return state.frame(), state.n_evaluated
    with EvaluationLog(path, problem, manifest.problem.fingerprint, read_only=True) as log:
        logged = log.read()
    frame = evaluations_frame(problem, [*logged.batches, *logged.chunks])
    return frame, len(frame)


class _Recorded(DesignProblem):
    """Problem of a run as its manifest describes it: genome and quantities, but no model."""

    def __init__(self, manifest: Manifest) -> None:
        record = manifest.problem
        self.genome = Genome(*map(_recorded_group, record.genome))
        self.objectives, self.constraints, self.metrics = record.objectives, record.constraints, record.metrics
        self.limits = record.limits
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> Mapping[str, Any]:
        """Raise EvaluationError: a manifest has no model."""
        raise EvaluationError(f"cannot evaluate {len(designs)} designs of a run read back; expected its problem")


def _recorded_group(group: GroupRecord) -> GeneGroup:
    """Gene group with the values in a manifest; a value that is no literal stays text."""
    if group.bounds:
        return Integer(group.name, *group.bounds, repeat=group.repeat)
    return Choice(group.name, tuple(map(_literal, group.values)), group.repeat)


def _literal(text: str) -> Any:
    if text in ("inf", "-inf"):
        return float(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, bool | int | float | str) else text
