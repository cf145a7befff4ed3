"""Records of JSON files and headers: bounded size, known fields, allowed values, faults in one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from moopim.errors import ConfigError, shown
from moopim.files import read_json


class Record(BaseModel):
    """Immutable record without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_Record = TypeVar("_Record", bound=Record)


def read_record(path: Path, kind: type[_Record], most: int) -> _Record:
    """Record of a JSON file of at most `most` bytes; raises ConfigError if it is unreadable or not valid."""
    try:
        value = read_json(path, most)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} is not valid: {error.strerror}") from None
    return parse_record(kind, value, f"{str(path)!r} is not valid")


def parse_record(kind: type[_Record], value: Any, problem: str, expected: str = "") -> _Record:
    """Record of a JSON value; raises ConfigError, such as ``problem: field 'seed': ...; expected ...``."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ConfigError(f"{problem}: {first_fault(error)}{expected and f'; expected {expected}'}") from None


def first_fault(error: ValidationError) -> str:
    """First fault of a record, such as ``field 'genome.0.values': Input should be a valid list (got 7)``."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    got = "" if first["type"] == "missing" else f" (got {shown(first['input'])})"
    return f"field {shown(where)}: {first['msg']}{got}" if where else f"{first['msg']}{got}"


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> str:
    """Facts that differ from those asked for, such as ``seed is 1 there and 2 here; ...``; empty if none do."""
    return "; ".join(
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    )
