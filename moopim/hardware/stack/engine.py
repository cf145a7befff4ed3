"""Gradient engine of the back-propagation tier: multiply-add units in a share of each of its PEs.

HuNT (Ogbogu et al., IEEE TCAD 2024) describes none. Areas and energies are those of synthesised arithmetic at 45 nm
(Horowitz, ISSCC 2014), scaled to the feature size of the stack; ``hardware/data/stack_engine.toml`` has the sources.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from moopim.constants import (
    ABOVE_ZERO,
    BELOW_ONE,
    bounded,
    check_constants,
    constant_values,
    load_constants,
    read_table,
)
from moopim.errors import ConfigError, unknown_name

_GUARD = 1e-9  # a ratio that should be whole is, despite rounding


@dataclass(frozen=True)
class Precision:
    """Number format of the gradient engine: multiplier and accumulator of a unit at `GradientEngine.mac_feature_nm`.

    Attributes:
        word_bits: Width of an operand (bit).
        multiplier_um2: Area of a multiplier (um2).
        multiplier_pJ: Energy of a multiplication (pJ).
        accumulator_um2: Area of an accumulator (um2).
        accumulator_pJ: Energy of an addition (pJ).
    """

    word_bits: float = field(metadata=bounded("bit", 1, 128, "number formats", whole=True))
    multiplier_um2: float = field(metadata=bounded("um2", 1, 1e6, "from a few gates to a vector unit"))
    multiplier_pJ: float = field(metadata=bounded("pJ", 1e-4, 1e3, "from a few gates to a vector unit"))
    accumulator_um2: float = field(metadata=bounded("um2", 1, 1e6, "from a few gates to a vector unit"))
    accumulator_pJ: float = field(metadata=bounded("pJ", 1e-4, 1e3, "from a few gates to a vector unit"))

    def __post_init__(self) -> None:
        check_constants(self, "the precision")


@dataclass(frozen=True)
class GradientEngine:
    """Gradient engine of the back-propagation tier.

    Attributes:
        feature_nm: Feature size of the stack (nm).
        mac_feature_nm: Feature size of the figures of a precision (nm).
        mac_overhead: Area of a unit over that of its multiplier and accumulator.
        engine_share: Share of a PE that the units take; the rest is its memory.
        engine_clock_GHz: Clock of the units (GHz).
        engine_use: Busy share of the units.
        buffer_pJ_per_64bit: Energy of a read of 64 bits from the operand buffer, at `mac_feature_nm` (pJ).
        buffer_reuse: Multiply-adds that use an operand once read.
    """

    feature_nm: float = field(metadata=bounded("nm", 1, 1000, "nodes that have been built"))
    mac_feature_nm: float = field(metadata=bounded("nm", 1, 1000, "nodes that have been built"))
    mac_overhead: float = field(metadata=bounded("1", 1, 1000, "a unit is at least its arithmetic"))
    engine_share: float = field(metadata=bounded("1", ABOVE_ZERO, BELOW_ONE, "a share of a PE"))
    engine_clock_GHz: float = field(metadata=bounded("GHz", 1e-4, 20, "clocks that have been built"))
    engine_use: float = field(metadata=bounded("1", 1e-4, 1, "a share"))
    buffer_pJ_per_64bit: float = field(metadata=bounded("pJ", 1e-3, 1e5, "from registers to DRAM", zero=True))
    buffer_reuse: float = field(metadata=bounded("1", 1e-3, 1e6, "a count"))

    def __post_init__(self) -> None:
        check_constants(self, "the gradient engine")


class EngineRates(NamedTuple):
    """Rate and energy of the gradient engine of a tier.

    Attributes:
        units: Multiply-add units of a PE.
        macs_per_ns: Gradient MACs of a tier per time (1/ns).
        mac_pJ: Energy of a MAC (pJ).
    """

    units: int
    macs_per_ns: float
    mac_pJ: float


@cache
def load_engine() -> GradientEngine:
    """Load the built-in gradient engine."""
    table = {name: entry for name, entry in _table().items() if name != "precisions"}
    return GradientEngine(**constant_values("the gradient engine", table, GradientEngine))


@cache
def load_precision(name: str) -> Precision:
    """Load a number format of the gradient engine, such as ``int8``; raise ConfigError if the name is unknown."""
    if name not in precisions():
        raise unknown_name("precision", name, precisions())
    return load_constants(Precision, f"precision {name}", _table()["precisions"][name])


def precisions() -> tuple[str, ...]:
    """Names of the number formats."""
    return tuple(_table()["precisions"])


@cache
def _table() -> dict[str, Any]:
    return read_table("moopim.hardware", "stack_engine.toml")


def engine_rates(engine: GradientEngine, precision: Precision, pe_area_mm2: float, pes: int) -> EngineRates:
    r"""Rate and energy of the gradient engine of a tier.

    .. math::
        units &= \left\lfloor \frac{engine\_share \, A_{PE}}{mac\_overhead \, A_{MAC} (F / F_{MAC})^2} \right\rfloor \\
        rate &= PEs \cdot units \cdot engine\_clock \cdot engine\_use \\
        E_{MAC} &= \left(e_{MAC} + \frac{2}{buffer\_reuse} \, e_{64} \, \frac{word\_bits}{64}\right) \frac{F}{F_{MAC}}

    Args:
        engine: Gradient engine.
        precision: Number format.
        pe_area_mm2: Area of a PE (mm2).
        pes: PEs of a tier.

    Returns:
        Units of a PE, MACs of a tier per time (1/ns), energy of a MAC (pJ).

    Raises:
        ConfigError: If not a single unit fits into its share of a PE.
    """
    scale = engine.feature_nm / engine.mac_feature_nm
    unit_um2 = engine.mac_overhead * (precision.multiplier_um2 + precision.accumulator_um2) * scale**2
    share_um2 = engine.engine_share * pe_area_mm2 * 1e6
    units = int(np.floor(share_um2 / unit_um2 + _GUARD))
    if not units:
        raise ConfigError(
            f"a unit of the gradient engine takes {unit_um2:.4g} um2, its share of a PE has {share_um2:.4g} um2; "
            "expected room for one: a larger engine_share or pe_area_mm2, a smaller mac_overhead or precision"
        )
    operands_pj = 2 / engine.buffer_reuse * engine.buffer_pJ_per_64bit * precision.word_bits / 64
    arithmetic_pj = precision.multiplier_pJ + precision.accumulator_pJ
    rate = pes * units * engine.engine_clock_GHz * engine.engine_use
    return EngineRates(units, rate, (arithmetic_pj + operands_pj) * scale)
