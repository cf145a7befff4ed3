"""Pictures of one mapping on its stack: where its layers lie, how warm it gets, how loaded its links are."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moopim.genome import Designs
from moopim.hardware.noc import load_noc
from moopim.hardware.stack.placement import snake
from moopim.hardware.stack.traffic import graph_traffic
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.placement import layers_frame, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOUCH = 1e-9  # PEs: what covers less of a PE has only been rounded onto it


def plot_mapping(problem: HuntMapping, designs: Designs, title: str = "") -> "dict[str, Figure]":
    """Figures of one mapping: layers along their tiers, temperatures of PEs and, in traffic ``graph``, loads of links.

    Raises:
        ConfigError: If the mapping does not fit.
    """
    from moopim.analysis.stack import heat_frame, link_frame, plot_heat, plot_links, plot_placement

    model, stack = problem.model, problem.model.stack
    settled = settle(problem, designs)
    title = ", ".join(filter(None, [f"{model.workload.network} on {''.join(designs['tier'][0])}", title]))
    _, occupancy, state = settled
    layers = layers_frame(problem, settled)
    kelvin = model.ambient_K + temperature_rise(state.power, model.influence)[0]
    figures = {
        "placement": plot_placement({title: layers}, stack.pes_per_tier),
        "heat": plot_heat(heat_frame(kelvin, stack.mesh), pe_labels(problem, layers), title),
    }
    if model.traffic == "graph":
        traffic = graph_traffic(model.workload, model.factors.bits, stack, occupancy, state.line)
        cycle = load_noc().flit_bits / stack.link_bits_per_ns
        busy = traffic.flits[0] * cycle / state.period[0]
        figures["links"] = plot_links(link_frame(stack.tiers, stack.mesh, busy), stack.tiers, stack.mesh, title)
    return figures


def pe_labels(problem: HuntMapping, layers: pd.DataFrame) -> list[str]:
    """The numbers of the layers on each PE.

    Args:
        problem: The problem that the mapping is a design of.
        layers: From `moopim.problems.hunt.placement.layers_frame`.

    Returns:
        One label per PE of the stack: numbers from 1, a few to a line.
    """
    stack = problem.model.stack
    held: list[list[int]] = [[] for _ in range(stack.pes)]
    path = snake(stack)
    for tier, layer, start, extent in layers[["tier", "layer", "start", "extent"]].itertuples(index=False):
        if layer:
            last = min(int(np.ceil(start + extent - _TOUCH)), stack.pes_per_tier)
            for place in range(int(start + _TOUCH), last):
                held[(tier - 1) * stack.pes_per_tier + path[place]].append(layer)
    return ["\n".join(" ".join(map(str, some[i : i + 3])) for i in range(0, len(some), 3)) for some in held]
