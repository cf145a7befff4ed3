"""The equations of HotSpot's grid model (Huang et al., IEEE TVLSI 14(5), 2006; ``detailed_3D off``), steady state.

Every layer, spreader and sink among them, has the same grid over the die. Beyond the die the copper is lumped into
twelve nodes: four of the spreader, four of the sink below them and four of the sink outside the spreader.
"""

import numpy as np

from moopim.hardware.thermal.assembly import Link, ThermalSystem, assemble
from moopim.hardware.thermal.description import ThermalStack
from moopim.hardware.thermal.geometry import check_stack, die_layers, die_side_m
from moopim.typing import FloatArray, IntArray

__all__ = ["hotspot_system"]

_SINK, _SPREADER = 0, 1  # layers of copper
_EDGES = (np.s_[:, 0], np.s_[:, -1], np.s_[0], np.s_[-1])  # of a layer's cells, one for each peripheral node


def hotspot_system(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack) -> ThermalSystem:
    """Cuts the body as HotSpot does.

    Between two layers stands the resistance of the whole thickness of that farther from the sink, between the sink and
    the ambient that of the whole sink and of convection.

    Args:
        tiers: Tiers.
        mesh: PEs along each side of a tier.
        pe_area_mm2: Area of a PE (mm2).
        thermal: The stack.

    Returns:
        The system: the cells layer by layer from the sink outwards, then the twelve nodes.

    Raises:
        ConfigError: If the stack does not fit the die.
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
    return assemble(links, areas / resistance, node[2 + die.silicon], thermal.cells_per_pe_side)


def _rim_links(node: IntArray, die_m: float, thermal: ThermalStack) -> list[Link]:
    """Links of the twelve nodes beyond the die; ``node`` are the others, shape ``(layers, n, n)``."""
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
