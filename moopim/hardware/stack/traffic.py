"""Traffic between the layers on the network of the stack, and the time and energy that it takes.

Source: HuNT (Ogbogu et al., TCAD 2024), eqs 3-4 and 11. Traffic ``chain`` goes from every layer to the next one,
traffic ``graph`` from every layer to those that read it, with multicast, link by link.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from moopim.hardware.noc.loads import link_loads, tree_steps
from moopim.hardware.noc.parameters import load_noc
from moopim.hardware.noc.queueing import LinkTraffic, unchecked_period
from moopim.hardware.noc.routing import hop_counts, link_groups
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.parameters import Stack
from moopim.hardware.stack.placement import Line, Occupancy, rows_of, snake, spread, to_stack
from moopim.typing import BoolArray, FloatArray, IntArray, NodeArray
from moopim.workload import Workload

PARTS = 4
"""Equal parts of the PEs of a layer, and of the positions of the image that its copies work on. A part stands at
its middle (midpoint rule); a single one would be the middle of the layer, as in traffic ``chain``."""


def graph_traffic(workload: Workload, bits: float, stack: Stack, occupancy: Occupancy, line: Line) -> LinkTraffic:
    """Traffic of an image from every layer to those that read its output, and to the back-propagation tier.

    Copies of a layer work on different positions of the image: part q of a producer sends to part q of each consumer,
    to all at once (a multicast tree). Each consumer sends the gradient of its input back to the producer, alone. Each
    PE sends its activations to the PE above or below it on the back-propagation tier and gets their gradients from
    there, and once per batch the 32-bit gradients of its weights. Activations and their gradients have ``bits``.
    """
    noc = load_noc()
    flits, arrived = _between_layers(workload, stack, _part_nodes(stack, occupancy, line))
    flits *= bits / (PARTS * noc.flit_bits)
    activations = bits * workload.activations_out
    weights = stack.gradient_bits * workload.weights / workload.batch
    _add_bp_tier(flits, stack, occupancy, line, np.stack([activations, activations + weights]) / noc.flit_bits)
    packet_bits = noc.packet_flits * noc.flit_bits
    packets = arrived * (bits / (PARTS * packet_bits)) + (2 * activations + weights).sum() / packet_bits
    return LinkTraffic(flits, packets)


def _part_nodes(stack: Stack, occupancy: Occupancy, line: Line) -> NodeArray:
    """Node of each part of each layer, shape ``(layers, parts, designs)``."""
    pes = stack.pes_per_tier
    middle = (np.arange(PARTS)[:, None, None] + 0.5) / PARTS
    place = np.minimum(line.start + middle * line.extent, pes - 1).astype(np.int64)
    tier = occupancy.forward.take(line.tier + rows_of(line.tier, occupancy.forward.shape[1]))
    along = tier * pes + snake(stack).take(place)
    nodes = np.empty((PARTS, line.flat.size), dtype=np.min_scalar_type(-2 * stack.pes))
    nodes[:, line.flat.ravel()] = along.reshape(PARTS, -1)
    return np.ascontiguousarray(nodes.reshape(PARTS, *line.flat.shape).transpose(2, 0, 1))


@dataclass(frozen=True)
class _Flows:
    """Flows of values between layers."""

    begin: IntArray  # layer where each flow between two layers begins, shape (flows,)
    end: IntArray  # layer where it ends, shape (flows,)
    volume: FloatArray  # values of an image, shape (flows,)
    # Multicast trees by number of consumers: producers (trees,), consumers (consumers, trees) and values (trees,).
    trees: tuple[tuple[IntArray, IntArray, FloatArray], ...]


@lru_cache(maxsize=32)
def _flows(workload: Workload) -> _Flows:
    direct = []
    groups = defaultdict(list)
    for transfer in workload.transfers:
        direct += [(consumer, transfer.producer, transfer.volume) for consumer in transfer.consumers]
        if len(transfer.consumers) == 1:
            direct.append((transfer.producer, *transfer.consumers, transfer.volume))
        else:
            groups[len(transfer.consumers)].append(transfer)
    begin, end, volume = np.array(direct, dtype=np.int64).reshape(-1, 3).T
    trees = [map(np.array, zip(*group, strict=True)) for group in groups.values()]
    return _Flows(
        begin,
        end,
        volume.astype(np.float64),
        tuple((producer, consumers.T, volume.astype(np.float64)) for producer, volume, consumers in trees),
    )


def _between_layers(workload: Workload, stack: Stack, nodes: NodeArray) -> tuple[FloatArray, FloatArray]:
    """Values over each link, shape ``(designs, links)``, and values that arrive, shape ``(designs,)``.

    All are whole numbers, so that no order of adding them up changes a bit.
    """
    flows = _flows(workload)
    begins, ends = [nodes.take(flows.begin, axis=0)], [nodes.take(flows.end, axis=0)]
    volumes, arrived = [flows.volume], _arrived(begins[0] != ends[0], flows.volume)
    for producers, consumers, volume in flows.trees:
        steps = tree_steps(stack.tiers, stack.mesh, nodes.take(producers, axis=0), nodes.take(consumers, axis=0))
        for begin, end, arrives in zip(*steps, strict=True):
            begins.append(begin)
            ends.append(end)
            volumes.append(volume)
            arrived += _arrived(arrives, volume)
    paths = np.concatenate(begins), np.concatenate(ends)
    return link_loads(stack.tiers, stack.mesh, *paths, np.concatenate(volumes)), arrived


def _arrived(arrives: BoolArray, volume: FloatArray) -> FloatArray:
    parts = arrives.sum(axis=1, dtype=np.uint8)  # bytes are added up fastest
    return np.asarray((parts * volume[:, None]).sum(axis=0))


def _add_bp_tier(flits: FloatArray, stack: Stack, occupancy: Occupancy, line: Line, loads: FloatArray) -> None:
    """Add the traffic of PEs with the back-propagation tier to the flits over the vertical links, in place.

    ``flits`` has shape ``(designs, links)``, ``loads``, the flits that each layer sends and gets, ``(2, layers)``.
    """
    pes, tiers = stack.pes_per_tier, stack.tiers
    per_pe = to_stack(stack, occupancy.bp, spread(line, loads.take(line.layer, axis=1), stack))
    each_tier = [per_pe[:, :, first : first + pes] for first in range(0, stack.pes, pes)]
    below = list(accumulate(each_tier[:-1]))
    above = list(accumulate(each_tier[:0:-1]))[::-1]
    upwards, downwards = (flits[:, group] for group in link_groups(tiers, stack.mesh)[-2:])
    for tier in range(tiers - 1):
        # Under the back-propagation tier, sent flits go up and received ones come down.
        under = (occupancy.bp > tier)[:, None]
        here = slice(tier * pes, (tier + 1) * pes)
        upwards[:, here] += np.where(under, below[tier][0], above[tier][1])
        downwards[:, here] += np.where(under, below[tier][1], above[tier][0])


def chain_traffic(workload: Workload, bits: float, stack: Stack, occupancy: Occupancy, line: Line) -> FloatArray:
    """Bits times hops of an image from every layer to the next and the back-propagation tier, shape ``(designs,)``.

    Branches of the network are not followed. Activations and their gradients, of ``bits``, go both ways, over the
    Manhattan distance between the PEs at the centres of the layers; to the back-propagation tier only the tiers count,
    and weight gradients come on top, once per batch.
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


class Communication(NamedTuple):
    """Period with its communication."""

    period: FloatArray  # time per image (ns), shape (designs,)
    bit_hops: FloatArray  # bits times hops of an image, shape (designs,)
    utilisation: FloatArray | None  # busy share of the busiest link, shape (designs,); None in traffic chain


def communicate(
    model: SystemModel, occupancy: Occupancy, line: Line, busy: FloatArray, rest: FloatArray
) -> Communication:
    """Add communication to the period of the pipeline.

    ``busy`` is the time of the slowest other stage (ns), ``rest`` the time per image in which the pipeline stands still
    (ns), both of shape ``(designs,)``.
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
    """Bits times hops of an image, shape ``(designs,)``."""
    bits = model.factors.bits
    if model.traffic == "chain":
        return chain_traffic(model.workload, bits, model.stack, occupancy, line)
    traffic = graph_traffic(model.workload, bits, model.stack, occupancy, line)
    return np.asarray(load_noc().flit_bits * traffic.flits.sum(axis=1))
