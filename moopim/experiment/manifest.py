"""Manifest of a run directory: problem, optimiser, settings, versions, outcome."""

import json
import platform
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field, ValidationError, field_validator, model_validator

import moopim
from moopim.errors import ConfigError
from moopim.files import write_atomically
from moopim.problem import DesignProblem, fingerprint_of
from moopim.quantities import Constraint, Metric, Objective
from moopim.records import Record, first_fault, read_record

MANIFEST = "manifest.json"
# Numbers beyond these are slips; with them no manifest asks for more memory than there is.
_BYTES = 2**24
_GENES = 100_000
_JOBS = 10_000
_VALUES = 2**26
_LISTED = 1_000  # values of a gene; longer ranges are written by their ends
# The first of millions of wrong entries is enough.
_Lines = Annotated[list[str], FailFast()]
_Count = Annotated[int, Field(ge=0, le=10**12)]
_PACKAGES = ("numpy", "scipy", "pandas", "pymoo", "moocore", "numba", "torch", "scikit-learn")


class GroupRecord(Record):
    """Gene group as `moopim.genome.Genome.describe` gives it; a long range is one entry of `values`, ``0 .. 99999``."""

    kind: str
    name: str
    repeat: Annotated[int, Field(ge=1, le=_GENES)] | None
    values: _Lines = Field(min_length=1)
    length: str | None

    @field_validator("values")
    @classmethod
    def _check_range(cls, values: list[str]) -> list[str]:
        for low, high in filter(None, map(_range, values)):
            if high - low >= _VALUES or len(values) > 1:
                raise ValueError(f"{low} .. {high} is not a single range of at most {_VALUES:,} values")
        return values

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Least and greatest value of a long range; None where the values are listed."""
        return _range(self.values[0])

    @property
    def columns(self) -> list[str]:
        """Names of the genes in frames."""
        return [self.name] if self.repeat is None else [f"{self.name}_{i}" for i in range(self.repeat)]


class ProblemRecord(Record):
    """Problem of a run.

    `spec` names its class for `moopim.experiment.plugins.load_problem` (None if it has no such name, as in a notebook)
    and `facts` are the hashes of the parts of the fingerprint.
    """

    spec: str | None
    title: str
    parameters: dict[str, str | int | float | bool | None]
    fingerprint: str
    facts: dict[str, str] = Field(default_factory=dict)
    genome: Annotated[list[GroupRecord], FailFast()] = Field(min_length=1, max_length=_GENES)
    objectives: Annotated[list[Objective], FailFast()] = Field(min_length=1)
    constraints: Annotated[list[Constraint], FailFast()]
    metrics: Annotated[list[Metric], FailFast()]
    limits: Annotated[list[Constraint], FailFast()] = Field(default_factory=list)

    @field_validator("genome")
    @classmethod
    def _check_genes(cls, genome: list[GroupRecord]) -> list[GroupRecord]:
        genes = sum(group.repeat or 1 for group in genome)
        if genes > _GENES:
            raise ValueError(f"{genes:,} genes in all; expected at most {_GENES:,}")
        return genome


class Manifest(Record):
    """Settings of a run, for its repetition, and its outcome.

    `algorithm` is a name of the registry, None for the caller's own; `cached_metrics` the sizes of
    `moopim.problem.DesignProblem.metric_caches` at the start; `status` stays ``running`` in a killed run; `notes` are
    changes since the start, such as a log reused after a change of the source; `front_fingerprint` the hash of the
    genes of the front of an enumeration; `n_screened` the number of evaluations that a surrogate chose, and
    `rank_correlations` the rank correlation of its last predictions, by objective; `seconds` the wall-clock time of the
    search, of the last session only if it was resumed.
    """

    format: Literal[1] = 1
    command: _Lines
    problem: ProblemRecord
    algorithm: str | None
    evaluations: _Count = Field(ge=1)
    seed: int = Field(ge=0)
    jobs: int = Field(ge=1, le=_JOBS)
    screen: bool = False
    versions: dict[str, str]
    platform: str
    created: str
    cached_metrics: dict[str, _Count] = Field(default_factory=dict)
    status: Literal["running", "finished"] = "running"
    message: str = ""
    notes: _Lines = Field(default_factory=list)
    n_evaluations: _Count = 0
    n_cached: _Count = 0
    n_front: _Count = 0
    front_fingerprint: str = ""
    n_screened: _Count = 0
    rank_correlations: dict[str, Annotated[float, Field(ge=-1.001, le=1.001)]] = Field(default_factory=dict)
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_tally(cls, fields: Any) -> Any:
        """Drop a field of earlier manifests, the one number in place of `cached_metrics`."""
        return {name: fields[name] for name in fields if name != "tally"} if isinstance(fields, dict) else fields


def new_manifest(
    problem: DesignProblem, spec: str | None, algorithm: str | None, evaluations: int, seed: int, jobs: int
) -> Manifest:
    """Manifest of a run that is about to start; raises ConfigError if a number is out of range."""
    parameters = problem.parameters()
    if not _is_text(spec or "") or not all(map(_is_recordable, parameters.values())):
        # Such a problem cannot be built again from its description.
        spec, parameters = None, {name: repr(value) for name, value in parameters.items()}
    facts = problem.facts()
    cached_metrics = problem.cache_counts()
    try:
        return Manifest(
            # A name of a file that is not UTF-8 has no place in JSON.
            command=[word.encode("utf-8", "backslashreplace").decode() for word in sys.argv],
            problem=ProblemRecord(
                spec=spec,
                title=repr(problem),
                parameters=parameters,
                fingerprint=fingerprint_of(facts),
                facts=facts,
                genome=[GroupRecord(**_shortened(group)) for group in problem.genome.describe()],
                objectives=list(problem.objectives),
                constraints=list(problem.constraints),
                metrics=list(problem.metrics),
                limits=list(problem.limits),
            ),
            algorithm=algorithm,
            evaluations=evaluations,
            seed=seed,
            jobs=jobs,
            versions=versions(),
            platform=platform.platform(),
            created=now(),
            cached_metrics=cached_metrics,
        )
    except ValidationError as error:
        raise ConfigError(f"a run has {first_fault(error)}") from None


def _shortened(group: dict[str, Any]) -> dict[str, Any]:
    """Description of a gene group in which a long range of whole numbers is one entry."""
    values = group["values"]
    if len(values) > _LISTED and values == [str(int(values[0]) + i) for i in range(len(values))]:
        return group | {"values": [f"{values[0]} .. {values[-1]}"]}
    return group


def _range(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"(-?\d{1,19}) \.\. (-?\d{1,19})", text, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None


def _is_recordable(value: object) -> bool:
    return _is_text(value) if isinstance(value, str) else value is None or isinstance(value, int | float | bool)


def _is_text(value: str) -> bool:
    """Whether text can be written as UTF-8, unlike the names of some files."""
    return value.isprintable() or not any("\ud800" <= char <= "\udfff" for char in value)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on, by name."""
    # Run from a checkout, moopim is not installed and has no metadata.
    found = {"python": platform.python_version(), "moopim": moopim.__version__}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def now() -> str:
    """Date and time in UTC (ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_manifest(directory: Path) -> Manifest:
    """Manifest of a run directory; raises ConfigError if either is missing or not valid."""
    path = directory / MANIFEST
    if not directory.is_dir():
        raise ConfigError(f"run directory {str(directory)!r} does not exist")
    if not path.is_file():
        raise ConfigError(f"{str(directory)!r} is not a run directory: it has no {MANIFEST}")
    return read_record(path, Manifest, _BYTES)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest into its run directory."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    write_atomically(directory / MANIFEST, text + "\n")
