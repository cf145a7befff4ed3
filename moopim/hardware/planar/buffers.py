"""SRAM buffers of the planar chip: figures by size, node and bus, read from ``hardware/data/planar_buffers.toml``."""

import math
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from moopim.checks import numbers
from moopim.constants import constant, read_table
from moopim.errors import ConfigError
from moopim.typing import FloatArray

__all__ = ["BufferFigures", "Buffers", "buffer_figures", "load_buffers"]


class BufferFigures(NamedTuple):
    """Figures of buffers; arrays of one shape.

    Attributes:
        area_um2: Area (um2).
        leakage_W: Leakage power (W).
        read_nJ: Energy of an access that reads (nJ).
        write_nJ: Energy of an access that writes (nJ).
    """

    area_um2: FloatArray
    leakage_W: FloatArray
    read_nJ: FloatArray
    write_nJ: FloatArray


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Buffers:
    """Buffers of one node and bus, in classes of size.

    Attributes:
        bus_bits: Bits that an access moves.
        access_ns: Time of an access (ns), the same for every size.
        size_KB: Largest size of each class but the last, which holds any size (KB), shape ``(classes - 1,)``.
        figures: Figures of each class, arrays of shape ``(classes,)``.
    """

    bus_bits: int
    access_ns: float
    size_KB: FloatArray
    figures: BufferFigures


@cache
def load_buffers(node_nm: float | None = None, bus_bits: int | None = None) -> Buffers:
    """The buffers of a node and a bus, with the figures of MNSIM 2.0.

    Args:
        node_nm: Technology node (nm); the figures are those of the next smaller node in the file, of its smallest one
            below that. That of MNSIM's default configuration if not given.
        bus_bits: Width of the bus (bit); the figures are those of the next wider bus in the file, of its widest one
            beyond that. That of MNSIM's default configuration if not given.

    Returns:
        The buffers.

    Raises:
        ConfigError: If the node or the width is not positive, or the file is not usable.
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
    return Buffers(bus, constant("access_ns", file["access_ns"]), sizes, BufferFigures(leakage_W=leakage_W, **columns))


def buffer_figures(size_KB: ArrayLike, buffers: Buffers | None = None) -> BufferFigures:
    """Looks up buffers in their classes of size.

    Args:
        size_KB: Sizes (KB), of any shape.
        buffers: The buffers; those of `load_buffers` without arguments if not given.

    Returns:
        Figures of the smallest class that holds each size, in the shape of the sizes.

    Raises:
        ConfigError: If a size is negative or not finite.
    """
    size_KB = numbers("size_KB of buffers", size_KB, None, least=0)
    buffers = load_buffers() if buffers is None else buffers
    place = np.searchsorted(buffers.size_KB, size_KB)
    return BufferFigures(*(column[place] for column in buffers.figures))
