"""Parameters of the 3-D stack, read from ``hardware/data/``; units and sources stand there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError, unknown_name
from moopim.figures import figure, read_table, values

__all__ = [
    "FACTOR_SETS",
    "Device",
    "Factors",
    "Stack",
    "load_devices",
    "load_factors",
    "load_influence",
    "load_stack",
]

_DATA = files("moopim.hardware") / "data"
FACTOR_SETS = ("physical", "calibrated")
Factors: TypeAlias = Mapping[str, float]
"""One value per factor of ``data/stack_factors.toml``, by name."""

_Read = Literal["rows", "columns"]
_Noise = Literal["none", "linear", "exponential"]


@dataclass(frozen=True)
class Device:
    """A memory device and the arrays of a PE made of it; see ``data/stack_devices.toml``.

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
    read: _Read
    unlimited_endurance: bool
    noise: _Noise
    rows: float
    columns: float
    bits_per_cell: float
    arrays_per_pe: float
    write_row_ns: float
    write_cell_pJ: float  # noqa: N815 (the unit is pJ)

    def __post_init__(self) -> None:
        for field, allowed in (("read", get_args(_Read)), ("noise", get_args(_Noise))):
            if getattr(self, field) not in allowed:
                raise unknown_name(f"{field} of device {self.letter!r}", getattr(self, field), allowed)


@dataclass(frozen=True)
class Stack:
    """The 3-D stack and its network; see ``data/stack.toml`` for the sources.

    Attributes:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        tiles_per_pe: Tiles of a PE.
        links: Directed links of the network.
        link_bits_per_ns: Rate of a link (bit/ns).
        hop_energy_pJ: Energy of a bit over a link (pJ).
        gradient_bits: Width of gradients (bit).
        ambient_K: Ambient temperature (K).
        noise_exponential: Noise of an ``exponential`` device at ``exp(rise / noise_scale_K) = 2``.
        noise_linear_per_K: Noise of a ``linear`` device per kelvin of rise (1/K).
        noise_scale_K: Temperature scale of ``exponential`` devices (K).
        noise_exponent_cap: Largest exponent.
    """

    tiers: int
    mesh: int
    pe_area_mm2: float
    tiles_per_pe: int
    links: int
    link_bits_per_ns: float
    hop_energy_pJ: float  # noqa: N815 (the units are pJ and K)
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


@cache
def load_devices() -> tuple[Device, ...]:
    """The devices, in the order of the file.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `Device`, or a figure is not usable.
    """
    return tuple(
        Device(letter=letter, **values(f"device {letter}", table, Device, letter=letter))
        for letter, table in read_table("moopim.hardware", "stack_devices.toml").items()
    )


@cache
def load_stack() -> Stack:
    """The stack.

    Raises:
        ConfigError: If the file does not hold exactly the fields of `Stack`, or a figure is not usable.
    """
    return Stack(**values("stack", read_table("moopim.hardware", "stack.toml"), Stack))


@cache
def load_factors(name: str) -> Factors:
    """The factors of a set.

    Args:
        name: ``physical`` or ``calibrated``.

    Returns:
        Value by name; units and sources stand in the file.

    Raises:
        ConfigError: If there is no such set, or a figure is not usable.
    """
    if name not in FACTOR_SETS:
        raise unknown_name("factor set", name, FACTOR_SETS)
    tables = read_table("moopim.hardware", "stack_factors.toml")
    return {factor: float(figure(f"factor {factor}", table, name)) for factor, table in tables.items()}


@cache
def load_influence() -> NDArray[np.float64]:
    """Temperature rise of each PE per power of each PE (K/W), shape ``(pes, pes)``; read only.

    Raises:
        ConfigError: If the file does not fit the stack.
    """
    with (_DATA / "stack_influence.npy").open("rb") as file:
        matrix = np.ascontiguousarray(np.load(file, allow_pickle=False), dtype=np.float64)
    expected = (load_stack().pes,) * 2
    if matrix.shape != expected or not np.isfinite(matrix).all():
        raise ConfigError(f"stack_influence.npy has shape {matrix.shape}; expected {expected} finite numbers")
    matrix.flags.writeable = False
    return matrix
