"""Parameters of the hardware models, read from the TOML files beside this module; units and sources stand there."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError, unknown_name

__all__ = ["FACTOR_SETS", "Device", "Factors", "Stack", "data_files", "load_devices", "load_factors", "load_influence", "load_stack"]

FACTOR_SETS = ("physical", "calibrated")
_DATA = files("moopim.hardware") / "data"


@dataclass(frozen=True)
class Device:
    """A memory device and the arrays of a PE made of it; see ``data/devices.toml``.

    Attributes:
        letter: One-letter name, such as ``R``.
        name: Name, such as ``ReRAM``.
        read: What an array reads one after the other in a step: its ``rows`` or its ``columns``.
        unlimited_endurance: Whether it stands the writes of back-propagation.
        noise: How thermal noise grows with temperature: ``none``, ``linear`` or ``exponential``.
        rows: Rows of an array.
        columns: Columns of an array.
        bits_per_cell: Bits of a cell.
        arrays_per_pe: Arrays of a PE.
        write_row_ns: Time to write a row (ns).
        write_cell_pJ: Energy to write a cell (pJ).
    """

    letter: str
    name: str
    read: Literal["rows", "columns"]
    unlimited_endurance: bool
    noise: Literal["none", "linear", "exponential"]
    rows: float
    columns: float
    bits_per_cell: float
    arrays_per_pe: float
    write_row_ns: float
    write_cell_pJ: float  # noqa: N815 (the unit is pJ)


@dataclass(frozen=True)
class Stack:
    """The 3-D stack and its network; see ``data/stack.toml`` for units and sources."""

    tiers: int
    mesh: int
    pe_area_mm2: float
    tiles_per_pe: int
    links: int
    link_bits_per_ns: float
    hop_energy_pJ: float  # noqa: N815
    gradient_bits: int
    ambient_K: float  # noqa: N815
    noise_exponential: float
    noise_linear_per_K: float  # noqa: N815
    noise_scale_K: float  # noqa: N815
    noise_exponent_cap: float

    @property
    def pes_per_tier(self) -> int:
        """PEs of a tier."""
        return self.mesh**2

    @property
    def pes(self) -> int:
        """PEs of the stack."""
        return self.tiers * self.pes_per_tier


class Factors(dict[str, float]):
    """One value per factor of ``data/factors.toml``, by name."""


def data_files() -> dict[str, bytes]:
    """Contents of all data files by name; what a fingerprint of the model has to cover."""
    names = ("devices.toml", "factors.toml", "stack.toml", "stack_influence.npy")
    return {name: (_DATA / name).read_bytes() for name in names}


@cache
def load_devices() -> tuple[Device, ...]:
    """The devices, in the order of the file.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `Device`.
    """
    tables = tomllib.loads((_DATA / "devices.toml").read_text())
    return tuple(Device(letter=letter, **_values(f"device {letter}", table, Device)) for letter, table in tables.items())


@cache
def load_stack() -> Stack:
    """The stack.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `Stack`.
    """
    return Stack(**_values("stack", tomllib.loads((_DATA / "stack.toml").read_text()), Stack))


@cache
def load_factors(name: str) -> Factors:
    """The factors of a set.

    Args:
        name: ``physical`` or ``calibrated``.

    Returns:
        Value by name; units and sources stand in the file.

    Raises:
        ConfigError: If there is no such set.
    """
    if name not in FACTOR_SETS:
        raise unknown_name("factor set", name, FACTOR_SETS)
    tables = tomllib.loads((_DATA / "factors.toml").read_text())
    return Factors({factor: float(table[name]) for factor, table in tables.items()})


@cache
def load_influence() -> NDArray[np.float64]:
    """Temperature rise of each PE per power of each PE (K/W), shape ``(pes, pes)``; read only."""
    with (_DATA / "stack_influence.npy").open("rb") as file:
        matrix = np.ascontiguousarray(np.load(file, allow_pickle=False))
    matrix.flags.writeable = False
    return matrix


def _values(what: str, table: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """Plain values of a table, checked against the fields of its class."""
    expected = {field.name for field in fields(cls)} - {"letter"}
    for name in expected ^ set(table):
        raise ConfigError(f"{what}: field {name!r} is {'missing' if name in expected else 'unknown'}")
    return {name: entry["value"] if isinstance(entry, dict) else entry for name, entry in table.items()}
