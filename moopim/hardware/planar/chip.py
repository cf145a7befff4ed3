"""The circuit of a planar chip, one value of each parameter per design."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chip"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a chip equals itself only
class Chip:
    """Planar chips; every parameter has shape ``(designs,)``, or ``(1,)`` where all designs share it.

    Attributes:
        crossbar: Rows, and columns, of a crossbar.
        groups: Groups of crossbars in a PE; each holds one bit of the weights.
        adcs: ADCs of a group.
        dacs: DACs of a group.
        adc_bits: Resolution of an ADC (bit).
        adc_area_um2: Area of an ADC (um2).
        adc_power_W: Power of an ADC (W).
        adc_ns: Time of a conversion (ns).
        dac_bits: Resolution of a DAC (bit).
        dac_area_um2: Area of a DAC (um2).
        dac_power_W: Power of a DAC (W).
        dac_ns: Time of a conversion (ns).
        cell_area_um2: Area of a cell (um2).
        driver_area_um2: Area of the driver of a crossbar's row (um2).
        cell_bits: Bits that a cell can hold; the compat mode stores one.
        resistance_low_ohm: Resistance of the low-resistance state (ohm).
        resistance_high_ohm: Resistance of the high-resistance state (ohm).
        read_low_V: Read voltage of a 0 (V).
        read_high_V: Read voltage of a 1 (V).
        read_ns: Time of a read of the device (ns).
        write_ns: Time to write a row of cells (ns); for products of two activations.
        write_pJ: Energy to write a cell (pJ); for products of two activations.
        mux_nm: Technology node of the multiplexers (nm).
        polarity: Crossbars that hold a signed weight: 2 for a positive and a negative one, 1 for two's complement.
        digital_subtraction: Whether the two polarities are subtracted behind the ADCs.
        pes: PEs of a tile.
        grid: Tiles along each side of the chip.
        noc_bits_per_ns: Rate of a link between tiles (bit/ns).
        tile_bits_per_ns: Rate of a link within a tile (bit/ns).
    """

    crossbar: IntArray
    groups: IntArray
    adcs: IntArray
    dacs: IntArray
    adc_bits: IntArray
    adc_area_um2: FloatArray
    adc_power_W: FloatArray  # noqa: N815 (the units are W, V and pJ)
    adc_ns: FloatArray
    dac_bits: IntArray
    dac_area_um2: FloatArray
    dac_power_W: FloatArray  # noqa: N815
    dac_ns: FloatArray
    cell_area_um2: FloatArray
    driver_area_um2: FloatArray
    cell_bits: IntArray
    resistance_low_ohm: FloatArray
    resistance_high_ohm: FloatArray
    read_low_V: FloatArray  # noqa: N815
    read_high_V: FloatArray  # noqa: N815
    read_ns: FloatArray
    write_ns: FloatArray
    write_pJ: FloatArray  # noqa: N815
    mux_nm: FloatArray
    polarity: IntArray
    digital_subtraction: NDArray[np.bool_]
    pes: IntArray
    grid: IntArray
    noc_bits_per_ns: FloatArray
    tile_bits_per_ns: FloatArray
