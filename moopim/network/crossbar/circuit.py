"""Circuit of a crossbar: rows, DACs, ADCs and cells, and the rules that decide its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from moopim.checks import is_whole
from moopim.errors import ConfigError, unknown_name

RowGroups: TypeAlias = Literal["bits", "sequential"]
RowSplit: TypeAlias = Literal["channels", "rows"]
AdcRange: TypeAlias = Literal["full", "fix", "output", "calibrated", "unit"]
Ties: TypeAlias = Literal["even", "odd", "floor"]
AdcStep: TypeAlias = Literal["power_of_two", "any"]
Subtraction: TypeAlias = Literal["analog", "digital"]

_NAMES = {
    "row_groups": RowGroups,
    "split": RowSplit,
    "adc_range": AdcRange,
    "ties": Ties,
    "step": AdcStep,
    "subtraction": Subtraction,
}
# Least and largest value. Cells of 4 bits and DACs of 8 are beyond what has been built; an ADC needs a sign and a bit.
_MOST_SHIFT = 64  # of an exponent of 2
_RANGES = {"rows": (1, 2**16), "adc_bits": (2, 16), "dac_bits": (1, 8), "cell_bits": (1, 4), "dacs": (1, 2**16)}


@dataclass(frozen=True)
class Circuit:
    """Crossbars and converters. "MNSIM" is MNSIM 2.0 (IEEE TCAD 2023, doi:10.1109/TCAD.2023.3251696).

    Attributes:
        rows: Wordlines of a crossbar.
        adc_bits: Resolution of an ADC (bit), sign included where it converts differences.
        dac_bits: Resolution of a DAC (bit), of a digit of an input's magnitude.
        cell_bits: Bits of a cell, of a digit of a weight's magnitude.
        dacs: DACs of a crossbar: rows that conduct at a time. MNSIM's default is 128.
        row_groups: Treatment of crossbars with more used rows than DACs. ``bits``: the ADC gets a bit more per
            doubling, as in MNSIM; ``sequential``: each group of rows is converted by itself.
        split: Rows of a convolution on a crossbar: whole input ``channels``, as in MNSIM, or as many ``rows`` as
            it has.
        adc_range: Full scale of the ADCs of a layer. ``full``: the largest current of a crossbar of ideal cells has the
            largest code or a smaller one, so that none is clipped; ``fix``: the largest current is one step above the
            largest code, so that it is clipped by a step, and a step is about half as wide (MNSIM's ``FIX``);
            ``output``: follows from the scale of the layer's output (MNSIM's ``SCALE``); ``calibrated``: the
            range of the least squared error on given inputs; ``unit``: one code per unit of current.
        ties: Rounding of a sum halfway between two codes: to the ``even`` code (MNSIM), to the ``odd`` one (CrossSim's
            sign-magnitude ADC); ``floor`` rounds everything down.
        step: Whether a code stands for a ``power_of_two`` of units of current, so that all results are exact, or for
            ``any`` number, as in MNSIM.
        subtraction: Subtraction of negative weights: ``analog``, from the current of the positive ones, or
            ``digital``, one code from another. Such currents have one sign, so that all bits are for the magnitude.
        point_shift: MNSIM's exponent of the range ``output``: its full scale is ``2^-point_shift`` of the output's for
            one crossbar. MNSIM's default is -2.
    """

    rows: int
    adc_bits: int
    dac_bits: int = 1
    cell_bits: int = 1
    dacs: int = 128
    row_groups: RowGroups = "bits"
    split: RowSplit = "channels"
    adc_range: AdcRange = "full"
    ties: Ties = "even"
    step: AdcStep = "power_of_two"
    subtraction: Subtraction = "analog"
    point_shift: float = -2.0

    def __post_init__(self) -> None:
        for field, (low, high) in _RANGES.items():
            value = getattr(self, field)
            if not is_whole(value, low, high):
                raise ConfigError(
                    f"{field}={value!r} of a circuit is not allowed; expected a whole number {low}..{high}"
                )
        for field, names in _NAMES.items():
            if getattr(self, field) not in get_args(names):
                raise unknown_name(f"{field} of a circuit", getattr(self, field), get_args(names))
        shift = self.point_shift
        if isinstance(shift, bool) or not isinstance(shift, int | float) or not abs(shift) <= _MOST_SHIFT:
            raise ConfigError(
                f"point_shift={shift!r} of a circuit is not allowed; expected a number -{_MOST_SHIFT}..{_MOST_SHIFT}"
            )
