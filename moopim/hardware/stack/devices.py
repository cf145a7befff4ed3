"""Devices of the stack's PEs: built in, with named variants, or a user's own from a TOML file."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from moopim.errors import ConfigError, unknown_name
from moopim.figures import check_bounds, load_bounds, plain, read_table, read_user_table

__all__ = ["Changes", "Device", "built_in_devices", "device_tables", "load_devices"]

Changes = Mapping[str, float]
"""Figures in place of those of the files: ``LETTER.figure`` for a device, or the name of a figure of the model."""

_Read = Literal["rows", "columns", "parallel", "macs"]
_Noise = Literal["none", "linear", "exponential"]
_BOUNDS = load_bounds("moopim.hardware")["stack_device"]


@dataclass(frozen=True)
class Device:
    """A memory device and the arrays of a PE made of it; ``hardware/data/`` has the sources, and the bounds.

    Attributes:
        letter: One-letter name, such as ``R``.
        name: Name, such as ``ReRAM``.
        read: What an array does one after the other for a 1-bit input vector: its ``rows``, its ``columns`` or nothing
            (``parallel``); ``macs`` if it is no array but a core that does one multiply-add after the other.
        noise: How thermal noise grows with temperature: ``none``, ``linear`` or ``exponential``.
        serves_back_propagation: Whether it stands the writes of back-propagation.
        rows: Rows of an array.
        columns: Columns of an array.
        bits_per_cell: Bits of a cell.
        arrays_per_pe: Arrays of a PE.
        step_ns: Time (ns) of a row if it reads rows, of a multiply-add if ``macs``, else of a whole array.
        vector_pJ: Energy of a 1-bit vector through a full array (pJ); of a multiply-add if ``macs``.
        static_mW: Static power of a PE (mW).
        write_row_ns: Time to write a row (ns).
        write_pJ: Energy of a write (pJ).
        write_cells: Cells that this energy writes.
        endurance: Writes that a cell stands.
        gradient_speedup: Rate of gradients over that of its forward pass; 0 if it serves no back-propagation.
        gradient_pJ: Energy of a gradient MAC (pJ); 0 if it serves no back-propagation.
    """

    letter: str
    name: str
    read: _Read
    noise: _Noise
    serves_back_propagation: bool
    rows: float
    columns: float
    bits_per_cell: float
    arrays_per_pe: float
    step_ns: float
    vector_pJ: float  # noqa: N815 (the units are pJ and mW)
    static_mW: float  # noqa: N815
    write_row_ns: float
    write_pJ: float  # noqa: N815
    write_cells: float
    endurance: float
    gradient_speedup: float = 0.0
    gradient_pJ: float = 0.0  # noqa: N815

    def __post_init__(self) -> None:
        what = f"device {self.letter!r}"
        for field, allowed in (("read", get_args(_Read)), ("noise", get_args(_Noise))):
            if getattr(self, field) not in allowed:
                raise unknown_name(f"{field} of {what}", getattr(self, field), allowed)
        if not isinstance(self.serves_back_propagation, bool):
            raise ConfigError(
                f"serves_back_propagation of {what} is {self.serves_back_propagation!r}; expected true or false"
            )
        if self.serves_back_propagation and not (self.gradient_speedup and self.gradient_pJ):
            raise ConfigError(f"{what} serves back-propagation; expected gradient_speedup and gradient_pJ above 0")
        for field, bounds in _BOUNDS.items():
            check_bounds(f"{field} of {what}", getattr(self, field), bounds)

    @property
    def write_cell_pJ(self) -> float:  # noqa: N802 (the unit is pJ)
        """Energy to write a cell (pJ)."""
        return self.write_pJ / self.write_cells

    @property
    def vector_ns(self) -> float:
        """Time of a 1-bit input vector through a fully used array (ns)."""
        return self.rows * self.step_ns if self.read == "rows" else self.step_ns


@cache
def built_in_devices() -> Mapping[str, Mapping[str, Any]]:
    """Tables of the built-in devices by letter, as they stand in the file: figures with unit, kind and source."""
    return read_table("moopim.hardware", "stack_devices.toml")


def device_tables(names: str) -> dict[str, dict[str, Any]]:
    """Tables of devices by letter, variants merged in.

    Args:
        names: Devices, separated by commas: a letter or name of a built-in one, with ``:VARIANT`` behind it if wanted,
            or a ``FILE.toml``, which stands for all devices of the file.

    Returns:
        Figures and plain values of each device by name, with the name of the ``variant`` that was asked for; a table
        ``variants`` holds those that there are.

    Raises:
        ConfigError: If a name, a variant or a field is unknown, a letter is taken twice, or a file cannot be used.
    """
    tables: dict[str, dict[str, Any]] = {}
    for name in (item.strip() for item in names.split(",")):
        found = _read_file(Path(name)) if name.lower().endswith(".toml") else dict([_find(name)])
        for letter, table in found.items():
            if letter in tables:
                raise ConfigError(f"devices {names!r} name {letter!r} twice; expected each letter once")
            tables[letter] = table
    return tables


def load_devices(
    names: str = "S,R,F", calibrated: Changes | None = None, own: Changes | None = None
) -> tuple[Device, ...]:
    """Makes devices.

    Args:
        names: See `device_tables`.
        calibrated: Figures of a factor set, in place of those of the files; those of a variant that is asked for go
            before.
        own: Figures that go before everything.

    Returns:
        The devices in the order of the names.

    Raises:
        ConfigError: If a name or a figure is not usable; the message names it.
    """
    devices = []
    for letter, table in device_tables(names).items():
        what = f"device {letter!r}"
        own_table = {name: value for name, value in table.items() if name not in ("variants", "variant")}
        values = plain(what, own_table, _BOUNDS)
        _check_fields(what, values)
        chosen = built_in_devices()[letter]["variants"][table["variant"]] if "variant" in table else {}
        values |= _figures_of(letter, calibrated or {}) | plain(what, chosen, _BOUNDS) | _figures_of(letter, own or {})
        devices.append(Device(letter=letter, **values))
    return tuple(devices)


def _figures_of(letter: str, changes: Changes) -> dict[str, float]:
    """The changes that are for a device, by the name of its figure."""
    figures = {name.partition(".")[2]: value for name, value in changes.items() if name.startswith(f"{letter}.")}
    for name in figures:
        if name not in _BOUNDS:
            raise unknown_name(f"figure of device {letter!r}", name, _BOUNDS)
    return figures


def _check_fields(what: str, values: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(Device)} - {"letter"}
    required = {field.name for field in fields(Device) if field.default is MISSING} - {"letter"}
    for name in values:
        if name not in known:
            raise unknown_name(f"field of {what}", name, sorted(known))
    missing = sorted(required - set(values))
    if missing:
        raise ConfigError(f"{what} has no {missing[0]!r}; expected {', '.join(sorted(required))}")


def _find(name: str) -> tuple[str, dict[str, Any]]:
    """Letter and table of a built-in device, given ``R``, ``reram`` or ``R:hp``."""
    wanted, _, variant = name.partition(":")
    names = {
        spelling.lower(): letter for letter, table in built_in_devices().items() for spelling in (letter, table["name"])
    }
    if wanted.lower() not in names:
        spellings = [table["name"].lower() for table in built_in_devices().values()]
        raise unknown_name("device", wanted, [*built_in_devices(), *spellings, "FILE.toml"])
    letter = names[wanted.lower()]
    table = dict(built_in_devices()[letter])
    if variant:
        variants = table.get("variants", {})
        if variant not in variants:
            raise unknown_name(f"variant of device {letter}", variant, variants or ("none",))
        table |= {**variants[variant], "variant": variant}
    return letter, table


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    """Tables of a user's file; ``like`` takes over what a table does not say from a built-in device."""
    tables = {}
    file = read_user_table(path)
    if not file:
        raise ConfigError(f"{path} has no device; expected tables [X], X one letter")
    for letter, table in file.items():
        if not isinstance(table, dict) or len(letter) != 1 or not (letter.isascii() and letter.isalpha()):
            raise ConfigError(f"{path}: {letter!r} is not a device; expected tables [X], X one letter")
        if letter in built_in_devices():
            raise ConfigError(f"{path}: [{letter}] is a built-in device; expected a letter of its own")
        base = table.get("like")
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{path}: like of [{letter}] is {base!r}; expected the name of a built-in device")
        inherited = _find(base)[1] if base else {}
        merged = {**inherited, "name": letter, **table}
        tables[letter] = {name: value for name, value in merged.items() if name not in ("variants", "variant", "like")}
    return tables
