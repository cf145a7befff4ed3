"""Figures of models and recipes: numbers in TOML files, each with its unit, its kind and its source."""

import hashlib
import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, cast

from moopim.errors import ConfigError, unknown_name
from moopim.files import read_bounded
from moopim.units import convert

__all__ = [
    "KINDS",
    "Bounds",
    "check_bounds",
    "figure",
    "file_hash",
    "file_hashes",
    "in_unit",
    "is_whole",
    "load_bounds",
    "plain",
    "read_table",
    "read_user_table",
    "values",
]

KINDS = ("paper", "derived", "measured", "literature", "assumption", "calibrated")
"""Where a figure may come from; calibrated ones are fitted to claims and support none."""

# Bounds of a user's TOML file, written by hand: the largest built-in one has 12 kB, lines of 260 characters, 3 levels.
_BYTES = 2**17
_LINE = 1000
_LEVELS = 16
_LARGEST = 2**63 - 1  # what TOML promises for whole numbers


class Bounds(NamedTuple):
    """Physical bounds of a constant, with its unit; the files ``data/bounds.toml`` give the reasons.

    Attributes:
        unit: The unit that it is taken in; ``"1"`` for a pure number.
        least: Smallest value.
        most: Largest value.
        zero: Whether 0 is allowed besides.
        whole: Whether it is a whole number.
        absolute: Whether it is a temperature and no difference of two.
    """

    unit: str
    least: float
    most: float
    zero: bool = False
    whole: bool = False
    absolute: bool = False

    @property
    def words(self) -> str:
        """The allowed values in words, such as ``0 or a number from 0.001 to 100 pJ``."""
        kind = "a whole number" if self.whole else "a number"
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{'0 or ' if self.zero else ''}{kind} from {self.least:g} to {self.most:g}{unit}"


@cache
def load_bounds(package: str) -> Mapping[str, Mapping[str, Bounds]]:
    """Reads the bounds of the figures of a package.

    Args:
        package: The package, such as ``moopim.hardware``.

    Returns:
        Bounds by the kind of thing and the name of the figure.
    """
    return {
        kind: {
            name: Bounds(**{key: value for key, value in entry.items() if key != "reason"})
            for name, entry in table.items()
        }
        for kind, table in read_table(package, "bounds.toml").items()
    }


def check_bounds(what: str, number: object, bounds: Bounds) -> None:
    """Raise ConfigError unless a number is within bounds; outside, it is a slip of unit as a rule.

    Args:
        what: What the number is, for messages.
        number: The number.
        bounds: Its bounds.

    Raises:
        ConfigError: If it is refused; names the number, its unit and the bounds.
    """
    if isinstance(number, bool) or not isinstance(number, Real):  # NumPy's numbers are real ones, too
        raise ConfigError(f"{what} is {number!r}; expected {bounds.words}")
    value = cast("float", number)
    within = bounds.least <= value <= bounds.most or (bounds.zero and value == 0)
    if not within or (bounds.whole and value % 1):
        unit = "" if bounds.unit == "1" else f" {bounds.unit}"
        raise ConfigError(f"{what} is {number!r}{unit}; expected {bounds.words}")


def figure(what: str, table: Mapping[str, Any], key: str = "value", bounds: Bounds | None = None) -> float:
    """Reads one figure and checks that it says where it comes from.

    Args:
        what: What the figure is, for messages.
        table: Its table: the number under ``key``, ``unit``, ``kind`` (one of `KINDS`) and ``source``.
        key: Where the number stands.
        bounds: Bounds of the figure, in whose unit it is given back; in its own if not given.

    Returns:
        The number, whole if it was written so.

    Raises:
        ConfigError: If a key is missing, the number is not finite, the kind is unknown or the unit is one of another
            dimension than that of the bounds, which names both.
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
    """Converts a number to the unit of its figure.

    Args:
        what: What the figure is, for messages.
        number: The number.
        unit: Its unit.
        bounds: Bounds of the figure.

    Returns:
        The number in the unit of the bounds.

    Raises:
        ConfigError: If the units differ in dimension; names both.
    """
    converted = convert(number, unit, bounds.unit, absolute=bounds.absolute)
    if converted is None:
        raise ConfigError(f"unit of {what} is {unit!r}; expected {bounds.unit!r} or a multiple of it")
    return converted


def read_table(package: str, name: str) -> dict[str, Any]:
    """Reads a file of the data folder of a package.

    Args:
        package: The package, such as ``moopim.hardware``.
        name: Name of the file.

    Returns:
        Its tables.
    """
    return tomllib.loads((files(package) / "data" / name).read_text(encoding="utf-8"))


def read_user_table(path: Path, tables: Collection[str] | None = None) -> dict[str, Any]:
    """Reads a TOML file of a user.

    Args:
        path: The file.
        tables: Names of the tables that it may have; any if not given.

    Returns:
        What it holds.

    Raises:
        ConfigError: If it cannot be read, is no TOML, is larger, nested deeper or has longer lines or numbers than any
            such file needs, or names something else than these tables.
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


def plain(what: str, table: Mapping[str, Any], bounds: Mapping[str, Bounds]) -> dict[str, Any]:
    """Plain values of a table whose numbers may stand alone or as figures with unit, kind and source.

    Args:
        what: What the table describes, for messages.
        table: Figures and plain values by name.
        bounds: Bounds by name; figures are given back in their units.

    Returns:
        Value by name.

    Raises:
        ConfigError: If a figure is not usable, or its unit has another dimension.
    """
    return {
        name: figure(f"{what} {name}", entry, bounds=bounds.get(name)) if isinstance(entry, dict) else entry
        for name, entry in table.items()
    }


def file_hashes(package: str, prefix: str) -> dict[str, str]:
    """Hashes the files of a model, for the fingerprints of results that depend on them.

    Args:
        package: The package, such as ``moopim.hardware``.
        prefix: How the names of its files begin in the data folder.

    Returns:
        SHA-256 by name, in hexadecimal digits.
    """
    found = sorted((file for file in (files(package) / "data").iterdir() if file.name.startswith(prefix)), key=str)
    return {file.name: file_hash(file) for file in found}


def file_hash(file: Traversable) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Args:
        file: The file, such as a `pathlib.Path`.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest()


def is_whole(number: object, least: int, most: int | None = None) -> TypeGuard[int]:
    """Tells whether something is a whole number within bounds; True and False are none.

    Args:
        number: What it may be.
        least: The least that is allowed.
        most: The most that is allowed; no bound if not given.

    Returns:
        Whether it is.
    """
    if isinstance(number, bool) or not isinstance(number, Integral):
        return False
    return least <= int(number) and (most is None or int(number) <= most)


def values(
    what: str, table: Mapping[str, Any], cls: type, bounds: Mapping[str, Bounds] | None = None, **known: Any
) -> dict[str, Any]:
    """Plain values of a table, checked against the fields of the dataclass that they are for.

    Args:
        what: What the table describes, for messages.
        table: Figures and plain values by name.
        cls: The dataclass.
        bounds: Bounds by name, see `plain`.
        **known: Fields that do not come from the table.

    Returns:
        Value by name.

    Raises:
        ConfigError: If a field is missing or unknown, or a figure is not usable.
    """
    expected = {field.name for field in fields(cls)} - set(known)
    for name in sorted(expected ^ set(table)):
        raise ConfigError(f"{what}: field {name!r} is {'missing' if name in expected else 'unknown'}")
    return plain(what, table, bounds or {})
