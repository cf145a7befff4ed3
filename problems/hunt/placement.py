"""Where the layers of a mapping lie on the stack, as in Figure 5 of HuNT (IEEE TCAD 2024)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.experiment.frames import read_designs
from moopim.genome import Designs
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.placement import Occupancy
from moopim.hardware.stack.system import SteadyState, steady_state
from moopim.problems.hunt.mapping import HuntMapping
from moopim.typing import IntArray

__all__ = ["Settled", "layers_frame", "placement", "settle"]


class Settled(NamedTuple):
    """One mapping at work; arrays are those of a batch of one.

    Attributes:
        tiers: Device of each tier, shape ``(1, tiers)``.
        occupancy: What lies on the tiers.
        state: Its steady state.
    """

    tiers: IntArray
    occupancy: Occupancy
    state: SteadyState


def settle(problem: HuntMapping, designs: Designs) -> Settled:
    """Runs one mapping.

    Args:
        problem: The problem that the mapping is a design of.
        designs: The mapping, a batch of one.

    Returns:
        The mapping at work.

    Raises:
        ConfigError: If the mapping does not fit.
    """
    tiers, genes = designs.indices("tier"), designs.indices("pe")
    occupancy = occupy(problem.model, tiers, genes)
    if not occupancy.has_bp[0] or (occupancy.used > occupancy.free).any():
        network, order = problem.model.workload.network, "".join(designs["tier"][0])
        raise ConfigError(f"the mapping of {network} does not fit on the tiers {order}")
    return Settled(tiers, occupancy, steady_state(problem.model, tiers, genes, occupancy))


def placement(problem: HuntMapping, design: pd.Series) -> pd.DataFrame:
    """Lays the layers of a mapping along the snakes of their tiers.

    Args:
        problem: The problem that the mapping is a design of.
        design: The mapping, such as a row of a ``front.csv``: one entry per gene.

    Returns:
        The layers, see `layers_frame`.

    Raises:
        ConfigError: If the mapping does not fit.
    """
    designs = read_designs(problem.genome, design.to_frame().T.infer_objects())
    return layers_frame(problem, settle(problem, designs))


def layers_frame(problem: HuntMapping, settled: Settled) -> pd.DataFrame:
    """Where the layers of a mapping lie.

    Args:
        problem: The problem that the mapping is a design of.
        settled: The mapping at work.

    Returns:
        One row per layer, and one without layer for each tier that holds none: ``tier`` (1 at the heat sink),
        ``device``, ``back_propagation`` (whether the tier serves it), ``layer`` (number from 1, 0 for none), ``name``,
        ``start`` and ``extent`` along the snake (PEs).
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
