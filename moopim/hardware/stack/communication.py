"""What layers send to each other costs time and energy: traffic models on the network of the stack."""

from typing import NamedTuple

import numpy as np

from moopim.hardware.noc import load_noc
from moopim.hardware.noc.queueing import unchecked_period
from moopim.hardware.stack.chain_traffic import chain_traffic
from moopim.hardware.stack.graph_traffic import graph_traffic
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.placement import Line, Occupancy
from moopim.typing import FloatArray

__all__ = ["Communication", "bit_hops", "communicate"]


class Communication(NamedTuple):
    """The period with its communication.

    Attributes:
        period: Time per image (ns), shape ``(designs,)``.
        bit_hops: Bits times hops of an image, shape ``(designs,)``.
        utilisation: Busy share of the busiest link, shape ``(designs,)``; None in traffic ``chain``, which has no
            links.
    """

    period: FloatArray
    bit_hops: FloatArray
    utilisation: FloatArray | None


def communicate(
    model: SystemModel, occupancy: Occupancy, line: Line, busy: FloatArray, rest: FloatArray
) -> Communication:
    """Adds communication to the period of the pipeline.

    Args:
        model: The model.
        occupancy: The occupancy.
        line: The layers along the forward tiers.
        busy: Time of the slowest other stage (ns), shape ``(designs,)``.
        rest: Time per image in which the pipeline stands still (ns), shape ``(designs,)``.

    Returns:
        The period, the bits times hops and the load of the busiest link.
    """
    stack, bits = model.stack, model.factors.bits
    if model.traffic == "chain":
        sent = chain_traffic(model.workload, bits, stack, occupancy, line)
        period = busy + rest + sent / (stack.links * stack.link_bits_per_ns)
        return Communication(period, sent, None)
    noc = load_noc()
    traffic = graph_traffic(model.workload, bits, stack, occupancy, line)
    found = unchecked_period(busy, rest, traffic, noc, noc.flit_bits / stack.link_bits_per_ns, model.noc)
    return Communication(found.period, noc.flit_bits * traffic.flits.sum(axis=1), found.utilisation)


def bit_hops(model: SystemModel, occupancy: Occupancy, line: Line) -> FloatArray:
    """Bits times hops of an image, shape ``(designs,)``.

    Args:
        model: The model.
        occupancy: The occupancy.
        line: The layers along the forward tiers.
    """
    bits = model.factors.bits
    if model.traffic == "chain":
        return chain_traffic(model.workload, bits, model.stack, occupancy, line)
    traffic = graph_traffic(model.workload, bits, model.stack, occupancy, line)
    return np.asarray(load_noc().flit_bits * traffic.flits.sum(axis=1))
