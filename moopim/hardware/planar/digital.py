"""Fixed blocks of a planar chip: digital logic, the read of a crossbar, SRAM buffers.

Constants and their sources: ``hardware/data/planar_digital.toml`` and ``hardware/data/planar_buffers.toml``.
"""

import math
from dataclasses import dataclass, fields
from functools import cache
from numbers import Real
from sys import float_info
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from moopim.checks import check_broadcast, numbers
from moopim.constants import constant, load_constants, read_table
from moopim.errors import ConfigError
from moopim.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Digital:
    """Digital blocks at their nodes; ``planar_digital.toml`` has the sources."""

    adder_area_um2: float
    adder_power_W: float
    shift_area_um2: float
    shift_power_W: float
    register_area_um2: float  # an input or output register
    register_power_W: float
    joint_area_um2: float  # a joint module adds the outputs of two PEs
    joint_power_W: float
    pool_area_um2: float  # the pooling block of a tile
    pool_power_W: float
    pool_channels: int  # channels per pass
    pool_window: int  # inputs of a window per pass
    pool_ns: float  # a pass
    sum_ns: float  # an element-wise sum
    cycle_ns: float
    mux_transistor_area_F2: float  # squares of the node
    mux_transistor_power_W: float
    decoder_level_ns: float
    mux_level_ns: float


@dataclass(frozen=True)
class _Read:
    """Constants of the read of a crossbar; names as in the file."""

    low_share: float
    high_share: float
    read_low_share: float
    read_high_share: float
    crossbar_read_ns: float
    crossbar_read_ns_per_KB: float
    crossbar_read_ns_per_KB2: float


@cache
def load_digital() -> Digital:
    """Digital blocks, scaled to their nodes."""
    table = read_table("moopim.hardware", "planar_digital.toml")
    raw = {name: constant(name, entry) for name, entry in table.items() if name != "mux"}
    shrink = (raw["digital_nm"] / raw["reference_nm"]) ** 2
    scaled = ("register_area_um2", "register_power_W", "joint_area_um2", "joint_power_W")
    known: dict[str, Any] = {field.name: raw[field.name] for field in fields(Digital) if field.name in raw}
    known |= {name: raw[name] * shrink for name in scaled}
    adder_transistors = raw["adder_bits"] * raw["adder_transistors"]
    return Digital(
        **known,
        adder_area_um2=adder_transistors * raw["transistor_area_F2"] * raw["digital_nm"] ** 2 * 1e-6,
        adder_power_W=raw["adder_bits"] * raw["adder_bit_power_W"],
        cycle_ns=1 / raw["clock_GHz"],
        mux_transistor_area_F2=raw["transistor_area_F2"],
    )


def mux_transistors(inputs: ArrayLike) -> IntArray:
    """Transistors of a multiplexer or demultiplexer of so many inputs or outputs, any shape."""
    bounds, transistors = _load_mux()
    return transistors[np.searchsorted(bounds, numbers("inputs of a multiplexer", inputs, None, least=0))]


def mux_levels(inputs: ArrayLike) -> IntArray:
    """Levels of a decoder or multiplexer in MNSIM, any shape: 1 and one more per digit of the inputs to base 8.

    That is 2 for 1 .. 7 inputs, 3 for 8 .. 63, 4 for 64 .. 511.
    """
    found = numbers("inputs of a multiplexer", inputs, None, least=0)
    return np.searchsorted(_load_powers(), found, side="right") + 1


def cell_power_W(  # noqa: N802 (the unit is W)
    resistance_low_ohm: ArrayLike, resistance_high_ohm: ArrayLike, read_low_V: ArrayLike, read_high_V: ArrayLike
) -> FloatArray:
    """Mean read power of a cell (W), of broadcasting shapes: P = mean(V^2) / R.

    mean(V^2) = p_0 V_low^2 + p_1 V_high^2 over the read voltages (V) with shares p; R = 1 / (s_low / R_low +
    s_high / R_high), with shares s of the cells in each state (ohm), written without the fractions.
    """
    read = _load_read()
    low, high = (
        numbers(name, ohm, None, least=float_info.min)
        for name, ohm in (("resistance_low_ohm", resistance_low_ohm), ("resistance_high_ohm", resistance_high_ohm))
    )
    none, one = numbers("read_low_V", read_low_V, None), numbers("read_high_V", read_high_V, None)
    check_broadcast(resistance_low_ohm=low, resistance_high_ohm=high, read_low_V=none, read_high_V=one)
    resistance = high * low / (read.high_share * low + read.low_share * high)
    squared = read.read_low_share * np.square(none) + read.read_high_share * np.square(one)
    power: FloatArray = squared / resistance
    return power


def crossbar_read_ns(read_ns: ArrayLike, crossbar: ArrayLike) -> FloatArray:
    """Read time of a crossbar (ns), of broadcasting shapes: t = t_device + a S^2 + b S + c.

    The wires' delay is a polynomial of the size S (KB) of a crossbar of ``crossbar`` rows and columns of 1 bit.
    """
    read = _load_read()
    device, rows = numbers("read_ns", read_ns, None, least=0), numbers("crossbar", crossbar, None, least=0)
    check_broadcast(read_ns=device, crossbar=rows)
    size_KB = np.square(rows) / (8 * 1024)
    wires = read.crossbar_read_ns_per_KB2 * size_KB**2 + read.crossbar_read_ns_per_KB * size_KB + read.crossbar_read_ns
    time: FloatArray = device + wires
    return time


@cache
def _load_read() -> _Read:
    tables = read_table("moopim.hardware", "planar_digital.toml")
    return load_constants(_Read, "the crossbar read", {name: tables[name] for name in _Read.__annotations__})


@cache
def _load_mux() -> tuple[IntArray, IntArray]:
    table = read_table("moopim.hardware", "planar_digital.toml")["mux"]
    for transistors in table["transistors"]:
        constant("transistors of a multiplexer", {**table, "value": transistors})
    bounds, transistors = np.array(table["inputs"]), np.array(table["transistors"])
    if len(transistors) != len(bounds) + 1:
        raise ConfigError(f"mux has {len(transistors)} transistor counts; expected {len(bounds) + 1}")
    return bounds, transistors


@cache
def _load_powers() -> IntArray:
    base = int(constant("mux_inputs", read_table("moopim.hardware", "planar_digital.toml")["mux_inputs"]))
    powers = [1]
    while powers[-1] <= np.iinfo(np.int64).max // base:
        powers.append(powers[-1] * base)
    return np.array(powers)


class BufferCosts(NamedTuple):
    """Area, leakage power and energy of a read and a write access of buffers; arrays of one shape."""

    area_um2: FloatArray
    leakage_W: FloatArray
    read_nJ: FloatArray
    write_nJ: FloatArray


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Buffers:
    """Buffers of one node and a bus of ``bus_bits`` per access, by class of size."""

    bus_bits: int
    access_ns: float  # for every size
    size_KB: FloatArray  # largest of each class but the last, which has no limit, shape ``(classes - 1,)``
    costs: BufferCosts  # shape ``(classes,)``


@cache
def load_buffers(node_nm: float | None = None, bus_bits: int | None = None) -> Buffers:
    """Buffers of MNSIM 2.0 for a node (nm) and a bus width (bit), those of its default configuration if None.

    The costs are those of the next smaller node and the next wider bus in the file, or of its smallest and widest.
    Raises ConfigError unless both are positive.
    """
    file = read_table("moopim.hardware", "planar_buffers.toml")
    node = constant("node_nm", file["node_nm"]) if node_nm is None else node_nm
    bus = int(constant("bus_bits", file["bus_bits"])) if bus_bits is None else bus_bits
    if not all(isinstance(given, Real) and 0 < given < math.inf for given in (node, bus)):
        raise ConfigError(f"buffers at {node} nm with a bus of {bus} bits are not allowed; expected numbers > 0")
    nodes = {table["node_nm"] for table in file["table"]}
    buses = {table["bus_bits"] for table in file["table"]}
    node = max((known for known in nodes if known <= node), default=min(nodes))
    wide = min((known for known in buses if known >= bus), default=max(buses))
    (found,) = (table for table in file["table"] if (table["node_nm"], table["bus_bits"]) == (node, wide))
    columns = {
        name: np.array([constant(f"{name} of buffers", {**column, "value": value}) for value in found[name]])
        for name, column in file["columns"].items()
    }
    sizes = columns.pop("size_KB").astype(np.float64)
    leakage_W = columns.pop("leakage_mW") * 1e-3
    return Buffers(bus, constant("access_ns", file["access_ns"]), sizes, BufferCosts(leakage_W=leakage_W, **columns))


def buffer_costs(size_KB: ArrayLike, buffers: Buffers | None = None) -> BufferCosts:
    """Costs of the smallest class that holds each size (KB, any shape), by default of `load_buffers()`."""
    size_KB = numbers("size_KB of buffers", size_KB, None, least=0)
    buffers = load_buffers() if buffers is None else buffers
    index = np.searchsorted(buffers.size_KB, size_KB)
    return BufferCosts(*(column[index] for column in buffers.costs))
