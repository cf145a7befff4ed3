"""What a 3-D stack is made of, as far as heat is concerned: built in, or the user's own figures from a TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from moopim.errors import ConfigError, unknown_name
from moopim.figures import check_bounds, is_whole, load_bounds, plain, read_table, read_user_table, values

__all__ = ["MOST_CELLS", "ThermalStack", "TierLayers", "load_thermal"]

_TABLES = ("stack", "thermal")  # of a user's file
MOST_CELLS = 16
"""Most cells along a side of a PE."""
_BOUNDS = load_bounds("moopim.hardware")["thermal"]
_MOST_DIGITS = 4  # of a tier


@dataclass(frozen=True)
class TierLayers:
    """Figures of one tier in place of those of all.

    Attributes:
        tier: The tier, from 1 next to the sink.
        silicon_um: Thickness of its silicon (um).
        silicon_W_per_mK: Conductivity of its silicon (W/(m K)).
        bond_um: Thickness of the bond between it and the tier nearer the sink (um).
        bond_W_per_mK: Conductivity of that bond (W/(m K)).

    Raises:
        ConfigError: If a figure is not usable.
    """

    tier: int
    silicon_um: float | None = None
    silicon_W_per_mK: float | None = None  # noqa: N815 (the unit is W/(m K))
    bond_um: float | None = None
    bond_W_per_mK: float | None = None  # noqa: N815

    def __post_init__(self) -> None:
        if not is_whole(self.tier, 1):
            raise ConfigError(f"tier of the thermal stack is {self.tier!r}; expected 1, 2, ...")
        for name, value in self.own.items():
            check_bounds(f"thermal.tier.{self.tier} {name}", value, _BOUNDS[name])
            if self.tier == 1 and name.startswith("bond"):
                raise ConfigError(f"thermal.tier.1 {name} is {value!r}; expected none, as tier 1 lies on the interface")

    @property
    def own(self) -> dict[str, float]:
        """The figures that are given, by name."""
        return {name: value for name, value in vars(self).items() if name != "tier" and value is not None}


@dataclass(frozen=True)
class ThermalStack:
    """Thermal path from the silicon to the ambient; ``hardware/data/`` has the sources, and the bounds.

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
        tiers: Figures of single tiers, in rising order.

    Raises:
        ConfigError: If a figure is not usable; names it, its value and what is allowed.
    """

    ambient_K: float  # noqa: N815 (the units are K, W/(m K) and K/W)
    silicon_um: float
    silicon_W_per_mK: float  # noqa: N815
    bond_um: float
    bond_W_per_mK: float  # noqa: N815
    interface_um: float
    interface_W_per_mK: float  # noqa: N815
    spreader_side_mm: float
    spreader_thickness_mm: float
    spreader_W_per_mK: float  # noqa: N815
    sink_side_mm: float
    sink_thickness_mm: float
    sink_W_per_mK: float  # noqa: N815
    convection_K_per_W: float  # noqa: N815
    cells_per_pe_side: int
    growth: float
    tiers: tuple[TierLayers, ...] = ()

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            check_bounds(f"thermal {name}", getattr(self, name), bounds)
        object.__setattr__(self, "cells_per_pe_side", int(self.cells_per_pe_side))
        if self.spreader_side_mm > self.sink_side_mm:
            raise ConfigError(
                f"thermal spreader_side_mm is {self.spreader_side_mm}; "
                f"expected at most sink_side_mm, {self.sink_side_mm}"
            )


def load_thermal(path: Path | None = None) -> ThermalStack:
    """The built-in stack, with the figures of a user's file in place of its own.

    The table ``[thermal]`` of the file holds fields of `ThermalStack`, as numbers or as tables of ``value``, ``unit``,
    ``kind`` and ``source``; its tables ``[thermal.tier.3]`` hold fields of `TierLayers` for the tier of that number.
    A table ``[stack]`` is left to `moopim.hardware.stack.parameters.load_stack`.

    Args:
        path: The user's TOML file.

    Returns:
        The stack.

    Raises:
        ConfigError: If the file cannot be read or a figure cannot be used; names file, field, value and what is
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
    return ThermalStack(**values("thermal", table, ThermalStack, _BOUNDS, tiers=()))


def _extended(built_in: ThermalStack, table: object) -> ThermalStack:
    given = dict(_table("thermal", table))
    tiers = [
        TierLayers(_tier_number(word), **_numbers(f"thermal.tier.{word}", entries, TierLayers, "tier"))
        for word, entries in _table("thermal.tier", given.pop("tier", {})).items()
    ]
    ordered = tuple(sorted(tiers, key=lambda layers: layers.tier))
    return replace(built_in, **_numbers("thermal", given, ThermalStack, "tiers"), tiers=ordered)


def _table(what: str, table: object) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{what} is {table!r}; expected a table [{what}]")
    return table


def _tier_number(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS) or word.startswith("0"):
        raise ConfigError(f"thermal.tier.{word} is no tier; expected [thermal.tier.1], [thermal.tier.2], ...")
    return int(word)


def _numbers(what: str, table: object, cls: type, besides: str) -> dict[str, Any]:
    """Values of a table whose keys are fields of a class, all of them but one."""
    entries = _table(what, table)
    allowed = [field.name for field in fields(cls) if field.name != besides]
    for name in entries:
        if name not in allowed:
            raise unknown_name(f"field of [{what}]", name, allowed)
    return plain(what, entries, _BOUNDS)
