"""The manifest of a run directory: what was run, with what, and what came of it."""

import json
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import moopim
from moopim.errors import ConfigError
from moopim.files import write_atomically
from moopim.problem import DesignProblem
from moopim.quantities import Constraint, Metric, Objective

__all__ = [
    "MANIFEST",
    "Manifest",
    "ProblemRecord",
    "new_manifest",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
_PACKAGES = ("numpy", "scipy", "pandas", "pymoo", "moocore")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemRecord(_Record):
    """The problem of a run; ``spec`` is None where its class cannot be found again (defined in a notebook, say)."""

    spec: str | None
    title: str
    parameters: dict[str, str | int | float | bool | None]
    fingerprint: str
    genome: list[dict[str, Any]]
    objectives: list[Objective]
    constraints: list[Constraint]
    metrics: list[Metric]


class Manifest(_Record):
    """Everything needed to repeat a run, and its outcome.

    Attributes:
        algorithm: Name in the registry; None where the caller passed an algorithm of their own.
        tally: What `moopim.problem.DesignProblem.tally` gave when the run began.
        status: ``running`` until the results are written; a killed run stays so and can be resumed.
        message: What the run has to say about its end.
        seconds: Wall-clock time of the search (s), that of the last session only if it was resumed.
    """

    format: Literal[1] = 1
    command: list[str]
    problem: ProblemRecord
    algorithm: str | None
    evaluations: int = Field(ge=1)
    seed: int = Field(ge=0)
    jobs: int = Field(ge=1)
    versions: dict[str, str]
    platform: str
    created: str
    tally: int = 0
    status: Literal["running", "finished"] = "running"
    message: str = ""
    n_evaluations: int = 0
    n_cached: int = 0
    n_front: int = 0
    seconds: float = 0.0


def new_manifest(
    problem: DesignProblem, spec: str | None, algorithm: str | None, evaluations: int, seed: int, jobs: int
) -> Manifest:
    """Makes the manifest of a run that is about to start."""
    parameters = problem.parameters()
    if not all(value is None or isinstance(value, str | int | float | bool) for value in parameters.values()):
        # Such a problem cannot be built again from its description.
        spec, parameters = None, {name: repr(value) for name, value in parameters.items()}
    return Manifest(
        command=sys.argv,
        problem=ProblemRecord(
            spec=spec,
            title=repr(problem),
            parameters=parameters,
            fingerprint=problem.fingerprint(),
            genome=problem.genome.describe(),
            objectives=list(problem.objectives),
            constraints=list(problem.constraints),
            metrics=list(problem.metrics),
        ),
        algorithm=algorithm,
        evaluations=evaluations,
        seed=seed,
        jobs=jobs,
        # Run from a checkout, moopim is not installed and has no metadata.
        versions={"python": platform.python_version(), "moopim": moopim.__version__}
        | {name: version(name) for name in _PACKAGES},
        platform=platform.platform(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tally=problem.tally(),
    )


def read_manifest(directory: Path) -> Manifest:
    """Reads the manifest of a run directory.

    Args:
        directory: The run directory.

    Returns:
        The manifest.

    Raises:
        ConfigError: If the directory or the manifest is missing or not valid.
    """
    path = directory / MANIFEST
    if not directory.is_dir():
        raise ConfigError(f"run directory {str(directory)!r} does not exist")
    if not path.is_file():
        raise ConfigError(f"{str(directory)!r} is not a run directory: it has no {MANIFEST}")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError(f"{str(path)!r} is not valid: {where}: {first['msg']}") from None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes the manifest into its run directory."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    write_atomically(directory / MANIFEST, text + "\n")
