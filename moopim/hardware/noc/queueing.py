"""NoC latency model: packets wait at links as in M/D/1 queues, and share the period of a pipeline with its stages.

Source of the queue: L. Kleinrock, "Queueing Systems", vol. 1, 1975, section 5.6: a server that takes a fixed time ``L``
per packet and is busy for a share ``u`` of the time lets a packet wait ``L u / (2 (1 - u))`` on average.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moopim.checks import number, numbers
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc.parameters import CACHED, MODES, NocParameters
from moopim.hardware.noc.routing import hop_counts, link_count, routing_matrix
from moopim.typing import BoolArray, FloatArray, IntArray

# Most loads of all links in all cases, which take a gigabyte.
_MOST_LOADS = 2**27
# Relative change of the period in a step of Newton's method below which it is the last: the error goes with its square.
_STEP = 1e-8


def waiting_cycles(utilisation: FloatArray, packet_flits: float) -> FloatArray:
    """Mean waiting time of a packet for a link (M/D/1 queue; Kleinrock, 1975, section 5.6).

    ``W = L u / (2 (1 - u))`` with the service time ``L = packet_flits`` and the utilisation ``u``.

    Args:
        utilisation: Flits per cycle over the link, at least 0 and below 1; any shape.
        packet_flits: Flits of a packet, each of which takes the link for a cycle.

    Returns:
        Waiting time (cycle), same shape.

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
    """Latency of the packets of each case, and the load of the links.

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
        """Whether a link is at its capacity or beyond, so that there is no steady state, shape ``(cases,)``."""
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
    """Mean latency of packets from traffic matrices, with dimension-order routing.

    A packet takes ``fixed_cycles + hop_cycles hops`` (HuNT, TCAD 2024, eqs 3-4, has the hops alone) and, in the mode
    ``queue``, the waiting time of `waiting_cycles` at every link of its path. The ports by which packets enter and
    leave the network are not counted as links.

    Args:
        tiers: Tiers.
        mesh: Nodes along each side of a tier.
        case: Case of each flow, from 0, shape ``(flows,)``.
        source: Sending node, shape ``(flows,)``.
        target: Receiving node, shape ``(flows,)``; a flow from a node to itself takes no link.
        rate: Packets per cycle, shape ``(flows,)``; flows between the same nodes add up.
        noc: Parameters of the network.
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


@dataclass(frozen=True)
class LinkTraffic:
    """Traffic of one image over the network.

    Attributes:
        flits: Flits over each directed link, numbered as in `moopim.hardware.noc.routing`, shape ``(designs, links)``.
        packets: Packets that leave the network at their destinations, shape ``(designs,)``.
    """

    flits: FloatArray
    packets: FloatArray


class NetworkPeriod(NamedTuple):
    """Period of a pipeline with its network.

    Attributes:
        period: Time per image (ns), shape ``(designs,)``.
        communication: Time of the packets of an image, shared by the links (ns), shape ``(designs,)``.
        utilisation: Share of the period in which the busiest link is busy, below 1, shape ``(designs,)``.
    """

    period: FloatArray
    communication: FloatArray
    utilisation: FloatArray


def network_period(
    busy: FloatArray,
    rest: FloatArray,
    traffic: LinkTraffic,
    noc: NocParameters,
    cycle: float,
    mode: str = "queue",
) -> NetworkPeriod:
    """Period of a pipeline of images whose stages communicate over the network.

    The period is ``T = max(busy, busiest link) + rest + C(T)``. ``C`` is the time that packets spend in the network,
    shared by the links, which work side by side: in the mode ``queue``, with ``f`` flits over a link and its
    utilisation ``u = f cycle / T``, ::

        C = cycle (fixed_cycles packets + sum of hop_cycles f / packet_flits + f u / (2 (1 - u)) over links) / links

    and in the mode ``paper``, one cycle per flit and hop (HuNT, TCAD 2024, eqs 3-4), ``C = cycle sum of f / links``.

    Args:
        busy: Time of the slowest other stage of the pipeline (ns), shape ``(designs,)``.
        rest: Time per image in which the pipeline stands still (ns), shape ``(designs,)``.
        traffic: Traffic of an image.
        noc: Parameters of the network.
        cycle: Time in which a flit crosses a link (ns).
        mode: ``queue`` or ``paper``.

    Returns:
        Period, communication and utilisation. A design's values do not depend on the others.

    Raises:
        ConfigError: If there is no such mode, an array has another shape, a number is negative or not finite, or the
            cycle is not above 0.
    """
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    number("cycle", cycle, positive=True)
    flits = numbers("flits", traffic.flits, ("designs", "links"), least=0)
    busy, rest, packets = (
        numbers(name, column, flits.shape[:1], least=0)
        for name, column in (("busy", busy), ("rest", rest), ("packets", traffic.packets))
    )
    return unchecked_period(busy, rest, LinkTraffic(flits, packets), noc, cycle, mode)


def unchecked_period(
    busy: FloatArray, rest: FloatArray, traffic: LinkTraffic, noc: NocParameters, cycle: float, mode: str
) -> NetworkPeriod:
    """`network_period` without checks, which a search calls thousands of times a second."""
    flits = traffic.flits
    links = max(flits.shape[1], 1)
    # From here on in cycles.
    busiest, total = flits.max(axis=1, initial=0.0), flits.sum(axis=1)
    start = np.maximum(busy / cycle, busiest) + rest / cycle
    if mode == "paper":
        communication = total / links
    else:
        moving = noc.hop_cycles / noc.packet_flits * total
        communication = (noc.fixed_cycles * traffic.packets + moving) / links
        communication += _pipeline_waiting(flits, busiest, start + communication)
    period = start + communication
    share = np.divide(busiest, period, out=np.zeros_like(period), where=busiest > 0)
    return NetworkPeriod(cycle * period, cycle * communication, share)


def _pipeline_waiting(flits: FloatArray, busiest: FloatArray, floor: FloatArray) -> FloatArray:
    """Solve ``T = floor + W(T)`` with the waiting ``W = sum of f^2 / (2 (T - f)) / links``; returns W (cycle).

    ``T - floor - W(T)`` rises and is concave for T above the flits of the busiest link. From the floor, where it is not
    above 0, Newton's steps therefore go up to the root and never past it. The floor (cycle), shape ``(designs,)``, is
    the period without waiting, above the flits of the busiest link where there are any.
    """
    waiting = np.zeros_like(floor)
    links = max(flits.shape[1], 1)
    block = max(1, CACHED // links)
    for first in range(0, len(floor), block):
        rows = first + np.flatnonzero(busiest[first : first + block])
        period = floor[rows]
        while len(rows):
            load = flits[rows]
            share = period[:, None] - load
            np.divide(load, share, out=share)
            # W = sum of f share / (2 links), and it falls by sum of share^2 / (2 links) per cycle.
            held = np.einsum("dl,dl->d", load, share) / (2 * links)
            slope = np.einsum("dl,dl->d", share, share) / (2 * links)
            step = (floor[rows] + held - period) / (1.0 + slope)
            period += step
            waiting[rows] = period - floor[rows]
            far = step > _STEP * period
            rows, period = rows[far], period[far]
    return waiting
