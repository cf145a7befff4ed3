"""Problems by name or by file, found through entry points and built from named parameters."""

import inspect
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from moopim.errors import ConfigError, MoopimError, unknown_name
from moopim.problem import DesignProblem
from moopim.user_code import import_member, reason, split_reference, where_raised

_GROUP = "moopim.problems"

RENAMED_OPTIONS = {"figures": "override"}
"""Options of problems that older versions had under another name -> their name."""


@dataclass(frozen=True)
class Parameter:
    """Parameter of a problem's constructor; without annotation a `str`, without default `Parameter.empty`."""

    name: str
    annotation: Any
    default: Any


def problem_entries() -> dict[str, EntryPoint]:
    """Entry points of the installed problems, of moopim and of other packages, by name."""
    return {entry.name: entry for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name)}


def load_problem(spec: str) -> type[DesignProblem]:
    """Class of an installed problem by name, ``path/to/file.py:Class`` or ``package.module:Class``."""
    reference = split_reference(spec)
    if reference is None:
        entries = problem_entries()
        if spec not in entries:
            if spec.endswith(".py"):
                raise ConfigError(f"problem {spec!r} names no class; expected FILE.py:Class")
            raise unknown_name("problem", spec, [*entries, "FILE.py:Class"])
        try:
            found = entries[spec].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"problem {spec!r} ({entries[spec].value}) cannot be loaded: {error}") from error
    else:
        found = import_member(
            *reference, "problem class", lambda value: _is_problem(value) and value is not DesignProblem
        )
    if not _is_problem(found):
        raise ConfigError(f"problem {spec!r} is not a subclass of moopim.DesignProblem")
    return found  # type: ignore[no-any-return]


def problem_spec(problem: DesignProblem) -> str | None:
    """Name by which `load_problem` finds the class of a problem again; None if it has none."""
    cls = type(problem)
    for name, entry in problem_entries().items():
        if entry.value == f"{cls.__module__}:{cls.__qualname__}" or _same_class(entry, cls):
            return name
    if "." in cls.__qualname__ or cls.__module__ == "__main__":
        return None
    module = sys.modules.get(cls.__module__)
    if module is not None and getattr(module, "__spec__", None) is not None and "." not in cls.__module__:
        # A single file may not be importable from elsewhere: name the file itself.
        return f"{Path(inspect.getfile(cls)).resolve()}:{cls.__qualname__}"
    return f"{cls.__module__}:{cls.__qualname__}"


def constructor_parameters(cls: type[DesignProblem]) -> list[Parameter]:
    """Parameters of a problem's constructor; raises ConfigError for a type that cannot be an option."""
    signature = inspect.signature(cls)
    try:
        hints = get_type_hints(cls.__init__)
    except NameError as error:
        raise ConfigError(f"annotations of {cls.__name__} cannot be resolved: {error}") from None
    parameters = []
    for item in signature.parameters.values():
        if item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            raise ConfigError(f"{cls.__name__} takes *{item.name}; its options must be named parameters")
        annotation = hints.get(item.name, str)
        if not _is_simple(annotation):
            raise ConfigError(
                f"parameter {item.name!r} of {cls.__name__} has type {annotation}; expected str, int, float, bool or "
                "a Literal of strings"
            )
        parameters.append(Parameter(item.name, annotation, item.default))
    return parameters


def build_problem(spec: str, parameters: Mapping[str, Any]) -> DesignProblem:
    """Build a problem from its name and the parameters of its constructor; others keep their defaults."""
    cls = load_problem(spec)
    known = {parameter.name: parameter for parameter in constructor_parameters(cls)}
    for name in parameters:
        if name not in known:
            if RENAMED_OPTIONS.get(name) in known:
                raise ConfigError(f"option {name!r} of problem {spec!r} is now called {RENAMED_OPTIONS[name]!r}")
            raise unknown_name(f"option of problem {spec!r}", name, sorted(known))
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in parameters:
            raise ConfigError(f"problem {spec!r} needs a value for its option {name!r}")
    try:
        return cls(**parameters)
    except Exception as error:  # a constructor may check its options by any means
        place, ours = where_raised(error, cls.source_files()), isinstance(error, MoopimError)
        if ours and not place:
            raise
        cause = str(error) if ours else f"problem {spec!r} refuses its options: {reason(error)}"
        raise ConfigError(f"{cause}{place}") from error


def rebuild_problem(spec: str, parameters: Mapping[str, Any]) -> DesignProblem:
    """Build the problem of a manifest, which may have the names of parameters of older versions."""
    known = {parameter.name for parameter in constructor_parameters(load_problem(spec))}
    names = {name: name if name in known else RENAMED_OPTIONS.get(name, name) for name in parameters}
    try:
        return build_problem(spec, {names[name]: value for name, value in parameters.items()})
    except ConfigError as error:
        raise ConfigError(f"problem {spec!r} cannot be built again as in its run: {error}") from error


def _is_problem(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, DesignProblem)


def _same_class(entry: EntryPoint, cls: type) -> bool:
    """Whether an entry point exports the class from a parent package of its module, without loading others."""
    return cls.__module__.startswith(entry.module) and entry.attr == cls.__qualname__ and entry.load() is cls


def _is_simple(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return all(isinstance(value, str) for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return all(item is type(None) or _is_simple(item) for item in get_args(annotation))
    return annotation in (str, int, float, bool)
