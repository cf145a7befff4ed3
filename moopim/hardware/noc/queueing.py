"""Latency of packets from a traffic matrix: hops in an empty network and waiting at the links (M/D/1).

Source of the queue: L. Kleinrock, "Queueing Systems", vol. 1, 1975, section 5.6: a server that takes a fixed time ``L``
per packet and is busy for a share ``u`` of the time lets a packet wait ``L u / (2 (1 - u))`` on average.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc.parameters import MODES, NocFigures
from moopim.hardware.noc.routing import hop_counts, routing_matrix

__all__ = ["CaseLatency", "evaluate_traffic", "waiting_cycles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The paths between all of them take some hundred megabytes.
_MOST_NODES = 1024


def waiting_cycles(utilisation: FloatArray, packet_flits: float) -> FloatArray:
    """Mean waiting of a packet for a link (M/D/1).

    Args:
        utilisation: Flits per cycle over the link, at least 0 and below 1; any shape.
        packet_flits: Flits of a packet, each of which takes the link for a cycle.

    Returns:
        The waiting (cycle), same shape.
    """
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
    def saturated(self) -> NDArray[np.bool_]:
        """Whether a link gets as much as it can carry or more, so that there is no steady state, shape ``(cases,)``."""
        return np.asarray(self.highest >= 1.0)


def evaluate_traffic(
    tiers: int,
    mesh: int,
    case: IntArray,
    source: IntArray,
    target: IntArray,
    rate: FloatArray,
    noc: NocFigures,
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
        ConfigError: If there is no such mode, or the mesh is too large for a table of all paths.
    """
    from scipy.sparse import csr_array

    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    if tiers * mesh**2 > _MOST_NODES:
        raise ConfigError(f"a mesh of {mesh} x {mesh} x {tiers} has too many nodes; expected at most {_MOST_NODES}")
    cases = int(case.max(initial=-1)) + 1
    distance = hop_counts(tiers, mesh)
    pair = len(distance) * source + target
    flows = csr_array((rate, (case, pair)), shape=(cases, distance.size))
    utilisation = noc.packet_flits * (flows @ routing_matrix(tiers, mesh)).toarray()
    packets = np.bincount(case, rate, cases)
    with np.errstate(invalid="ignore"):
        hops = np.bincount(case, rate * distance[source, target], cases) / packets
        latency = noc.fixed_cycles + noc.hop_cycles * hops
        if mode == "queue":
            # A link makes each of its packets wait: summed over links here, over packets and their links in the text.
            free = np.where(utilisation < 1.0, utilisation, np.nan)
            waiting = free / noc.packet_flits * waiting_cycles(free, noc.packet_flits)
            latency += waiting.sum(axis=1) / packets
    latency[utilisation.max(axis=1, initial=0.0) >= 1.0] = np.nan
    return CaseLatency(latency, hops, utilisation)
