"""Grids of the stack as linear systems of thermal conductances: HotSpot's equations, and finite volumes.

Mode ``hotspot`` has the equations of HotSpot's grid model (Huang et al., IEEE TVLSI 14(5), 2006; ``detailed_3D off``)
in steady state. Every layer, spreader and sink among them, has the same grid over the die. Beyond the die the copper is
lumped into twelve nodes: four of the spreader, four of the sink below them and four of the sink outside the spreader.

Mode ``full`` has finite volumes of the whole body: die, spreader and sink in their true sizes. A cell conducts to its
neighbours from middle to middle, over half of itself and half of the neighbour. Over the die, cells are squares; in the
copper beyond and below they grow with the distance from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from moopim.errors import ConfigError
from moopim.hardware.thermal.description import DieLayers, ThermalStack, check_stack, die_layers, die_side_m
from moopim.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

_SINK, _SPREADER = 0, 1  # layers of copper
_EDGES = (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])  # of a layer's cells, one for each peripheral node
_MOST_CELLS = 150_000  # the finest grid of the built-in stack has 120,532; its matrix takes minutes, and gigabytes

Link: TypeAlias = tuple[IntArray, IntArray, FloatArray]
"""Nodes, their neighbours, and the conductances between them (W/K); shapes are broadcast."""


@dataclass(frozen=True, eq=False)
class ThermalSystem:
    """Steady state of a body: ``matrix @ rise = heat``."""

    matrix: csc_array[np.float64]  # conductances (W/K), shape (nodes, nodes), symmetric
    to_ambient: FloatArray  # conductance from each node to the ambient (W/K), shape (nodes,)
    cells: IntArray  # node of each cell of silicon, shape (tiers, cells, cells): tier, y and x
    cells_per_pe_side: int


def _assemble(links: Sequence[Link], to_ambient: FloatArray, cells: IntArray, cells_per_pe_side: int) -> ThermalSystem:
    """Assemble the system from the conductances between nodes and to the ambient."""
    from scipy.sparse import coo_array

    broadcast = [[part.ravel() for part in np.broadcast_arrays(*link)] for link in links]
    first, second, conductance = (np.concatenate(parts) for parts in zip(*broadcast, strict=True))
    nodes = np.arange(len(to_ambient))
    rows = np.concatenate([first, second, first, second, nodes])
    columns = np.concatenate([second, first, first, second, nodes])
    values = np.concatenate([-conductance, -conductance, conductance, conductance, to_ambient])
    matrix = coo_array((values, (rows, columns)), shape=(len(nodes), len(nodes))).tocsc()
    return ThermalSystem(matrix, to_ambient, cells, cells_per_pe_side)


def pe_of_cell(system: ThermalSystem) -> IntArray:
    """PE of each cell, ``(tier * mesh + y) * mesh + x``, shape ``(tiers, cells, cells)``."""
    tiers, cells, _ = system.cells.shape
    mesh = cells // system.cells_per_pe_side
    place = np.arange(cells) // system.cells_per_pe_side
    return np.asarray((np.arange(tiers)[:, None, None] * mesh + place[:, None]) * mesh + place)


def hotspot_system(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> ThermalSystem:
    """System of HotSpot: the cells layer by layer from the sink outwards, then the twelve nodes.

    Between two layers is the resistance of the whole thickness of that farther from the sink, between the sink and the
    ambient that of the whole sink and of convection.
    """
    check_stack(tiers, mesh, pe_area_mm2)
    die_m = die_side_m(mesh, pe_area_mm2, thermal)
    n = mesh * thermal.cells_per_pe_side
    cell_area = (die_m / n) ** 2
    die = die_layers(tiers, thermal)
    thickness = np.append([thermal.sink_thickness_mm * 1e-3, thermal.spreader_thickness_mm * 1e-3], die.thickness_m)
    conductivity = np.append([thermal.sink_W_per_mK, thermal.spreader_W_per_mK], die.conductivity)
    node = np.arange(len(thickness) * n * n).reshape(-1, n, n)
    lateral = (conductivity * thickness)[:, None, None]  # of square cells
    vertical = (conductivity / thickness)[1:, None, None] * cell_area
    links: list[Link] = [
        (node[:, :, :-1], node[:, :, 1:], lateral),
        (node[:, :-1], node[:, 1:], lateral),
        (node[:-1], node[1:], vertical),
    ]
    areas = np.concatenate([np.full(n * n, cell_area), np.zeros(node[1:].size)])  # of what meets the air
    if thermal.sink_side_mm * 1e-3 > die_m:
        links += _rim_links(node, die_m, thermal)
        areas = np.append(areas, _rim_areas(die_m, thermal))
    sink_m = thermal.sink_side_mm * 1e-3
    resistance = thickness[_SINK] / conductivity[_SINK] + thermal.convection_K_per_W * sink_m**2  # K m2/W
    return _assemble(links, areas / resistance, node[2 + die.silicon], thermal.cells_per_pe_side)


def _rim_links(node: IntArray, die_m: float, thermal: ThermalStack) -> list[Link]:
    """Links of the twelve nodes beyond the die to each other and to ``node``, shape ``(layers, n, n)``."""
    spreader_m, sink_m = thermal.spreader_side_mm * 1e-3, thermal.sink_side_mm * 1e-3
    in_spreader = thermal.spreader_W_per_mK * thermal.spreader_thickness_mm * 1e-3  # W/K of a square sheet
    in_sink = thermal.sink_W_per_mK * thermal.sink_thickness_mm * 1e-3
    n = node.shape[-1]
    spreader, inner, outer = node.size + np.arange(12).reshape(3, 4)
    links: list[Link] = []
    for layer, rim, sheet in ((_SPREADER, spreader, in_spreader), (_SINK, inner, in_sink)):
        resistance = n * _half_rim(die_m, spreader_m) / sheet + 1 / (2 * sheet)  # from the middle of each edge cell
        links += [(node[layer][edge], end, np.array(1 / resistance)) for edge, end in zip(_EDGES, rim, strict=True)]
    between = (_half_rim(spreader_m, die_m) + _half_rim(spreader_m, sink_m)) / in_sink
    through = thermal.spreader_W_per_mK / (thermal.spreader_thickness_mm * 1e-3) * (spreader_m**2 - die_m**2) / 4
    return [*links, (spreader, inner, np.array(through)), (inner, outer, np.array(1 / between))]


def _half_rim(side: float, other: float) -> float:
    """Squares in series from a side of a frame between two squares to the middle between them, on one of four sides."""
    return abs(other - side) / (other + 3 * side)


def _rim_areas(die_m: float, thermal: ThermalStack) -> FloatArray:
    """Areas (m2) in which the twelve nodes meet the air."""
    spreader_m, sink_m = thermal.spreader_side_mm * 1e-3, thermal.sink_side_mm * 1e-3
    return np.repeat([0.0, (spreader_m**2 - die_m**2) / 4, (sink_m**2 - spreader_m**2) / 4], 4)


class _Grid(NamedTuple):
    """Cells of a body of layers that are centred squares, from the sink outwards."""

    width: FloatArray  # of cells along x, and along y (m), shape (columns,)
    height: FloatArray  # of layers of cells (m), shape (layers,)
    conductivity: FloatArray  # of the layers (W/(m K)), shape (layers,)
    margin: IntArray  # columns on each side in which a layer has no cells, shape (layers,)
    silicon: IntArray  # layer of each tier, shape (tiers,)


def full_system(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> ThermalSystem:
    """System of finite volumes; raise ConfigError if the stack does not fit the die, or takes too many cells."""
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
    return _assemble(links, to_ambient, node[grid.silicon, die, die], thermal.cells_per_pe_side)


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
    """Cut a length (m) into cells that grow by a factor, from one of about the ``first`` size (m)."""
    if length <= 0:
        return np.zeros(0)
    count = max(1, round(float(np.log1p(length * (growth - 1) / first) / np.log(growth))))
    sizes = np.cumprod(np.append(1.0, np.full(count - 1, growth)))  # products round alike on any machine, powers do not
    return np.asarray(sizes * (length / sizes.sum()))


def _present(first: IntArray, second: IntArray, conductance: FloatArray) -> Link:
    """Links of which both ends exist."""
    there = (first >= 0) & (second >= 0)
    return first[there], second[there], np.broadcast_to(conductance, there.shape)[there]
