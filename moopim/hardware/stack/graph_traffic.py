"""Traffic of the network that is trained: from every layer to those that read it, with multicast, link by link.

Source: HuNT (Ogbogu et al., TCAD 2024), eqs 3-4, which sum over all pairs of layers; the network says who reads what.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from moopim.hardware.noc.loads import link_loads, tree_steps
from moopim.hardware.noc.parameters import load_noc
from moopim.hardware.noc.queueing import LinkTraffic
from moopim.hardware.noc.routing import link_groups
from moopim.hardware.stack.parameters import Stack
from moopim.hardware.stack.placement import Line, Occupancy, rows_of, snake, spread, to_stack
from moopim.typing import BoolArray, FloatArray, IntArray, NodeArray
from moopim.workload import Workload

__all__ = ["PARTS", "graph_traffic"]


PARTS = 4
"""Equal parts of the PEs of a layer, and of the positions of the image that its copies work on. A part stands where its
middle does (midpoint rule); a single one would be the middle of the layer, as in the model ``chain``."""


def graph_traffic(workload: Workload, bits: float, stack: Stack, occupancy: Occupancy, line: Line) -> LinkTraffic:
    """Every layer talks to those that read its output, and to the back-propagation tier.

    Copies of a layer work on different positions of the image: part q of a producer sends to part q of each consumer,
    to all at once (a multicast tree). Each consumer sends the gradient of what it read back to the producer, on its
    own. Each PE sends its activations to the PE above or below it on the back-propagation tier and gets their gradients
    from there, and once per batch the 32-bit gradients of its weights.

    Args:
        workload: The network.
        bits: Width of activations and their gradients (bit).
        stack: The stack.
        occupancy: The occupancy.
        line: The layers along the forward tiers.

    Returns:
        Flits of an image over each link, and its packets. A design's values do not depend on the others.
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
    """The node where each part of each layer stands, shape ``(layers, parts, designs)``."""
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
    """Who sends to whom.

    Attributes:
        begin: Layers where the flows from one layer to one other begin, shape ``(flows,)``.
        end: Layers where they end, shape ``(flows,)``.
        volume: Values of an image that they carry, shape ``(flows,)``.
        trees: The multicast trees of each number of consumers: producers, shape ``(trees,)``, consumers,
            ``(consumers, trees)``, and values, ``(trees,)``.
    """

    begin: IntArray
    end: IntArray
    volume: FloatArray
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
    """Adds what PEs send to the back-propagation tier and get from it to the loads of the vertical links.

    Args:
        flits: Flits over each link, shape ``(designs, links)``; changed in place.
        stack: The stack.
        occupancy: The occupancy.
        line: The layers along the forward tiers.
        loads: Flits that each layer sends and gets, shape ``(2, layers)``.
    """
    pes, tiers = stack.pes_per_tier, stack.tiers
    per_pe = to_stack(stack, occupancy.bp, spread(line, loads.take(line.layer, axis=1), stack))
    each_tier = [per_pe[:, :, first : first + pes] for first in range(0, stack.pes, pes)]
    below = list(accumulate(each_tier[:-1]))
    above = list(accumulate(each_tier[:0:-1]))[::-1]
    upwards, downwards = (flits[:, group] for group in link_groups(tiers, stack.mesh)[-2:])
    for tier in range(tiers - 1):
        # Under the back-propagation tier, what is sent goes up and what is got comes down.
        under = (occupancy.bp > tier)[:, None]
        here = slice(tier * pes, (tier + 1) * pes)
        upwards[:, here] += np.where(under, below[tier][0], above[tier][1])
        downwards[:, here] += np.where(under, below[tier][1], above[tier][0])
