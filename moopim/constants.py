"""Constants of models: numbers of TOML files, each with a unit, a kind and a source.

A frozen dataclass declares each of its constants once, with unit and bounds as metadata of the field::

    mesh: int = field(metadata=bounded("1", 1, 1024, "1,024 PEs in all", whole=True))

`load_constants` reads a table into the dataclass, `constant_values` a user's table that replaces some of its values,
and ``__post_init__`` calls `check_constants`.
"""

import hashlib
import math
import sys
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from numbers import Real
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from moopim.errors import ConfigError, unknown_name
from moopim.files import read_bounded
from moopim.units import convert

KINDS = ("paper", "derived", "measured", "literature", "assumption", "calibrated")
"""Origins of a constant; calibrated ones are fitted to claims and support none."""

ABOVE_ZERO = math.ulp(0)
"""Smallest number above 0, as the lower bound of positive numbers."""
BELOW_ONE = math.nextafter(1, 0)
"""Largest number below 1, as the upper bound of shares that stay below 1."""
ABOVE_ONE = math.nextafter(1, 2)
"""Smallest number above 1, as the lower bound of ratios."""
FINITE = sys.float_info.max
"""Largest finite number, as the upper bound of numbers without another."""

# Limits of a user's TOML file: the largest built-in one has 12 kB, lines of 260 characters, 3 levels.
_BYTES = 2**17
_LINE = 1000
_LEVELS = 16
_LARGEST = 2**63 - 1  # what TOML promises for whole numbers

Constants = TypeVar("Constants")


@dataclass(frozen=True)
class Bounds:
    """Unit of a constant and the values that are allowed.

    Bounds are physical or practical, as narrow as what has been built allows, and no judgement of a design: a number
    outside is a slip, most often of the unit.

    Attributes:
        unit: Unit in which the constant is held; ``"1"`` for a pure number.
        least: Smallest value.
        most: Largest value.
        zero: Whether 0 is allowed besides.
        whole: Whether fractions are refused.
        absolute: Whether it is a temperature and no difference of two, so that a file may give it in degC.
        reason: Reason of the bounds.
    """

    unit: str
    least: float
    most: float
    zero: bool = False
    whole: bool = False
    absolute: bool = False
    reason: str = ""

    @property
    def words(self) -> str:
        """Allowed values in words, such as ``0 or a number from 0.001 to 100 pJ``."""
        kind = "a whole number" if self.whole else "a finite number" if self.most == FINITE else "a number"
        open_least = {ABOVE_ZERO: "above 0", ABOVE_ONE: "above 1"}
        least = open_least.get(self.least, f"from {self.least:g}")
        most = "" if self.most >= FINITE else " to below 1" if self.most == BELOW_ONE else f" to {self.most:g}"
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{'0 or ' if self.zero else ''}{kind} {least}{most}{unit}"


def bounded(
    unit: str,
    least: float,
    most: float,
    reason: str,
    *,
    zero: bool = False,
    whole: bool = False,
    absolute: bool = False,
) -> dict[str, Bounds]:
    """Metadata of a dataclass field that holds a constant; arguments as those of `Bounds`."""
    return {"bounds": Bounds(unit, least, most, zero, whole, absolute, reason)}


def bounded_as(cls: type, name: str) -> dict[str, Bounds]:
    """Metadata of a field with the unit and the bounds of a field of another dataclass."""
    return {"bounds": bounds_of(cls)[name]}


@cache
def bounds_of(cls: type) -> Mapping[str, Bounds]:
    """Bounds of the constants of a dataclass, by field."""
    return {field.name: field.metadata["bounds"] for field in fields(cls) if "bounds" in field.metadata}


def check_bounds(what: str, number: object, bounds: Bounds) -> None:
    """Raise ConfigError unless a number is within bounds; ``what`` names it in the message."""
    if isinstance(number, bool) or not isinstance(number, Real):  # NumPy's numbers are real ones, too
        raise ConfigError(f"{what} is {number!r}; expected {bounds.words}")
    value = cast("float", number)
    within = bounds.least <= value <= bounds.most or (bounds.zero and value == 0)
    if not within or (bounds.whole and value % 1):
        unit = "" if bounds.unit == "1" else f" {bounds.unit}"
        raise ConfigError(f"{what} is {number!r}{unit}; expected {bounds.words}")


def check_constants(constants: object, what: str) -> None:
    """Validate a frozen dataclass of constants, in its ``__post_init__``.

    Numbers have to lie within their bounds and take the type of their field afterwards, `int` or `float`; fields of a
    `Literal` type have to hold one of its names, fields of type `bool` a truth value. None passes where it is the
    default.

    Raises:
        ConfigError: A field, "NAME of `what`" in the message, has another value.
    """
    cls: Any = type(constants)  # a dataclass
    for field in fields(cls):
        value = getattr(constants, field.name)
        if value is None and field.default is None:
            continue
        _check_field(what, cls, field.name, value)
        kind = _kind(cls, field.name)
        if field.name in bounds_of(cls) and kind in (int, float) and type(value) is not kind:
            object.__setattr__(constants, field.name, kind(value))


def _check_field(what: str, cls: type, name: str, value: object) -> None:
    kind = _kind(cls, name)
    if name in bounds_of(cls):
        check_bounds(f"{name} of {what}", value, bounds_of(cls)[name])
    elif get_origin(kind) is Literal and value not in get_args(kind):
        raise unknown_name(f"{name} of {what}", value, get_args(kind))
    elif kind is bool and not isinstance(value, bool):
        raise ConfigError(f"{name} of {what} is {value!r}; expected true or false")


def _kind(cls: type, name: str) -> Any:
    """Type of a field, without None where it is optional."""
    hint = _hints(cls)[name]
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 and type(None) in get_args(hint) else hint


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def constant(what: str, table: Mapping[str, Any], bounds: Bounds | None = None, key: str = "value") -> float:
    """Number of a table with ``key``, ``unit``, ``kind`` (one of `KINDS`) and ``source``, in the unit of its bounds.

    It stays in the unit of the table without bounds, and whole if it was written so.

    Raises:
        ConfigError: A key is missing, the number is not finite, the kind is unknown or the unit has another dimension
            than that of the bounds.
    """
    for needed in (key, "unit", "kind", "source"):
        if not str(table.get(needed, "")).strip():
            raise ConfigError(f"{what} has no {needed!r}; expected {key}, unit, kind, source")
    number: float = table[key]
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ConfigError(f"{what} is {number!r}; expected a finite number")
    if table["kind"] not in KINDS:
        raise unknown_name(f"kind of {what}", table["kind"], KINDS)
    return number if bounds is None else in_unit(what, number, str(table["unit"]).strip(), bounds)


def in_unit(what: str, number: float, unit: str, bounds: Bounds) -> float:
    """Convert a number to the unit of its bounds; raise ConfigError if the units differ in dimension."""
    converted = convert(number, unit, bounds.unit, absolute=bounds.absolute)
    if converted is None:
        raise ConfigError(f"unit of {what} is {unit!r}; expected {bounds.unit!r} or a multiple of it")
    return converted


def entry_value(what: str, entry: object, bounds: Bounds | None = None) -> Any:
    """Value of an entry: that of a `constant`, a tuple if it has several, or the entry itself if it is no table."""
    if not isinstance(entry, Mapping):
        return entry
    if isinstance(entry.get("value"), list):
        return tuple(constant(what, {**entry, "value": value}, bounds) for value in entry["value"])
    return constant(what, entry, bounds)


def constant_values(
    what: str, table: Mapping[str, Any], cls: type, *, complete: bool = True, besides: Collection[str] = ()
) -> dict[str, Any]:
    """Values of a table by field of a dataclass, in the units of the fields and within their bounds.

    Args:
        what: Owner of the values, for messages.
        table: Entries by name, see `entry_value`.
        cls: Dataclass.
        complete: Whether every field without a default has to be there.
        besides: Fields that do not come from the table.

    Raises:
        ConfigError: A field is missing or unknown, or an entry is not usable.
    """
    allowed = [field for field in fields(cls) if field.name not in besides]
    for name in table:
        if name not in [field.name for field in allowed]:
            raise unknown_name(f"field of {what}", name, [field.name for field in allowed])
    required = [field.name for field in allowed if field.default is MISSING and field.default_factory is MISSING]
    missing = [name for name in required if name not in table] if complete else []
    if missing:
        raise ConfigError(f"{what} has no {missing[0]!r}; expected {', '.join(required)}")
    bounds = bounds_of(cls)
    values = {name: entry_value(f"{name} of {what}", entry, bounds.get(name)) for name, entry in table.items()}
    for name, value in values.items():
        _check_field(what, cls, name, value)
    return values


def load_constants(cls: type[Constants], what: str, table: Mapping[str, Any], **known: Any) -> Constants:
    """Build a dataclass from a table, see `constant_values`; ``known`` are its fields that the table does not hold."""
    values = constant_values(what, table, cls, besides=known)
    try:
        return cls(**values, **known)
    except ConfigError as error:  # of values that are each allowed, but not together
        raise ConfigError(f"{what}: {error}") from None


def as_table(what: str, table: object, where: str) -> Mapping[str, Any]:
    """Raise ConfigError unless an entry of a user's file is a table, in the message that of ``where``."""
    if not isinstance(table, dict):
        raise ConfigError(f"{what} is {table!r}; expected a table [{where}]")
    return table


def read_table(package: str, name: str) -> dict[str, Any]:
    """Read a TOML file of the data folder of a package, such as ``moopim.hardware``."""
    return tomllib.loads((files(package) / "data" / name).read_text(encoding="utf-8"))


def read_user_table(path: Path, tables: Collection[str] | None = None) -> dict[str, Any]:
    """Read a TOML file of a user.

    Args:
        path: File.
        tables: Names of the tables that it may have; any if not given.

    Raises:
        ConfigError: It cannot be read, is no TOML, is larger, nested deeper or has longer lines or numbers than any
            such file needs, or has another table than these.
    """
    try:
        text = read_bounded(path, _BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; expected a TOML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: {error}; expected a TOML file") from None
    longest = max(map(len, text.splitlines()), default=0)
    if longest > _LINE:  # the parser takes quadratic time for a long dotted key
        raise ConfigError(f"cannot read {path}: a line has {longest} characters; expected at most {_LINE}")
    try:
        file = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"cannot read {path}: it is nested too deep; expected at most {_LEVELS} levels") from None
    except ValueError as error:  # of TOML, or of a number with too many digits
        raise ConfigError(f"cannot read {path}: {error}; expected a TOML file") from None
    _check_entries(path, file)
    for name in file:
        if tables is not None and name not in tables:
            raise unknown_name(f"table of {path}", name, tables)
    return file


def _check_entries(path: Path, file: dict[str, Any]) -> None:
    """Raise ConfigError if a table is nested too deep or has integers beyond 64 bits."""
    waiting: list[tuple[str, object, int]] = [(name, value, 1) for name, value in file.items()]
    while waiting:
        name, value, level = waiting.pop()
        if level > _LEVELS:
            raise ConfigError(f"cannot read {path}: {name!r} is nested too deep; expected at most {_LEVELS} levels")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ConfigError(f"{path}: {name} is a number beyond 64 bits; expected at most {_LARGEST}")
        if isinstance(value, dict):
            waiting += [(key, entry, level + 1) for key, entry in value.items()]
        elif isinstance(value, list):
            waiting += [(name, entry, level + 1) for entry in value]


def file_hashes(package: str, prefix: str) -> dict[str, str]:
    """SHA-256 (hex) of the data files of a package whose names begin with a prefix, for fingerprints of results."""
    found = sorted((file for file in (files(package) / "data").iterdir() if file.name.startswith(prefix)), key=str)
    return {file.name: file_hash(file) for file in found}


def file_hash(file: Traversable) -> str:
    """SHA-256 of a file (hex)."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
