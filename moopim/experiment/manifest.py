"""The manifest of a run directory: what was run, with what, and what came of it."""

import json
import platform
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
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
    "now",
    "read_manifest",
    "versions",
    "write_manifest",
]

MANIFEST = "manifest.json"
_PACKAGES = ("numpy", "scipy", "pandas", "pymoo", "moocore", "numba", "torch")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemRecord(_Record):
    """The problem of a run.

    Attributes:
        spec: Under which its class is found again; None where it cannot be (defined in a notebook, say).
        facts: Hashes of the parts of the fingerprint, see `moopim.problem.DesignProblem.facts`.
    """

    spec: str | None
    title: str
    parameters: dict[str, str | int | float | bool | None]
    fingerprint: str
    facts: dict[str, str] = {}
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
        notes: What happened to the run since it began, such as that its log was reused after a change of the source.
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
    notes: list[str] = []
    n_evaluations: int = 0
    n_cached: int = 0
    n_front: int = 0
    seconds: float = 0.0


def new_manifest(
    problem: DesignProblem, spec: str | None, algorithm: str | None, evaluations: int, seed: int, jobs: int
) -> Manifest:
    """Makes the manifest of a run that is about to start."""
    parameters = problem.parameters()
    if not _is_text(spec or "") or not all(map(_is_recordable, parameters.values())):
        # Such a problem cannot be built again from its description.
        spec, parameters = None, {name: repr(value) for name, value in parameters.items()}
    return Manifest(
        # A name of a file that is not UTF-8 has no place in JSON.
        command=[word.encode("utf-8", "backslashreplace").decode() for word in sys.argv],
        problem=ProblemRecord(
            spec=spec,
            title=repr(problem),
            parameters=parameters,
            fingerprint=problem.fingerprint(),
            facts=problem.facts(),
            genome=problem.genome.describe(),
            objectives=list(problem.objectives),
            constraints=list(problem.constraints),
            metrics=list(problem.metrics),
        ),
        algorithm=algorithm,
        evaluations=evaluations,
        seed=seed,
        jobs=jobs,
        versions=versions(),
        platform=platform.platform(),
        created=now(),
        tally=problem.tally(),
    )


def _is_recordable(value: object) -> bool:
    return _is_text(value) if isinstance(value, str) else value is None or isinstance(value, int | float | bool)


def _is_text(value: str) -> bool:
    """Whether text can be written as UTF-8, unlike the names of some files."""
    return value.isprintable() or not any("\ud800" <= char <= "\udfff" for char in value)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, by name; without those not installed."""
    # Run from a checkout, moopim is not installed and has no metadata.
    found = {"python": platform.python_version(), "moopim": moopim.__version__}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def now() -> str:
    """Date and time, in UTC (ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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
