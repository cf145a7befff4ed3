"""Traffic between the layers on the network of the stack.

Source: HuNT (Ogbogu et al., TCAD 2024), eqs 3-4 and 11. Traffic ``chain`` goes from every layer to the next one,
traffic ``graph`` from every layer to those that read it, with multicast, link by link.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from moopim.hardware.noc.loads import link_loads, tree_steps
from moopim.hardware.noc.parameters import NocParameters
from moopim.hardware.noc.queueing import LinkTraffic
from moopim.hardware.noc.routing import hop_counts, link_groups
from moopim.hardware.stack.parameters import Stack
from moopim.hardware.stack.placement import Line, Occupancy, rows_of, snake, spread, to_stack
from moopim.typing import BoolArray, FloatArray, IntArray, NodeArray
from moopim.workload import Workload

PARTS = 4
"""Equal parts of the PEs of a layer, and of the positions of the image that its copies work on, in the idealised model.
A part stands at its middle (midpoint rule); a single one would be the middle of the layer, as in traffic ``chain``."""


def graph_traffic(
    workload: Workload, bits: float, stack: Stack, noc: NocParameters, occupancy: Occupancy, line: Line
) -> LinkTraffic:
    """Traffic of an image from every layer to those that read its output, and to the back-propagation tier.

    Copies of a layer work on different positions of the image: part q of a producer sends to part q of each consumer,
    to all at once (a multicast tree). Each consumer sends the gradient of its input back to the producer, alone. Each
    PE sends its activations to the PE above or below it on the back-propagation tier and gets their gradients from
    there, and once per batch the 32-bit gradients of its weights. Activations and their gradients have ``bits``.
    """
    middle = (np.arange(PARTS)[:, None, None] + 0.5) / PARTS
    place = np.minimum(line.start + middle * line.extent, stack.pes_per_tier - 1).astype(np.int64)
    flits, arrived = between_layers(workload, stack, part_nodes(stack, occupancy, line, place), gradients=True)
    flits *= bits / (PARTS * noc.flit_bits)
    activations = bits * workload.activations_out
    weights = stack.gradient_bits * workload.weights / workload.batch
    loads = np.stack([activations, activations + weights]) / noc.flit_bits
    sent, received = to_stack(stack, occupancy.bp, spread(line, loads.take(line.layer, axis=1), stack))
    add_columns(flits, stack, occupancy.bp, sent, received)
    packet_bits = noc.packet_flits * noc.flit_bits
    packets = arrived * (bits / (PARTS * packet_bits)) + (2 * activations + weights).sum() / packet_bits
    return LinkTraffic(flits, packets)


def part_nodes(stack: Stack, occupancy: Occupancy, line: Line, place: IntArray) -> NodeArray:
    """Node of each part of each layer, shape ``(layers, parts, designs)``.

    ``place`` is the place of each part on the snake of its tier, in the order of the line, shape ``(parts, designs,
    layers)``.
    """
    tier = occupancy.forward.take(line.tier + rows_of(line.tier, occupancy.forward.shape[1]))
    along = tier * stack.pes_per_tier + snake(stack).take(place)
    nodes = np.empty((len(place), line.flat.size), dtype=np.min_scalar_type(-2 * stack.pes))
    nodes[:, line.flat.ravel()] = along.reshape(len(place), -1)
    return np.ascontiguousarray(nodes.reshape(place.shape).transpose(2, 0, 1))


@dataclass(frozen=True)
class _Flows:
    """Flows of values between layers."""

    begin: IntArray  # layer where each flow between two layers begins, shape (flows,)
    end: IntArray  # layer where it ends, shape (flows,)
    volume: FloatArray  # values of an image, shape (flows,)
    # Multicast trees by number of consumers: producers (trees,), consumers (consumers, trees) and values (trees,).
    trees: tuple[tuple[IntArray, IntArray, FloatArray], ...]


@lru_cache(maxsize=32)
def _flows(workload: Workload, *, gradients: bool) -> _Flows:
    """Flows of the transfers, and with ``gradients`` one back from each consumer."""
    direct = []
    groups = defaultdict(list)
    for transfer in workload.transfers:
        if gradients:
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


def between_layers(
    workload: Workload, stack: Stack, nodes: NodeArray, *, gradients: bool
) -> tuple[FloatArray, FloatArray]:
    """Values over each link, shape ``(designs, links)``, and values that arrive, shape ``(designs,)``.

    Each part sends and receives a layer's whole volume here, and with ``gradients`` as much goes back. All are whole
    numbers, so that no order of adding them up changes a bit.
    """
    flows = _flows(workload, gradients=gradients)
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


def column_loads(stack: Stack, bp: IntArray, per_pe: FloatArray) -> FloatArray:
    """Loads between neighbouring tiers of what each PE exchanges with the PE above or below it on the BP tier.

    From ``per_pe``, shape ``(designs, pes)``, to shape ``(tiers - 1, designs, pes_per_tier)``.
    """
    each_tier = per_pe.reshape(len(per_pe), stack.tiers, stack.pes_per_tier).transpose(1, 0, 2)
    below = list(accumulate(each_tier[:-1]))
    above = list(accumulate(each_tier[:0:-1]))[::-1]
    return np.stack([np.where((bp > tier)[:, None], below[tier], above[tier]) for tier in range(stack.tiers - 1)])


def add_columns(
    loads: FloatArray, stack: Stack, bp: IntArray, sent: FloatArray, received: FloatArray | None = None
) -> None:
    """Add what PEs send to the BP tier, and receive from it, to the loads ``(designs, links)`` of links, in place."""
    pes = stack.pes_per_tier
    to_bp = column_loads(stack, bp, sent)
    from_bp = np.zeros_like(to_bp) if received is None else column_loads(stack, bp, received)
    upwards, downwards = (loads[:, group] for group in link_groups(stack.tiers, stack.mesh)[-2:])
    for tier in range(stack.tiers - 1):
        # Under the back-propagation tier, what is sent goes up and what is received comes down.
        under = (bp > tier)[:, None]
        here = slice(tier * pes, (tier + 1) * pes)
        upwards[:, here] += np.where(under, to_bp[tier], from_bp[tier])
        downwards[:, here] += np.where(under, from_bp[tier], to_bp[tier])


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
