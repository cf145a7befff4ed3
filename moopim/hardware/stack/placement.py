"""Where layers lie: tiers by type, layers along the snake of their tier's PEs (HuNT, TCAD 2024, section III)."""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moopim.hardware.stack.layer_costs import LayerCosts
from moopim.hardware.stack.parameters import Stack
from moopim.typing import BoolArray, FloatArray, IntArray

__all__ = ["Line", "Occupancy", "lay_out", "rows_of", "snake", "spread", "tier_occupancy", "tier_roles", "to_stack"]


@cache
def snake(stack: Stack) -> IntArray:
    """The path along which a tier's PEs are filled: even rows of the mesh to the right, odd rows to the left.

    Args:
        stack: The stack.

    Returns:
        Number ``mesh y + x`` of the PE at each place of the path, shape ``(pes_per_tier,)``; read only.
    """
    y, along = np.divmod(np.arange(stack.pes_per_tier), stack.mesh)
    path = stack.mesh * y + np.where(y % 2 == 0, along, stack.mesh - 1 - along)
    path.flags.writeable = False
    return path


def tier_roles(can_serve_bp: BoolArray, *, farthest_bp: bool = False) -> tuple[BoolArray, IntArray, IntArray]:
    """Finds the back-propagation (BP) tier: the farthest from the heat sink whose device stands the writes.

    Args:
        can_serve_bp: Shape ``(designs, tiers)``, tier 1 (at the heat sink) first.
        farthest_bp: Whether only the tier farthest from the heat sink may serve.

    Returns:
        Whether there is a BP tier, shape ``(designs,)``; its number, counted from the heat sink from 0 (the farthest
        where there is none), shape ``(designs,)``; and the other tiers, the forward tiers, from the heat sink outwards,
        shape ``(designs, tiers - 1)``.
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
    """What lies on the tiers with one copy of each layer.

    Attributes:
        has_bp: Whether a tier can serve back-propagation, shape ``(designs,)``.
        bp: The back-propagation tier, from 0 at the heat sink, shape ``(designs,)``.
        forward: The forward tiers, from 0 at the heat sink, shape ``(designs, forward_tiers)``.
        forward_device: StackDevice of each forward tier, shape ``(designs, forward_tiers)``.
        tier: Forward tier of each layer, shape ``(designs, layers)``.
        entry: Place of each layer's costs in a flattened table of shape ``(devices, layers)``, shape
            ``(designs, layers)``.
        used: Arrays of one copy of every layer, shape ``(designs, forward_tiers)``.
        free: Arrays that do not hold activations, shape ``(designs, forward_tiers)``.
        capacity: Arrays of the tier, shape ``(designs, forward_tiers)``.
        layers: Number of layers, shape ``(designs, forward_tiers)``.
    """

    has_bp: BoolArray
    bp: IntArray
    forward: IntArray
    forward_device: IntArray
    tier: IntArray
    entry: IntArray
    used: FloatArray
    free: FloatArray
    capacity: FloatArray
    layers: IntArray

    def select(self, designs: IntArray) -> "Occupancy":
        """The occupancy of some of the designs.

        Args:
            designs: Their rows, shape ``(selected,)``.
        """
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
    """Adds up what each forward tier has to hold.

    Args:
        costs: Costs of one copy of each layer.
        stack: The stack.
        can_serve_bp: Whether each device can serve back-propagation, shape ``(devices,)``.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        farthest_bp: Whether only the tier farthest from the heat sink may serve back-propagation.

    Returns:
        The occupancy.
    """
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
    """The layers in the order in which they lie, the forward tiers end to end; arrays of shape ``(designs, layers)``.

    Attributes:
        layer: Layer at each place of the order.
        flat: Place of that layer in a flattened array of shape ``(designs, layers)``.
        tier: Forward tier of that layer.
        start: Where it starts on its tier's snake (PEs).
        extent: How far it reaches from there (PEs).
    """

    layer: IntArray
    flat: IntArray
    tier: IntArray
    start: FloatArray
    extent: FloatArray


def lay_out(genes: IntArray, occupancy: Occupancy, extent: FloatArray) -> Line:
    """Lays the layers along their tiers, by tier, slot and number.

    Args:
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        occupancy: The occupancy.
        extent: PEs that each layer takes with its copies and activations, shape ``(designs, layers)``.

    Returns:
        The line.
    """
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
    """Spreads what layers carry evenly over the PEs that they cover.

    The load up to each border between PEs is piecewise linear along the line; its differences are the loads of the PEs.

    Args:
        line: The layers along the forward tiers.
        loads: Loads of each layer in the order of the line, shape ``(kinds, designs, layers)``.
        stack: The stack.

    Returns:
        Loads of each PE along the snakes, the forward tiers end to end, and a 0 at the end, shape
        ``(kinds, designs, forward_tiers x pes_per_tier + 1)``.
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
    """Moves loads from the snakes of the forward tiers to the PEs of the stack; the BP tier carries none.

    Args:
        stack: The stack.
        bp: Back-propagation tier, shape ``(designs,)``.
        along: Loads along the snakes and a 0, from `spread`, shape ``(kinds, designs, places + 1)``.

    Returns:
        Loads, shape ``(kinds, designs, pes)``; PE index is pes_per_tier x tier + mesh y + x.
    """
    index = _stack_index(stack).take(bp, axis=0)
    return along.reshape(len(along), -1).take(index + rows_of(index, along.shape[2]), axis=1)


@cache
def _stack_index(stack: Stack) -> IntArray:
    """For each BP tier, the place along the snakes of every PE, shape ``(tiers, pes)``; past the end on it."""
    pes = stack.pes_per_tier
    index = np.full((stack.tiers, stack.tiers, pes), (stack.tiers - 1) * pes)
    for bp in range(stack.tiers):
        for place, tier in enumerate(tier for tier in range(stack.tiers) if tier != bp):
            index[bp, tier, snake(stack)] = place * pes + np.arange(pes)
    return index.reshape(stack.tiers, -1)


def rows_of(array: NDArray[np.generic], width: int) -> IntArray:
    """Where each row begins in a flattened array with rows of a width; NumPy's take_along_axis is slow on small arrays.

    Args:
        array: Any array with as many rows.
        width: Length of a row.

    Returns:
        ``width`` x row, shape ``(rows, 1)``.
    """
    return np.arange(0, len(array) * width, width)[:, None]
