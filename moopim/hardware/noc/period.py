"""How the network enters the period of a pipeline: its busiest link is a stage, and packets take time in it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moopim.checks import number, numbers
from moopim.errors import unknown_name
from moopim.hardware.noc.parameters import CACHED, MODES, NocParameters
from moopim.typing import FloatArray

__all__ = ["LinkTraffic", "NetworkPeriod", "network_period"]


# A step of Newton's method that changes the period by less than this share is the last one: what is left goes with its
# square.
_STEP = 1e-8


@dataclass(frozen=True)
class LinkTraffic:
    """What crosses the network for one image.

    Attributes:
        flits: Flits over each directed link, numbered as in `moopim.hardware.noc.routing`, shape ``(designs, links)``.
        packets: Packets that leave the network at their destinations, shape ``(designs,)``.
    """

    flits: FloatArray
    packets: FloatArray


class NetworkPeriod(NamedTuple):
    """The period of a pipeline and what the network has to do with it.

    Attributes:
        period: Time per image (ns), shape ``(designs,)``.
        communication: Time of the packets of an image in the network, shared by its links (ns), shape ``(designs,)``.
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
    """Adds the network to the period of a pipeline of images.

    The period is ``T = max(busy, busiest link) + rest + C(T)``. ``C`` is the time that packets spend in the network,
    shared by the links, which work side by side: in the mode ``queue``, with ``f`` flits over a link and
    ``u = f cycle / T``, ::

        C = cycle (fixed_cycles packets + sum of hop_cycles f / packet_flits + f u / (2 (1 - u)) over links) / links

    and in the mode ``paper``, one cycle for each flit and hop, ``C = cycle sum of f / links``.

    Args:
        busy: Time of the slowest other stage of the pipeline (ns), shape ``(designs,)``.
        rest: Time per image in which the pipeline stands still (ns), shape ``(designs,)``.
        traffic: Traffic of an image.
        noc: Figures of the network.
        cycle: Time in which a flit crosses a link (ns).
        mode: ``queue`` or ``paper``.

    Returns:
        The period, the part of it that is communication, and the load of the busiest link. A design's values do not
        depend on the others.

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
    """`network_period` for what a model has made itself, thousands of times a second."""
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
        communication += _waiting(flits, busiest, start + communication)
    period = start + communication
    share = np.divide(busiest, period, out=np.zeros_like(period), where=busiest > 0)
    return NetworkPeriod(cycle * period, cycle * communication, share)


def _waiting(flits: FloatArray, busiest: FloatArray, floor: FloatArray) -> FloatArray:
    """Solves ``T = floor + W(T)``, where ``W = sum of f^2 / (2 (T - f)) / links`` is the waiting, and returns W.

    ``T - floor - W(T)`` rises and is concave for T above the flits of the busiest link. From the floor, where it is not
    above 0, Newton's steps therefore go up to the root and never past it.

    Args:
        flits: Flits over each link, shape ``(designs, links)``.
        busiest: Flits over the busiest link, shape ``(designs,)``.
        floor: Period without waiting (cycle), above the flits of the busiest link where there are any, shape
            ``(designs,)``.

    Returns:
        Waiting (cycle), shape ``(designs,)``.
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
