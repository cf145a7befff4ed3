"""Pictures of one mapping on its stack: where its layers lie, how warm it gets, how loaded its links are."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moopim.hardware.noc import load_noc
from moopim.hardware.stack.graph_traffic import graph_traffic
from moopim.hardware.stack.placement import snake
from moopim.hardware.stack.thermal import temperature_rise
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.placement import layers_frame, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "draw_mapping", "pe_labels"]

PICTURES = ("placement", "heat", "links")
"""Names of the figures of a mapping; not all models have all of them."""

_TOUCH = 1e-9  # PEs: what covers less of a PE has only been rounded onto it


def draw_mapping(problem: HuntMapping, design: pd.Series, title: str = "") -> "dict[str, Figure]":
    """Draws a mapping.

    Args:
        problem: The problem that the mapping is a design of.
        design: The mapping, such as a row of a ``front.csv``: one entry per gene.
        title: What to write above.

    Returns:
        Figures by name: ``placement`` (layers along their tiers), ``heat`` (temperature of each PE, with the numbers of
        its layers) and, in traffic ``graph``, ``links`` (load of each link).

    Raises:
        ConfigError: If the mapping does not fit.
    """
    from moopim.analysis.heat import heat_frame, plot_heat
    from moopim.analysis.links import link_frame, plot_links
    from moopim.analysis.placement import plot_placement

    model, stack = problem.model, problem.model.stack
    settled = settle(problem, design)
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
