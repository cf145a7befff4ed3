"""Traffic ``chain``: bits times hops when every layer talks to the next one (HuNT, TCAD 2024, eqs 3-4 and 11)."""

import numpy as np

from moopim.hardware.noc.routing import hop_counts
from moopim.hardware.stack.parameters import Stack
from moopim.hardware.stack.placement import Line, Occupancy, rows_of, snake
from moopim.typing import FloatArray
from moopim.workload import Workload

__all__ = ["chain_traffic"]


def chain_traffic(workload: Workload, bits: float, stack: Stack, occupancy: Occupancy, line: Line) -> FloatArray:
    """Every layer talks to the next one and to the back-propagation tier; branches of the network are not followed.

    Activations and their gradients go both ways, over the Manhattan distance between the PEs at the centres of what the
    layers cover; to the back-propagation tier only the tiers count, and weight gradients come on top, once per batch.

    Args:
        workload: The network.
        bits: Width of activations and their gradients (bit).
        stack: The stack.
        occupancy: The occupancy.
        line: The layers along the forward tiers.

    Returns:
        Bits times hops of an image, shape ``(designs,)``.
    """
    centre = np.minimum(np.floor(line.start + line.extent / 2), stack.pes_per_tier - 1).astype(np.int64)
    tier_of = occupancy.forward.take(line.tier + rows_of(line.tier, occupancy.forward.shape[1]))
    pe = np.empty(line.flat.shape, dtype=np.int64)
    pe.put(line.flat, tier_of * stack.pes_per_tier + snake(stack).take(centre))
    hops = hop_counts(stack.tiers, stack.mesh).take(pe[:, :-1] * stack.pes + pe[:, 1:])
    to_bp = np.abs(pe // stack.pes_per_tier - occupancy.bp[:, None])
    activations = 2 * bits * workload.activations_out
    gradients = stack.gradient_bits * workload.weights / workload.batch
    return np.asarray((activations[:-1] * hops).sum(axis=1) + ((activations + gradients) * to_bp).sum(axis=1))
