"""Thermal parameters of the 3-D stack: materials, heat sink and grid; built in, or from a user's TOML file."""

import math
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moopim.checks import is_whole, number, whole_number
from moopim.constants import (
    as_table,
    bounded,
    bounded_as,
    check_constants,
    constant_values,
    load_constants,
    read_table,
    read_user_table,
)
from moopim.errors import ConfigError
from moopim.typing import FloatArray, IntArray

_TABLES = ("stack", "thermal")  # of a user's file
MOST_CELLS = 16
"""Most cells along a side of a PE."""
_MOST_DIGITS = 4  # of a tier
_MOST_PES = 4096  # a matrix of 128 MiB
_AREAS_MM2 = (1e-6, 1e6)  # of a PE; within, the equations can be solved


@dataclass(frozen=True)
class ThermalStack:
    """Thermal path from the silicon to the ambient; ``hardware/data/stack_thermal.toml`` has the sources.

    Attributes:
        ambient_K: Temperature of the ambient (K).
        silicon_um: Thickness of the silicon of a tier (um).
        silicon_W_per_mK: Its conductivity (W/(m K)).
        bond_um: Thickness of the bond between two tiers (um).
        bond_W_per_mK: Its conductivity (W/(m K)).
        interface_um: Thickness of the interface material between tier 1 and the spreader (um).
        interface_W_per_mK: Its conductivity (W/(m K)).
        spreader_side_mm: Side of the square spreader (mm).
        spreader_thickness_mm: Its thickness (mm).
        spreader_W_per_mK: Its conductivity (W/(m K)).
        sink_side_mm: Side of the square sink (mm).
        sink_thickness_mm: Its thickness (mm).
        sink_W_per_mK: Its conductivity (W/(m K)).
        convection_K_per_W: Resistance from the whole sink to the ambient (K/W).
        cells_per_pe_side: Cells of the grid along a side of a PE.
        growth: In mode ``full``, size of a cell of copper over that of its neighbour nearer the die.
        tiers: Layers of single tiers in place of those of all, in rising order.

    Raises:
        ConfigError: If a parameter is not usable; names it, its value and what is allowed.
    """

    ambient_K: float = field(
        metadata=bounded(
            "K",
            200,
            500,
            "from a climate chamber at -73 degC to 227 degC, where silicon circuits end; the model's "
            "conductivities are those of that range",
            absolute=True,
        )
    )
    silicon_um: float = field(
        metadata=bounded("um", 0.5, 2000, "from a layer of a monolithic stack to a wafer, 775 um, with its carrier")
    )
    silicon_W_per_mK: float = field(metadata=bounded("W/(m K)", 1, 5000, "from glass to diamond, 2,200"))
    bond_um: float = field(metadata=bounded("um", 0.1, 1000, "from hybrid bonding to solder balls"))
    bond_W_per_mK: float = field(metadata=bounded("W/(m K)", 0.01, 5000, "from air, 0.026, to diamond, 2,200"))
    interface_um: float = field(metadata=bounded("um", 0.1, 5000, "from a metal bond to a pad"))
    interface_W_per_mK: float = field(metadata=bounded("W/(m K)", 0.01, 5000, "as bonds"))
    spreader_side_mm: float = field(metadata=bounded("mm", 0.5, 1000, "from a small die to a wafer and its rim"))
    spreader_thickness_mm: float = field(metadata=bounded("mm", 0.01, 50, "from a foil to a block"))
    spreader_W_per_mK: float = field(metadata=bounded("W/(m K)", 1, 5000, "from glass to diamond, 2,200"))
    sink_side_mm: float = field(metadata=bounded("mm", 0.5, 2000, "up to the cold plate of a rack"))
    sink_thickness_mm: float = field(metadata=bounded("mm", 0.05, 500, "from a foil to a block"))
    sink_W_per_mK: float = field(metadata=bounded("W/(m K)", 1, 5000, "as the spreader"))
    convection_K_per_W: float = field(
        metadata=bounded("K/W", 1e-3, 1000, "from a large cold plate in boiling coolant to a bare die in still air")
    )
    cells_per_pe_side: int = field(
        metadata=bounded(
            "1", 1, MOST_CELLS, "finer grids change temperatures by less than 0.01 K and take minutes", whole=True
        )
    )
    growth: float = field(
        metadata=bounded("1", 1.1, 8, "below, cells do not get fewer; above, they are no longer a grid")
    )
    tiers: tuple["TierLayers", ...] = ()

    def __post_init__(self) -> None:
        check_constants(self, "the thermal stack")
        if self.spreader_side_mm > self.sink_side_mm:
            raise ConfigError(
                f"spreader_side_mm of the thermal stack is {self.spreader_side_mm:g}; "
                f"expected at most sink_side_mm, {self.sink_side_mm:g}"
            )


@dataclass(frozen=True)
class TierLayers:
    """Layers of one tier in place of those of all; None where they are the same.

    Attributes:
        tier: Tier, from 1 next to the sink.
        silicon_um: Thickness of its silicon (um).
        silicon_W_per_mK: Conductivity of its silicon (W/(m K)).
        bond_um: Thickness of the bond between it and the tier nearer the sink (um).
        bond_W_per_mK: Conductivity of that bond (W/(m K)).
    """

    tier: int
    silicon_um: float | None = field(default=None, metadata=bounded_as(ThermalStack, "silicon_um"))
    silicon_W_per_mK: float | None = field(default=None, metadata=bounded_as(ThermalStack, "silicon_W_per_mK"))
    bond_um: float | None = field(default=None, metadata=bounded_as(ThermalStack, "bond_um"))
    bond_W_per_mK: float | None = field(default=None, metadata=bounded_as(ThermalStack, "bond_W_per_mK"))

    def __post_init__(self) -> None:
        if not is_whole(self.tier, 1):
            raise ConfigError(f"tier of the thermal stack is {self.tier!r}; expected 1, 2, ...")
        check_constants(self, f"thermal.tier.{self.tier}")
        for name, value in self.given.items():
            if self.tier == 1 and name.startswith("bond"):
                raise ConfigError(
                    f"{name} of thermal.tier.1 is {value:g}; expected none, as tier 1 lies on the interface"
                )

    @property
    def given(self) -> dict[str, float]:
        """Parameters that are given, by name."""
        return {name: value for name, value in vars(self).items() if name != "tier" and value is not None}


def load_thermal(path: Path | None = None) -> ThermalStack:
    """Load the built-in thermal stack, with the parameters of a user's file.

    The table ``[thermal]`` of the file has fields of `ThermalStack`, as numbers or as tables of ``value``, ``unit``,
    ``kind`` and ``source``; its tables ``[thermal.tier.3]`` have the silicon and the bond of the tier of that number. A
    table ``[stack]`` is left to `moopim.hardware.stack.load_stack`.

    Args:
        path: TOML file of the user.

    Returns:
        Thermal stack.

    Raises:
        ConfigError: If the file cannot be read or a parameter cannot be used; names file, field, value and what is
            allowed.
    """
    built_in = _load_built_in()
    if path is None:
        return built_in
    file = read_user_table(path, _TABLES)
    try:
        return _extended(built_in, file.get("thermal", {}))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


@cache
def _load_built_in() -> ThermalStack:
    table = read_table("moopim.hardware", "stack_thermal.toml")
    return load_constants(ThermalStack, "the thermal stack", table, tiers=())


def _extended(built_in: ThermalStack, table: object) -> ThermalStack:
    given = dict(as_table("thermal", table, "thermal"))
    tiers = [
        TierLayers(_tier_number(word), **_values(f"thermal.tier.{word}", entries, TierLayers, "tier"))
        for word, entries in as_table("thermal.tier", given.pop("tier", {}), "thermal.tier").items()
    ]
    ordered = tuple(sorted(tiers, key=lambda layers: layers.tier))
    return replace(built_in, **_values("thermal", given, ThermalStack, "tiers"), tiers=ordered)


def _tier_number(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS) or word.startswith("0"):
        raise ConfigError(f"thermal.tier.{word} is no tier; expected [thermal.tier.1], [thermal.tier.2], ...")
    return int(word)


def _values(what: str, table: object, cls: type, besides: str) -> dict[str, Any]:
    """Values of the table ``[what]``."""
    entries = as_table(what, table, what)
    return constant_values(f"[{what}]", entries, cls, complete=False, besides=(besides,))


class DieLayers(NamedTuple):
    """Layers of the die, from the sink outwards."""

    thickness_m: FloatArray  # shape (layers,)
    conductivity: FloatArray  # W/(m K), shape (layers,)
    silicon: IntArray  # layer that is the silicon of each tier, shape (tiers,)


def check_stack(tiers: int, mesh: int, pe_area_mm2: float) -> None:
    """Raise ConfigError unless the sizes are those of a stack, with few enough PEs for an influence matrix."""
    whole_number("tiers", tiers, 1)
    whole_number("mesh", mesh, 1)
    if tiers * mesh**2 > _MOST_PES:
        raise ConfigError(f"{tiers} tiers of {mesh} x {mesh} PEs are {tiers * mesh**2}; expected at most {_MOST_PES}")
    number("pe_area_mm2", pe_area_mm2, positive=True)
    number("pe_area_mm2", pe_area_mm2, least=_AREAS_MM2[0], most=_AREAS_MM2[1])


def die_layers(tiers: int, thermal: ThermalStack) -> DieLayers:
    """Layers of a die of ``tiers``: of each its interface or bond, then its silicon."""
    whole_number("tiers", tiers, 1, _MOST_PES)
    given = {layers.tier: layers.given for layers in thermal.tiers}
    if given and max(given) > tiers:
        raise ConfigError(f"thermal.tier.{max(given)} is given; expected one of the tiers, 1 .. {tiers}")
    layers = []
    for tier in range(1, tiers + 1):
        here = vars(thermal) | given.get(tier, {})
        layers += [
            (here[f"{name}_um"], here[f"{name}_W_per_mK"]) for name in ("interface" if tier == 1 else "bond", "silicon")
        ]
    thickness_um, conductivity = np.array(layers, dtype=np.float64).T
    return DieLayers(thickness_um * 1e-6, conductivity, 2 * np.arange(tiers) + 1)


def die_side_m(mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> float:
    """Side of the square die (m); raise ConfigError if it is larger than the spreader."""
    whole_number("mesh", mesh, 1)
    number("pe_area_mm2", pe_area_mm2, positive=True)
    side_mm = mesh * math.sqrt(pe_area_mm2)
    if math.isclose(side_mm, thermal.spreader_side_mm):
        return thermal.spreader_side_mm * 1e-3  # no rim of the width of a rounding error
    if side_mm > thermal.spreader_side_mm:
        raise ConfigError(
            f"spreader_side_mm of the thermal stack is {thermal.spreader_side_mm:g}; "
            f"expected at least the side of the die, {side_mm:.4g}"
        )
    return side_mm * 1e-3
