"""Checks of the arguments of runs, and of their directories."""

from pathlib import Path

from moopim.checks import is_whole
from moopim.errors import ConfigError, LogError
from moopim.experiment.manifest import MANIFEST, Manifest, ProblemRecord, now
from moopim.files import is_vacant
from moopim.messages import resume_command
from moopim.problem import DesignProblem, fingerprint_of

# Facts of a problem that may change without changing its results; only the author can tell.
_MENDABLE = ("moopim", "source")


def check_count(label: str, value: object, least: int) -> None:
    """Raise ConfigError unless a setting is a whole number of at least `least`."""
    if not is_whole(value, least):
        raise ConfigError(f"{label}={value!r} is not allowed; expected {least}, {least + 1}, ...")


def check_problem(problem: object) -> None:
    """Raise ConfigError unless the argument is a problem."""
    if not isinstance(problem, DesignProblem):
        raise ConfigError(f"problem is {problem!r}; expected an instance of a subclass of moopim.DesignProblem")


def check_new_directory(directory: Path) -> None:
    """Raise ConfigError unless an output directory is new or empty but for left-overs of interrupted writing."""
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"output {str(directory)!r} cannot be made: {str(path)!r} is not a directory")
    if not is_vacant(directory):
        hint = f"; {resume_command(directory)} goes on with its run" if (directory / MANIFEST).is_file() else ""
        raise ConfigError(f"output directory {str(directory)!r} is not empty{hint}")


def check_fingerprint(
    directory: Path, manifest: Manifest, problem: DesignProblem, *, changed_source: bool = False
) -> Manifest:
    """Raise LogError if a run directory belongs to another problem; give the manifest.

    Where `changed_source` accepts another source of the problem or version of moopim, it has the new fingerprint and a
    note.
    """
    record, facts = manifest.problem, problem.facts()
    fingerprint = fingerprint_of(facts)
    if record.fingerprint == fingerprint:
        return manifest
    changed = sorted(name for name in facts if record.facts.get(name) != facts[name])
    mendable = set(changed) <= set(_MENDABLE)
    words = ["version of moopim" if name == "moopim" else name for name in changed]
    if not (mendable and changed_source):
        way_out = f"; if its results still hold, {resume_command(directory, '--changed-source')} reuses them"
        raise LogError(
            f"the run in {str(directory)!r} belongs to another problem or version: {_difference(record, problem)}"
            f"changed: {', '.join(words)}{way_out if mendable else ''}"
        )
    note = f"{now()}: log reused after a change of {', '.join(words)}; fingerprint before: {record.fingerprint}"
    update = {"problem": record.model_copy(update={"fingerprint": fingerprint, "facts": facts})}
    return manifest.model_copy(update=update | {"notes": [*manifest.notes, note]})


def _difference(record: ProblemRecord, problem: DesignProblem) -> str:
    """Class, genes and common parameters in which a problem differs from that of a run, in words."""
    genes = [", ".join(group.name for group in groups) for groups in (record.genome, problem.genome.groups)]
    present = problem.parameters()
    pairs: list[tuple[str, object, object]] = [
        ("it was", record.title.split("(")[0], type(problem).__name__),
        ("its genes were", genes[0], genes[1]),
        *((f"{name} was", old, present[name]) for name, old in record.parameters.items() if name in present),
    ]
    return "".join(f"{was} {old}, now {new}; " for was, old, new in pairs if old != new)
