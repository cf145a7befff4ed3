"""True fronts to compare runs with: bundled ones, of enumerations, and of files."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from moopim.columns import numeric_column
from moopim.constants import read_table
from moopim.csv_files import read_rows
from moopim.errors import ConfigError
from moopim.experiment.enumeration_state import ENUMERATION
from moopim.experiment.manifest import read_manifest
from moopim.experiment.plugins import build_problem
from moopim.experiment.result import FRONT, algorithm_label
from moopim.problem import DesignProblem
from moopim.quantities import Objective


class Instance(NamedTuple):
    """Instance of a problem with a known front.

    Attributes:
        problem: Name of the problem.
        parameters: Options of the problem that differ from its defaults.
        designs: Number of designs of its space.
        fingerprint: Fingerprint of its front, see `moopim.experiment.enumeration_state.front_fingerprint`.
    """

    problem: str
    parameters: dict[str, Any]
    designs: int
    fingerprint: str


@cache
def true_front_instances() -> dict[str, Instance]:
    """Instances with bundled fronts, by name.

    Returns:
        The instances.

    Example:
        >>> from moopim.experiment.true_fronts import true_front_instances
        >>> true_front_instances()["buffers"].designs
        1171875
    """
    return {name: Instance(**entry) for name, entry in read_table("moopim.experiment", "true_fronts.toml").items()}


def read_true_front(
    source: Path | str, objectives: Sequence[Objective], *, problem: DesignProblem | None = None
) -> pd.DataFrame:
    """Read the front of a whole space.

    Args:
        source: Name of a bundled front (`true_front_instances`), directory of an enumeration, or a file such as its
            ``front.csv``.
        objectives: The objectives of the problem.
        problem: The problem; where given, bundled fronts and enumerations of other problems, or of other parameters,
            are refused. Files are taken as they are.

    Returns:
        A column of numbers for each objective, one row per design.

    Raises:
        ConfigError: If there is no such front, it is that of another problem, it has no rows, lacks an objective or a
            finite number, or the directory is not that of an enumeration which has ended.
    """
    path = Path(source)
    if not path.exists():
        if str(source) not in true_front_instances():
            names = ", ".join(true_front_instances())
            raise ConfigError(
                f"true front {str(source)!r} does not exist; expected a file, the directory of an enumeration, or one "
                f"of {names}"
            )
        instance = true_front_instances()[str(source)]
        _check_title(source, repr(build_problem(instance.problem, instance.parameters)), problem)
        with as_file(files("moopim.experiment") / "data" / f"{source}.csv") as bundled:
            return _read(bundled, objectives)
    if path.is_dir():
        manifest = read_manifest(path)
        if manifest.algorithm != ENUMERATION:
            raise ConfigError(f"{str(path)!r} is a run of {algorithm_label(manifest)}; expected an enumeration")
        if manifest.status != "finished":
            raise ConfigError(f"the enumeration in {str(path)!r} has not ended; expected a finished one")
        _check_title(source, manifest.problem.title, problem)
        path /= FRONT
    return _read(path, objectives)


def _check_title(source: Path | str, title: str, problem: DesignProblem | None) -> None:
    """Raise ConfigError if a front, of the problem that is named, is not that of the given problem."""
    if problem is not None and repr(problem) != title:
        raise ConfigError(f"true front {str(source)!r} is that of {title}; expected that of {problem!r}")


def _read(path: Path, objectives: Sequence[Objective]) -> pd.DataFrame:
    columns = [objective.column for objective in objectives]
    rows = read_rows(path, columns, "true front")[1]
    if not rows:
        raise ConfigError(f"true front {str(path)!r} has no rows; expected at least one")
    frame = pd.DataFrame(rows)
    front = pd.DataFrame({column: numeric_column(frame, column, missing=False) for column in columns})
    if not np.isfinite(front).all(axis=None):
        raise ConfigError(f"true front {str(path)!r} has an infinite value; expected finite numbers")
    return front
