"""Figures of one mapping on its stack: places of its layers, temperatures of its PEs, loads of its links."""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.genome import Designs
from moopim.hardware.stack.idealised import IdealisedModel, steady_state
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.placement import Line, Occupancy, snake
from moopim.hardware.stack.system import SystemModel
from moopim.hardware.stack.traffic import graph_traffic
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.explain import TrainedMapping, misfits, runaway, train
from moopim.problems.hunt.mapping import HuntMapping
from moopim.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOUCH = 1e-9  # PEs: a layer that covers less of a PE has only been rounded onto it


class SettledMapping(NamedTuple):
    """One mapping in steady state; arrays but the last two are those of a batch of one.

    Attributes:
        tiers: Device of each tier, shape ``(1, tiers)``.
        occupancy: Layers on the tiers.
        line: Layers along the forward tiers (PEs).
        copies: Copies of each layer, shape ``(1, layers)``; NaN in the idealised model, which has fractions of them.
        in_use: PEs in use of each forward tier, in whole tiles, shape ``(1, forward_tiers)``.
        temperature_K: Temperature of each PE (K), shape ``(pes,)``.
        link_util: Busy share of each link, shape ``(links,)``; None in traffic ``chain``.
    """

    tiers: IntArray
    occupancy: Occupancy
    line: Line
    copies: FloatArray
    in_use: FloatArray
    temperature_K: FloatArray
    link_util: FloatArray | None


def settle(problem: HuntMapping, designs: Designs) -> SettledMapping:
    """Steady state of one mapping, a batch of one; raise ConfigError if it does not fit or its heat runs away."""
    model, tiers = problem.model, designs.indices("tier")
    occupancy = occupy(model, tiers, designs.indices("pe"))
    if reasons := misfits(model, tiers, occupancy):
        raise ConfigError(f"the mapping of {model.workload.network} does not fit: {'; '.join(reasons)}")
    if isinstance(model, SystemModel):
        return _settle_system(model, tiers, train(model, designs, occupancy))
    return _settle_idealised(model, tiers, designs.indices("pe"), occupancy)


def _settle_system(model: SystemModel, tiers: IntArray, trained: TrainedMapping) -> SettledMapping:
    if words := runaway(trained):
        raise ConfigError(f"the mapping of {model.workload.network} has no steady state: {words}")
    pipeline, stack = trained.pipeline, model.stack
    line, occupancy = pipeline.line, pipeline.occupancy
    arrays = model.costs.arrays_per_pe.take(occupancy.entry.take(line.flat) // len(model.workload))
    return SettledMapping(
        tiers,
        occupancy,
        replace(line, start=line.start / arrays, extent=line.extent / arrays),
        pipeline.copies,
        pipeline.tiles / stack.tiles_per_pe,
        model.ambient_K + trained.heat.rise_K[0],
        pipeline.link_bits[0] / stack.link_bits_per_ns / pipeline.period_ns[0],
    )


def _settle_idealised(model: IdealisedModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> SettledMapping:
    state, stack, link_util = steady_state(model, tiers, genes, occupancy), model.stack, None
    if model.traffic == "graph":
        traffic = graph_traffic(model.workload, model.factors.bits, stack, model.routers, occupancy, state.line)
        link_util = traffic.flits[0] * (model.routers.flit_bits / stack.link_bits_per_ns) / state.period[0]
    used = np.bincount(state.line.tier[0], state.line.extent[0], stack.tiers - 1)[None]
    return SettledMapping(
        tiers,
        occupancy,
        state.line,
        np.full(genes.shape, np.nan),
        np.ceil(stack.tiles_per_pe * (used - _TOUCH)) / stack.tiles_per_pe,
        model.ambient_K + temperature_rise(state.power, model.influence)[0],
        link_util,
    )


def layers_frame(problem: HuntMapping, settled: SettledMapping) -> pd.DataFrame:
    """Places of the layers of a mapping along the snakes of their tiers, as in Figure 5 of HuNT.

    One row per layer, and one without layer for each tier that holds none: ``tier`` (1 at the heat sink), ``device``,
    ``back_propagation`` (whether the tier serves it), ``layer`` (number from 1, 0 for none), ``name``, ``start`` and
    ``extent`` along the snake (PEs), ``copies`` (NaN where they are fractions), and of the tier ``in_use`` (PEs, in
    whole tiles) and ``engine`` (share of each PE that the gradient engine takes).
    """
    model, workload = problem.model, problem.model.workload
    tiers, occupancy, line = settled.tiers, settled.occupancy, settled.line
    frame = pd.DataFrame(
        {
            "tier": occupancy.forward[0].take(line.tier[0]) + 1,
            "layer": line.layer[0] + 1,
            "name": np.array(workload.names)[line.layer[0]],
            "start": line.start[0],
            "extent": line.extent[0],
            "copies": settled.copies[0].take(line.layer[0]),
        }
    )
    empty = [tier for tier in range(1, model.stack.tiers + 1) if tier not in set(frame["tier"])]
    none = {"layer": 0, "name": "", "start": 0.0, "extent": 0.0, "copies": np.nan}
    frame = pd.concat([frame, pd.DataFrame({"tier": empty, **none})], ignore_index=True)
    letters = np.array([device.letter for device in model.devices])[tiers[0]]
    bp = frame["tier"] == occupancy.bp[0] + 1
    frame.insert(1, "device", letters[frame["tier"] - 1])
    frame.insert(2, "back_propagation", bp)
    in_use = np.full(model.stack.tiers, float(model.stack.pes_per_tier))
    in_use[occupancy.forward[0]] = settled.in_use[0]
    frame["in_use"] = in_use[frame["tier"] - 1]
    frame["engine"] = np.where(bp, _engine_share(model, tiers[0, occupancy.bp[0]]), 0.0)
    return frame.sort_values(["tier", "start", "layer"], ignore_index=True)


def _engine_share(model: SystemModel | IdealisedModel, device: int) -> float:
    """Share of a PE of the BP tier that the gradient engine takes; 0 in the idealised model, which has none."""
    if not isinstance(model, SystemModel):
        return 0.0
    return 1.0 if model.devices[device].read == "macs" else model.engine_share


def plot_mapping(problem: HuntMapping, designs: Designs, title: str) -> "dict[str, Figure]":
    """Figures of one mapping: layers along their tiers, temperatures of PEs and, but in traffic ``chain``, links.

    Raises:
        ConfigError: If the mapping does not fit, or its heat runs away.
    """
    from moopim.analysis.stack import heat_frame, link_frame, plot_heat, plot_links, plot_placement

    stack, settled = problem.model.stack, settle(problem, designs)
    title = f"{problem.model.workload.network} on {''.join(designs['tier'][0])}, {title}"
    layers, links = layers_frame(problem, settled), settled.link_util
    figures = {
        "placement": plot_placement({title: layers}, stack.pes_per_tier),
        "heat": plot_heat(heat_frame(settled.temperature_K, stack.mesh), pe_labels(problem, layers), title),
    }
    if links is not None:
        figures["links"] = plot_links(link_frame(stack.tiers, stack.mesh, links), stack.tiers, stack.mesh, title)
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
