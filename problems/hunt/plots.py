"""Figures of one mapping on its stack: places of its layers, temperatures of its PEs, loads of its links."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.genome import Designs
from moopim.hardware.noc import load_noc
from moopim.hardware.stack.idealised import SteadyState, steady_state
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.placement import Occupancy, snake
from moopim.hardware.stack.traffic import graph_traffic
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.mapping import HuntMapping
from moopim.typing import IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOUCH = 1e-9  # PEs: a layer that covers less of a PE has only been rounded onto it


class SettledMapping(NamedTuple):
    """One mapping in steady state; arrays are those of a batch of one.

    Attributes:
        tiers: Device of each tier, shape ``(1, tiers)``.
        occupancy: Layers on the tiers.
        state: Its steady state.
    """

    tiers: IntArray
    occupancy: Occupancy
    state: SteadyState


def settle(problem: HuntMapping, designs: Designs) -> SettledMapping:
    """Steady state of one mapping, a batch of one; raise ConfigError if it does not fit."""
    tiers, genes = designs.indices("tier"), designs.indices("pe")
    occupancy = occupy(problem.model, tiers, genes)
    if not occupancy.has_bp[0] or (occupancy.used > occupancy.free).any():
        network, order = problem.model.workload.network, "".join(designs["tier"][0])
        raise ConfigError(f"the mapping of {network} does not fit on the tiers {order}")
    return SettledMapping(tiers, occupancy, steady_state(problem.model, tiers, genes, occupancy))


def layers_frame(problem: HuntMapping, settled: SettledMapping) -> pd.DataFrame:
    """Places of the layers of a mapping along the snakes of their tiers, as in Figure 5 of HuNT.

    One row per layer, and one without layer for each tier that holds none: ``tier`` (1 at the heat sink), ``device``,
    ``back_propagation`` (whether the tier serves it), ``layer`` (number from 1, 0 for none), ``name``, ``start`` and
    ``extent`` along the snake (PEs).
    """
    model, workload = problem.model, problem.model.workload
    tiers, occupancy, line = settled.tiers, settled.occupancy, settled.state.line
    frame = pd.DataFrame(
        {
            "tier": occupancy.forward[0].take(line.tier[0]) + 1,
            "layer": line.layer[0] + 1,
            "name": np.array(workload.names)[line.layer[0]],
            "start": line.start[0],
            "extent": line.extent[0],
        }
    )
    empty = [tier for tier in range(1, model.stack.tiers + 1) if tier not in set(frame["tier"])]
    frame = pd.concat(
        [frame, pd.DataFrame({"tier": empty, "layer": 0, "name": "", "start": 0.0, "extent": 0.0})], ignore_index=True
    )
    letters = np.array([device.letter for device in model.devices])[tiers[0]]
    frame.insert(1, "device", letters[frame["tier"] - 1])
    frame.insert(2, "back_propagation", frame["tier"] == occupancy.bp[0] + 1)
    return frame.sort_values(["tier", "start", "layer"], ignore_index=True)


def plot_mapping(problem: HuntMapping, designs: Designs, title: str) -> "dict[str, Figure]":
    """Figures of one mapping: layers along their tiers, temperatures of PEs and, in traffic ``graph``, loads of links.

    Raises:
        ConfigError: If the mapping does not fit.
    """
    from moopim.analysis.stack import heat_frame, link_frame, plot_heat, plot_links, plot_placement

    model, stack = problem.model, problem.model.stack
    settled = settle(problem, designs)
    title = f"{model.workload.network} on {''.join(designs['tier'][0])}, {title}"
    _, occupancy, state = settled
    layers = layers_frame(problem, settled)
    kelvin = model.ambient_K + temperature_rise(state.power, model.influence)[0]
    figures = {
        "placement": plot_placement({title: layers}, stack.pes_per_tier),
        "heat": plot_heat(heat_frame(kelvin, stack.mesh), pe_labels(problem, layers), title),
    }
    if model.traffic == "graph":
        traffic = graph_traffic(model.workload, model.factors.bits, stack, occupancy, state.line)
        cycle_ns = load_noc().flit_bits / stack.link_bits_per_ns
        busy = traffic.flits[0] * cycle_ns / state.period[0]
        figures["links"] = plot_links(link_frame(stack.tiers, stack.mesh, busy), stack.tiers, stack.mesh, title)
    return figures


def pe_labels(problem: HuntMapping, layers: pd.DataFrame) -> list[str]:
    """Numbers of the layers on each PE of the stack, from 1, a few to a line; layers are those of `layers_frame`."""
    stack = problem.model.stack
    held: list[list[int]] = [[] for _ in range(stack.pes)]
    path = snake(stack)
    for tier, layer, start, extent in layers[["tier", "layer", "start", "extent"]].itertuples(index=False):
        if layer:
            last = min(int(np.ceil(start + extent - _TOUCH)), stack.pes_per_tier)
            for place in range(int(start + _TOUCH), last):
                held[(tier - 1) * stack.pes_per_tier + path[place]].append(layer)
    return ["\n".join(" ".join(map(str, some[i : i + 3])) for i in range(0, len(some), 3)) for some in held]
