"""Single designs of a run by number: genes and quantities as text, and the problem that knows more of them."""

import textwrap
import warnings
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from moopim.errors import ConfigError, EvaluationError
from moopim.experiment.arguments import check_fingerprint
from moopim.experiment.frames import missed_bounds, read_designs
from moopim.experiment.manifest import ProblemRecord, read_manifest
from moopim.experiment.plugins import rebuild_problem
from moopim.experiment.result import RunResult
from moopim.genome import Designs
from moopim.messages import WIDTH, table_lines
from moopim.problem import DesignProblem
from moopim.quantities import Quantity


class RunDesign(NamedTuple):
    """Design of a run.

    Attributes:
        number: Its number, in the column ``evaluation`` of the evaluations.
        row: Its row of the evaluations.
        record: Problem of the run, in its manifest.
        problem: The problem itself; None where only the script of the run can make it.
    """

    number: int
    row: pd.DataFrame
    record: ProblemRecord
    problem: DesignProblem | None

    @property
    def genes(self) -> dict[str, list[object]]:
        """Values of the genes by gene group."""
        return {group.name: self.row[group.columns].iloc[0].tolist() for group in self.record.genome}

    def decoded(self, problem: DesignProblem) -> Designs:
        """The design as `DesignProblem.evaluate_designs` gets it, a batch of one."""
        return read_designs(problem.genome, self.row)


def find_design(result: RunResult, number: int) -> RunDesign:
    """Find a design of a run, and build the problem of the run again.

    Args:
        result: Run, read back from its directory.
        number: Number in the column ``evaluation`` of its evaluations.

    Returns:
        The design.

    Raises:
        ConfigError: If there is no such number, a gene has no column, or the problem cannot be built again.
        LogError: If the run is one of another problem than its name means today; another source, or another version
            of moopim, only gives a warning.
    """
    directory = result.directory or Path()
    manifest, frame = read_manifest(directory), result.evaluations
    record = manifest.problem
    for column in ("evaluation", *(column for group in record.genome for column in group.columns)):
        if column not in frame.columns:
            raise ConfigError(f"the frame has no column {column!r}; it has: {', '.join(frame.columns)}")
    row = frame[frame["evaluation"] == number]
    if row.empty:
        last = frame["evaluation"].max() if len(frame) else 0
        raise ConfigError(f"design={number} is not allowed; expected a number of the column 'evaluation', 1 .. {last}")
    if record.spec is None:
        return RunDesign(number, row, record, None)
    problem = rebuild_problem(record.spec, record.parameters)
    if check_fingerprint(directory, manifest, problem, changed_source=True) is not manifest:
        warnings.warn(
            f"the source of {record.spec!r} or the version of moopim has changed since the run in {str(directory)!r}; "
            "the design is shown as the present one sees it",
            stacklevel=2,
        )
    return RunDesign(number, row, record, problem)


def design_text(design: RunDesign) -> str:
    """Text of a design: whether it is feasible, its genes and quantities, and what its problem says of it."""
    record, row = design.record, design.row
    missed = missed_bounds(row, record.constraints, record.limits)
    width = max(map(len, design.genes))
    genes = [
        textwrap.fill(
            f"{name:<{width}}  {' '.join(map(str, values))}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent=" " * (width + 4),
        )
        for name, values in design.genes.items()
    ]
    rows = [
        *(("objective", *_value(row, quantity), quantity.sense) for quantity in record.objectives),
        *(("constraint", *_value(row, quantity), quantity.bounds) for quantity in record.constraints),
        *(("limit", *_value(row, quantity), quantity.bounds) for quantity in record.limits),
        *(("metric", *_value(row, quantity), "") for quantity in record.metrics),
    ]
    parts = [
        f"design {design.number}: {'infeasible, ' + '; '.join(missed) if missed else 'feasible'}",
        "\n".join(["genes", *genes]),
        "\n".join(["quantities", *(f"  {line}" for line in table_lines(rows))]),
    ]
    if design.problem is not None:
        with design.problem.naming_faults("describe_design"):
            parts.append(design.problem.describe_design(design.decoded(design.problem)))
        if not isinstance(parts[-1], str):
            raise EvaluationError(
                f"{type(design.problem).__name__}.describe_design returned {type(parts[-1]).__name__}; expected text"
            )
    return "\n\n".join(filter(None, parts))


def _value(row: pd.DataFrame, quantity: Quantity) -> tuple[str, str]:
    """Label and value of a quantity; a dash where the run has none."""
    value = row[quantity.column].iloc[0] if quantity.column in row else None
    return quantity.label, "-" if value is None or pd.isna(value) else f"{value:.6g}"
