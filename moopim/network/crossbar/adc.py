"""ADC transfer function, ``code = clip(round(kappa p), -limit, limit)``, and rules for ``kappa``."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from moopim.checks import whole_number
from moopim.errors import ConfigError
from moopim.network.crossbar.circuit import Circuit, Ties
from moopim.network.crossbar.mapping import slice_count


class LayerShape(NamedTuple):
    """Properties of a layer that the range of its ADCs depends on.

    Attributes:
        used_rows: Rows of a crossbar that MNSIM takes as conducting.
        blocks: Crossbars that an output is summed over.
        weight_bits: Bits of a weight, sign included.
        input_bits: Bits of an input, sign included.
        output_scale: Full scale of the output over the product of one step of a weight and of an input, without
            dimensions; None where it is not known.
    """

    used_rows: int
    blocks: int
    weight_bits: int
    input_bits: int
    output_scale: float | None = None


class AdcTransfer(NamedTuple):
    """Transfer function of the ADCs of a layer, all alike.

    Attributes:
        kappa: Codes per unit of current, that of one level of a cell at the lowest level of a DAC.
        limit: Largest code; the smallest is its negative.
        ties: Rounding of halves, see `Circuit`.
    """

    kappa: float
    limit: int
    ties: Ties = "even"

    @property
    def shift(self) -> int | None:
        """``s`` if ``kappa = 2^-s``, else None."""
        mantissa, exponent = math.frexp(self.kappa)
        return 1 - exponent if mantissa == 0.5 else None  # noqa: PLR2004 (frexp's of a power of two)

    def round_(self, sums: Tensor) -> Tensor:
        """Scale and round sums (units of current) in place, without clipping."""
        if self.kappa != 1:
            sums.mul_(self.kappa)
        if self.ties == "floor":
            return sums.floor_()
        if self.ties == "even":
            return sums.round_()
        # Halves to odd: to even, one code aside.
        return sums.add_(1).round_().sub_(1)

    def convert_(self, sums: Tensor) -> Tensor:
        """Convert sums (units of current, a floating-point type that holds their multiples) to codes in place."""
        return self.round_(sums).clamp_(-self.limit, self.limit)

    def lossless(self, bounds: Tensor) -> Tensor:
        """Whether whole numbers up to the bounds (float64) are converted without loss, same shape."""
        shift = self.shift
        if shift is None or shift > 0:
            return torch.zeros_like(bounds, dtype=torch.bool)
        return bounds * self.kappa <= self.limit

    def silent(self, bounds: Tensor) -> Tensor:
        """Whether all sums up to the bounds (float64) become code 0, same shape."""
        return (self.convert_(bounds.clone()) == 0) & (self.convert_(-bounds) == 0)


def effective_bits(circuit: Circuit, used_rows: int) -> int:
    """Resolution of a layer's ADCs (bit): with ``row_groups='bits'``, ``ceil(log2(used_rows / dacs))`` bits more.

    MNSIM adds these bits in place of converting groups of rows one after the other.
    """
    whole_number("used_rows", used_rows, 1)
    extra = math.ceil(math.log2(used_rows / circuit.dacs)) if circuit.row_groups == "bits" else 0
    return circuit.adc_bits + max(0, extra)


def adc_transfer(circuit: Circuit, shape: LayerShape, kappa: float | None = None) -> AdcTransfer:
    """Transfer function of the ADCs of a layer, with ``kappa`` in place of the circuit's rule if given."""
    kappa = kappa_of(circuit, shape) if kappa is None else kappa
    if not (math.isfinite(kappa) and kappa > 0):
        raise ConfigError(f"kappa={kappa!r} codes per unit are not allowed; expected a finite number above 0")
    return AdcTransfer(kappa, _half(circuit, shape.used_rows) - 1, circuit.ties)


def kappa_of(circuit: Circuit, shape: LayerShape) -> float:
    """Codes per unit of current by the rule of a circuit.

    To a power of two, ``full`` and ``fix`` are rounded down, so that their ranges are no smaller, and ``output`` up, as
    MNSIM's range is far wider than the sums that occur.
    """
    half = _half(circuit, shape.used_rows)
    if circuit.adc_range == "unit":
        return 1.0
    if circuit.adc_range == "calibrated":
        raise ConfigError("adc_range='calibrated' of a circuit needs inputs to calibrate with; see calibrated")
    if circuit.adc_range in ("full", "fix"):
        # MNSIM takes the rows that a crossbar has for those that it uses.
        rows = min(circuit.rows, circuit.dacs) if circuit.row_groups == "sequential" else circuit.rows
        largest = (2**circuit.dac_bits - 1) * (2**circuit.cell_bits - 1) * rows
        kappa = half / largest
        if circuit.adc_range == "full":
            kappa = (half - 1) / largest
            if kappa * largest > half - 1:  # by a rounding error, which the ties "floor" would make a step
                kappa = math.nextafter(kappa, 0)
        return kappa if circuit.step == "any" else _power_of_two(kappa, up=False)
    if shape.output_scale is None:
        raise ConfigError("adc_range='output' of a circuit needs the scale of the layer's output; none was given")
    if not (math.isfinite(shape.output_scale) and shape.output_scale > 0):
        raise ConfigError(f"output scale {shape.output_scale!r} is not allowed; expected a finite number above 0")
    top = (slice_count(shape.input_bits, circuit.dac_bits) - 1) * circuit.dac_bits
    top += (slice_count(shape.weight_bits, circuit.cell_bits) - 1) * circuit.cell_bits
    widening = math.floor(circuit.point_shift + 0.5 * math.log2(shape.blocks))
    kappa = 2.0 ** (top + widening) * half / shape.output_scale
    return kappa if circuit.step == "any" else _power_of_two(kappa, up=True)


def _half(circuit: Circuit, used_rows: int) -> int:
    """Codes of one sign, 0 among them."""
    bits = effective_bits(circuit, used_rows)
    return int(2 ** (bits - 1 if circuit.subtraction == "analog" else bits))


def _power_of_two(kappa: float, up: bool) -> float:
    mantissa, exponent = math.frexp(kappa)
    return math.ldexp(1.0, exponent if up and mantissa > 0.5 else exponent - 1)  # noqa: PLR2004 (frexp's least)
