"""What a run leaves behind, in memory or read back from its directory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.experiment.frames import least_violating
from moopim.experiment.manifest import Manifest, read_manifest
from moopim.quantities import Constraint, Objective

__all__ = ["RunResult", "load_run"]

EVALUATIONS = "evaluations.csv"
FRONT = "front.csv"
LOG = "evaluations.sqlite"


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run.

    Attributes:
        title: The problem with its parameters, in words.
        algorithm: Name of the optimiser.
        seed: Seed of the run.
        objectives: The objectives of the problem.
        constraints: The constraints of the problem.
        evaluations: Every evaluated design in order; see `moopim.experiment.frames.evaluations_frame`.
        front: The non-dominated feasible designs; see `moopim.experiment.frames.front_frame`.
        message: What the run has to say about its end, such as that nothing feasible was found.
        seconds: Wall-clock time of the search (s).
        directory: The run directory, if there is one.
    """

    title: str
    algorithm: str
    seed: int
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    evaluations: pd.DataFrame
    front: pd.DataFrame
    message: str
    seconds: float
    directory: Path | None = None

    @property
    def feasible(self) -> bool:
        """Whether any evaluated design meets all constraints."""
        return len(self.front) > 0

    @property
    def least_violating(self) -> pd.DataFrame:
        """The ten distinct designs nearest to feasibility, the least violation first."""
        return least_violating(self.evaluations, self.constraints)

    def summary(self, n: int = 8) -> str:
        """The outcome in a few lines of text: the message and designs spread along the front.

        Args:
            n: Number of designs to show, from the best to the worst by the first objective.
        """
        frame = self.front if self.feasible else self.least_violating
        columns = [quantity.column for quantity in (*self.objectives, *self.constraints)]
        rows = np.unique(np.linspace(0, len(frame) - 1, min(n, len(frame))).round().astype(np.int64))
        shown = frame[list(dict.fromkeys(columns))].iloc[rows]
        table = shown.to_string(index=False, float_format=lambda value: f"{value:.5g}")
        which = "designs spread along the front" if self.feasible else "designs with the least violation"
        return f"{self.title}, {self.algorithm}, seed {self.seed}: {self.message}\n{which}:\n{table}"

    def _repr_html_(self) -> str:
        frame: Any = self.front if self.feasible else self.least_violating
        return f"<p>{self.title}, {self.algorithm}, seed {self.seed}: {self.message}</p>{frame.head(10).to_html()}"


def load_run(directory: Path | str) -> RunResult:
    """Reads a finished run back from its directory.

    Args:
        directory: The run directory.

    Returns:
        The outcome, with the same frames as when the run ended.

    Raises:
        ConfigError: If the directory is not a run directory, or the run is not finished.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    if manifest.status != "finished":
        raise ConfigError(f"the run in {str(directory)!r} is not finished; 'moopim resume {directory}' goes on")
    return RunResult(
        title=manifest.problem.title,
        algorithm=algorithm_label(manifest),
        seed=manifest.seed,
        objectives=tuple(manifest.problem.objectives),
        constraints=tuple(manifest.problem.constraints),
        evaluations=_read_frame(directory / EVALUATIONS, manifest),
        front=_read_frame(directory / FRONT, manifest),
        message=manifest.message,
        seconds=manifest.seconds,
        directory=directory,
    )


def algorithm_label(manifest: Manifest) -> str:
    """Name of a run's optimiser; "custom" where the caller passed one of their own."""
    return manifest.algorithm or "custom"


def _read_frame(path: Path, manifest: Manifest) -> pd.DataFrame:
    """Reads a frame with the types it was written with: text stays text, even where it looks like a number."""
    texts = {column: str for group in manifest.problem.genome if _is_text(group) for column in _columns(group)}
    try:
        frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}") from None
    for objective in manifest.problem.objectives:
        if objective.column not in frame:
            raise ConfigError(f"{str(path)!r} has no column {objective.column!r}")
    return frame


def _is_text(group: Mapping[str, Any]) -> bool:
    """Tells whether the values of a gene group (as `Genome.describe` gives them) are not all numbers."""
    return not all(re.fullmatch(r"True|False|[-+0-9.e]+", value) for value in group["values"])


def _columns(group: Mapping[str, Any]) -> list[str]:
    repeat = group["repeat"]
    return [group["name"]] if repeat is None else [f"{group['name']}_{i}" for i in range(repeat)]
