"""Latency of packets from a traffic matrix: hops in an empty network and waiting at the links (M/D/1).

Source of the queue: L. Kleinrock, "Queueing Systems", vol. 1, 1975, section 5.6: a server that takes a fixed time ``L``
per packet and is busy for a share ``u`` of the time lets a packet wait ``L u / (2 (1 - u))`` on average.
"""

from dataclasses import dataclass

import numpy as np

from moopim.checks import number, numbers
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc.parameters import MODES, NocParameters
from moopim.hardware.noc.routing import hop_counts, link_count, routing_matrix
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = ["CaseLatency", "evaluate_traffic", "waiting_cycles"]


# Loads of all links in all cases, which take a gigabyte.
_MOST_LOADS = 2**27


def waiting_cycles(utilisation: FloatArray, packet_flits: float) -> FloatArray:
    """Mean waiting of a packet for a link (M/D/1).

    Args:
        utilisation: Flits per cycle over the link, at least 0 and below 1; any shape.
        packet_flits: Flits of a packet, each of which takes the link for a cycle.

    Returns:
        The waiting (cycle), same shape.

    Raises:
        ConfigError: If a utilisation is out of this range, or the flits are not above 0.
    """
    number("packet_flits", packet_flits, positive=True)
    found = numbers("utilisation", utilisation, None, least=0)
    if (found >= 1).any():
        raise ConfigError(
            f"utilisation is {found.max():g}; expected numbers below 1, where queues do not grow for ever"
        )
    return _waiting(found, packet_flits)


def _waiting(utilisation: FloatArray, packet_flits: float) -> FloatArray:
    return np.asarray(packet_flits * utilisation / (2.0 * (1.0 - utilisation)))


@dataclass(frozen=True)
class CaseLatency:
    """What packets of each case meet.

    Attributes:
        latency: Mean latency of a packet (cycle), shape ``(cases,)``; NaN without packets or beyond saturation.
        hops: Mean hops of a packet, shape ``(cases,)``; NaN without packets.
        utilisation: Flits per cycle over each link, shape ``(cases, links)``.
    """

    latency: FloatArray
    hops: FloatArray
    utilisation: FloatArray

    @property
    def highest(self) -> FloatArray:
        """Flits per cycle over the busiest link, shape ``(cases,)``."""
        return np.asarray(self.utilisation.max(axis=1, initial=0.0))

    @property
    def saturated(self) -> BoolArray:
        """Whether a link gets as much as it can carry or more, so that there is no steady state, shape ``(cases,)``."""
        return np.asarray(self.highest >= 1.0)


def evaluate_traffic(
    tiers: int,
    mesh: int,
    case: IntArray,
    source: IntArray,
    target: IntArray,
    rate: FloatArray,
    noc: NocParameters,
    mode: str = "queue",
) -> CaseLatency:
    """Routes traffic matrices and averages the latency of their packets.

    Every packet takes ``fixed_cycles + hop_cycles x hops``; in the mode ``queue`` it also waits at every link on its
    way. The ports by which packets enter and leave the network are not counted as links.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        case: Number of the case that each flow belongs to, from 0, shape ``(flows,)``.
        source: Node that sends, shape ``(flows,)``.
        target: Node that receives, shape ``(flows,)``; a flow from a node to itself takes no link.
        rate: Packets per cycle, shape ``(flows,)``; flows between the same nodes add up.
        noc: Figures of the network.
        mode: ``queue`` or ``paper``, which has no waiting.

    Returns:
        Latency, hops and load of each case, up to the highest number in ``case``.

    Raises:
        ConfigError: If there is no such mode or mesh, the mesh is too large for a table of all paths, or the flows are
            not as many cases, nodes of the mesh and rates from 0.
    """
    from scipy.sparse import csr_array

    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    routes = routing_matrix(tiers, mesh)
    distance = hop_counts(tiers, mesh)
    most_cases = _MOST_LOADS // max(link_count(tiers, mesh), 1)
    case = numbers("case", case, ("flows",), least=0, most=most_cases - 1, whole=True)
    source, target = (
        numbers(name, nodes, case.shape, least=0, most=len(distance) - 1, whole=True)
        for name, nodes in (("source", source), ("target", target))
    )
    rate = numbers("rate", rate, case.shape, least=0)
    cases = int(case.max(initial=-1)) + 1
    pair = len(distance) * source.astype(np.int64) + target
    flows = csr_array((rate, (case, pair)), shape=(cases, distance.size))
    utilisation = noc.packet_flits * (flows @ routes).toarray()
    packets = np.bincount(case, rate, cases)
    with np.errstate(invalid="ignore"):
        hops = np.bincount(case, rate * distance[source, target], cases) / packets
        latency = noc.fixed_cycles + noc.hop_cycles * hops
        if mode == "queue":
            # A link makes each of its packets wait: summed over links here, over packets and their links in the text.
            free = np.where(utilisation < 1.0, utilisation, np.nan)
            waiting = free / noc.packet_flits * _waiting(free, noc.packet_flits)
            latency += waiting.sum(axis=1) / packets
    latency[utilisation.max(axis=1, initial=0.0) >= 1.0] = np.nan
    return CaseLatency(latency, hops, utilisation)
