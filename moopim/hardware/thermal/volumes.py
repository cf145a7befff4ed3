"""Finite volumes of the whole body: die, spreader and sink in their true sizes (mode ``full``).

A cell conducts to its neighbours from middle to middle, over half of itself and half of the neighbour. Over the die,
cells are squares; in the copper beyond and below they grow with the distance from it.
"""

from typing import NamedTuple

import numpy as np

from moopim.errors import ConfigError
from moopim.hardware.thermal.assembly import Link, ThermalSystem, assemble
from moopim.hardware.thermal.description import ThermalStack
from moopim.hardware.thermal.geometry import DieLayers, check_stack, die_layers, die_side_m
from moopim.typing import FloatArray, IntArray

__all__ = ["full_system"]

_MOST_CELLS = 150_000  # the finest grid of the built-in stack has 120,532; its matrix takes minutes, and gigabytes


class _Grid(NamedTuple):
    """Cells of a body of layers that are centred squares, from the sink outwards.

    Attributes:
        width: Widths of cells along x, and along y (m), shape ``(columns,)``.
        height: Heights of layers of cells (m), shape ``(layers,)``.
        conductivity: Conductivity of the layers (W/(m K)), shape ``(layers,)``.
        margin: Columns on each side in which a layer has no cells, shape ``(layers,)``.
        silicon: Layer of each tier, shape ``(tiers,)``.
    """

    width: FloatArray
    height: FloatArray
    conductivity: FloatArray
    margin: IntArray
    silicon: IntArray


def full_system(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> ThermalSystem:
    """Cuts the body into finite volumes.

    Args:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack; ``cells_per_pe_side`` and ``growth`` set the grid.

    Returns:
        The system.

    Raises:
        ConfigError: If the stack does not fit the die, or takes too many cells.
    """
    check_stack(tiers, mesh, pe_area_mm2)
    grid = _make_grid(mesh, die_side_m(mesh, pe_area_mm2, thermal), die_layers(tiers, thermal), thermal)
    place = np.arange(len(grid.width))
    inside = (place >= grid.margin[:, None]) & (place[::-1] >= grid.margin[:, None])
    present = inside[:, :, None] & inside[:, None, :]
    cells = np.count_nonzero(present)
    if cells > _MOST_CELLS:
        raise ConfigError(
            f"thermal mode 'full' takes {cells} cells with pe_area_mm2={pe_area_mm2:g}, growth={thermal.growth:g} and "
            f"cells_per_pe_side={thermal.cells_per_pe_side}; expected at most {_MOST_CELLS}: fewer cells, or a larger "
            "growth"
        )
    node = np.full(present.shape, -1)
    node[present] = np.arange(cells)
    area = grid.width[:, None] * grid.width
    sheet = (grid.height * grid.conductivity)[:, None, None]  # W/K of a square
    pitch = (grid.width[1:] + grid.width[:-1]) / 2
    half = grid.height / grid.conductivity / 2  # K m2/W
    links = [
        _present(node[:, :, :-1], node[:, :, 1:], sheet * grid.width[:, None] / pitch),
        _present(node[:, :-1], node[:, 1:], sheet * grid.width / pitch[:, None]),
        _present(node[:-1], node[1:], area / (half[1:] + half[:-1])[:, None, None]),
    ]
    air = half[0] + thermal.convection_K_per_W * (thermal.sink_side_mm * 1e-3) ** 2  # K m2/W
    to_ambient = np.zeros(cells)
    to_ambient[node[0]] = area / air
    die = slice(int(grid.margin[-1]), len(place) - int(grid.margin[-1]))
    return assemble(links, to_ambient, node[grid.silicon, die, die], thermal.cells_per_pe_side)


def _make_grid(mesh: int, die_m: float, die: DieLayers, thermal: ThermalStack) -> _Grid:
    spreader_m, sink_m = thermal.spreader_side_mm * 1e-3, thermal.sink_side_mm * 1e-3
    over_die = np.full(mesh * thermal.cells_per_pe_side, die_m / (mesh * thermal.cells_per_pe_side))
    rim = _growing(over_die[0], (spreader_m - die_m) / 2, thermal.growth)
    outside = _growing([*over_die[:1], *rim][-1], (sink_m - spreader_m) / 2, thermal.growth)
    spreader = _growing(over_die[0], thermal.spreader_thickness_mm * 1e-3, thermal.growth)
    sink = _growing(spreader[-1], thermal.sink_thickness_mm * 1e-3, thermal.growth)
    copper = [thermal.sink_W_per_mK] * len(sink) + [thermal.spreader_W_per_mK] * len(spreader)
    margins = (0, len(outside), len(outside) + len(rim))
    return _Grid(
        width=np.concatenate([outside[::-1], rim[::-1], over_die, rim, outside]),
        height=np.concatenate([sink[::-1], spreader[::-1], die.thickness_m]),
        conductivity=np.append(copper, die.conductivity),
        margin=np.repeat(margins, [len(sink), len(spreader), len(die.thickness_m)]),
        silicon=len(copper) + die.silicon,
    )


def _growing(first: float, length: float, growth: float) -> FloatArray:
    """Cuts a length (m) into cells of which each is larger than the one before, the first about as large as told."""
    if length <= 0:
        return np.zeros(0)
    count = max(1, round(float(np.log1p(length * (growth - 1) / first) / np.log(growth))))
    sizes = np.cumprod(np.append(1.0, np.full(count - 1, growth)))  # products round alike on any machine, powers do not
    return np.asarray(sizes * (length / sizes.sum()))


def _present(first: IntArray, second: IntArray, conductance: FloatArray) -> Link:
    """The links of which both ends are there."""
    there = (first >= 0) & (second >= 0)
    return first[there], second[there], np.broadcast_to(conductance, there.shape)[there]
