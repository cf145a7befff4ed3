"""Placement of layers: tiers by type, layers along the snake of their tier's PEs (HuNT, TCAD 2024, section III)."""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.stack.layer_costs import LayerCosts
from moopim.hardware.stack.parameters import Stack
from moopim.typing import BoolArray, FloatArray, IntArray


@cache
def snake(stack: Stack) -> IntArray:
    """PE, ``mesh y + x``, at each place of a tier: even rows of the mesh to the right, odd ones to the left."""
    y, along = np.divmod(np.arange(stack.pes_per_tier), stack.mesh)
    path = stack.mesh * y + np.where(y % 2 == 0, along, stack.mesh - 1 - along)
    path.flags.writeable = False
    return path


def tier_roles(can_serve_bp: BoolArray, *, farthest_bp: bool = False) -> tuple[BoolArray, IntArray, IntArray]:
    """Back-propagation (BP) tier: the farthest from the heat sink whose device endures the writes.

    ``can_serve_bp`` has shape ``(designs, tiers)``, tier 1 (at the heat sink) first; with ``farthest_bp`` only the
    tier farthest from the sink may serve. Returns whether there is a BP tier, its number, from 0 at the sink (the
    farthest where there is none), shape ``(designs,)`` each, and the forward tiers, shape ``(designs, tiers - 1)``.
    """
    n = can_serve_bp.shape[1]
    if farthest_bp:
        can_serve_bp = can_serve_bp & (np.arange(n) == n - 1)
    bp = n - 1 - can_serve_bp[:, ::-1].argmax(axis=1)
    return np.asarray(can_serve_bp.any(axis=1)), bp, _other_tiers(n).take(bp, axis=0)


@cache
def _other_tiers(tiers: int) -> IntArray:
    return np.array([[tier for tier in range(tiers) if tier != one] for one in range(tiers)])


@dataclass(frozen=True)
class Occupancy:
    """Occupancy of the tiers with one copy of each layer."""

    has_bp: BoolArray  # whether a tier can serve back-propagation, shape (designs,)
    bp: IntArray  # back-propagation tier, from 0 at the heat sink, shape (designs,)
    forward: IntArray  # forward tiers, from 0 at the heat sink, shape (designs, forward_tiers)
    forward_device: IntArray  # their devices, shape (designs, forward_tiers)
    tier: IntArray  # forward tier of each layer, shape (designs, layers)
    entry: IntArray  # index of each layer in a flat table of shape (devices, layers), shape (designs, layers)
    used: FloatArray  # arrays of one copy of every layer, shape (designs, forward_tiers), like those below
    free: FloatArray  # arrays that do not hold activations
    capacity: FloatArray  # all arrays
    layers: IntArray  # number of layers

    def select(self, designs: IntArray) -> "Occupancy":
        """Occupancy of some of the designs, given by their rows."""
        return Occupancy(*(getattr(self, field.name)[designs] for field in fields(self)))


def tier_occupancy(
    costs: LayerCosts,
    stack: Stack,
    can_serve_bp: BoolArray,
    tiers: IntArray,
    genes: IntArray,
    *,
    farthest_bp: bool = False,
) -> Occupancy:
    """Occupancy of the forward tiers; arguments as those of `moopim.hardware.stack.model.evaluate_in_blocks`."""
    n_forward, n_layers = stack.tiers - 1, genes.shape[1]
    has_bp, bp, forward = tier_roles(can_serve_bp[tiers], farthest_bp=farthest_bp)
    forward_device = tiers.take(forward + rows_of(forward, stack.tiers))
    tier = genes // stack.pes_per_tier
    place = tier + rows_of(tier, n_forward)
    entry = forward_device.take(place) * n_layers + np.arange(n_layers)
    bins, place = forward.size, place.ravel()
    used, held = (
        np.bincount(place, table.take(entry).ravel(), bins).reshape(forward.shape).astype(np.float64, copy=False)
        for table in (costs.arrays, costs.activation_arrays)
    )
    layers = np.bincount(place, minlength=bins).reshape(forward.shape)
    capacity = stack.pes_per_tier * costs.arrays_per_pe[forward_device]
    return Occupancy(has_bp, bp, forward, forward_device, tier, entry, used, capacity - held, capacity, layers)


@dataclass(frozen=True)
class Line:
    """Layers in the order in which they lie, the forward tiers end to end; arrays of shape ``(designs, layers)``."""

    layer: IntArray  # layer at each place of the order
    flat: IntArray  # its index in a flat array of shape (designs, layers)
    tier: IntArray  # its forward tier
    start: FloatArray  # its start on the snake of its tier (PEs)
    extent: FloatArray  # its length from there (PEs)


def lay_out(genes: IntArray, occupancy: Occupancy, extent: FloatArray) -> Line:
    """Lay the layers along their tiers, by tier, slot and number; ``extent`` (PEs) has shape ``(designs, layers)``."""
    # The order of genes is that of tiers and slots; the stable sort adds the layer's number. NumPy sorts bytes fastest.
    layer = np.argsort(genes.astype(np.min_scalar_type(int(genes.max(initial=0)))), axis=1, kind="stable")
    flat = layer + rows_of(layer, layer.shape[1])
    tier, extent = occupancy.tier.take(flat), extent.take(flat)
    # Summed up tier by tier from 0: the centre of a layer is often a whole number of PEs, where a rounding error from
    # other tiers would decide between two PEs.
    start = np.zeros_like(extent)
    for forward in range(occupancy.layers.shape[1]):
        here = tier == forward
        before = np.cumsum(here * extent, axis=1)
        np.copyto(start[:, 1:], before[:, :-1], where=here[:, 1:])
    return Line(layer, flat, tier, start, extent)


def spread(line: Line, loads: FloatArray, stack: Stack) -> FloatArray:
    """Spread the loads of layers evenly over the PEs that they cover.

    The load up to each border between PEs is piecewise linear along the line; its differences are the loads of the PEs.
    From loads in the order of the line, shape ``(kinds, designs, layers)``, to those of the PEs along the snakes, the
    forward tiers end to end, and a 0 at the end, shape ``(kinds, designs, forward_tiers x pes_per_tier + 1)``.
    """
    kinds, designs, layers = loads.shape
    pes, places = stack.pes_per_tier, (stack.tiers - 1) * stack.pes_per_tier
    base = line.tier * pes
    begins = base + np.minimum(np.ceil(line.start), pes).astype(np.int64)
    begins += rows_of(begins, places + 1)
    count = np.bincount(begins.ravel(), minlength=designs * (places + 1)).reshape(designs, places + 1)
    # The last layer that begins at or before each border, or the first layer where there is none yet.
    last = np.maximum(np.cumsum(count[:, :places], axis=1) - 1, 0) + rows_of(count, layers)
    share = np.clip((np.arange(places) - (line.start + base).take(last)) / line.extent.take(last), 0.0, 1.0)
    before = np.zeros((kinds, designs, layers + 1))
    np.cumsum(loads, axis=2, out=before[:, :, 1:])
    border = np.empty((kinds, designs, places + 2))
    border[:, :, places:] = before[:, :, -1:]
    flat = loads.reshape(kinds, -1).take(last, axis=1)
    last += rows_of(count, 1)  # one entry more per design
    border[:, :, :places] = before.reshape(kinds, -1).take(last, axis=1) + share * flat
    return border[:, :, 1:] - border[:, :, :-1]


def to_stack(stack: Stack, bp: IntArray, along: FloatArray) -> FloatArray:
    """Move loads from the snakes of the forward tiers to the PEs of the stack; the BP tier carries none.

    From the result of `spread` to shape ``(kinds, designs, pes)``; PE index is pes_per_tier x tier + mesh y + x.
    """
    index = _stack_index(stack).take(bp, axis=0)
    return along.reshape(len(along), -1).take(index + rows_of(index, along.shape[2]), axis=1)


@cache
def _stack_index(stack: Stack) -> IntArray:
    """Place of every PE along the snakes for each BP tier, shape ``(tiers, pes)``; past the end on it."""
    pes = stack.pes_per_tier
    index = np.full((stack.tiers, stack.tiers, pes), (stack.tiers - 1) * pes)
    for bp in range(stack.tiers):
        for place, tier in enumerate(tier for tier in range(stack.tiers) if tier != bp):
            index[bp, tier, snake(stack)] = place * pes + np.arange(pes)
    return index.reshape(stack.tiers, -1)


def rows_of(array: NDArray[np.generic], width: int) -> IntArray:
    """Begin of each row in a flat array with rows of a width, shape ``(rows, 1)``.

    NumPy's take_along_axis is slow on small arrays.
    """
    return np.arange(0, len(array) * width, width)[:, None]
