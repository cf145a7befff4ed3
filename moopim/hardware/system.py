"""HuNT's system model: period, area, power, temperature and accuracy loss of mappings onto the 3-D stack.

Source: Ogbogu et al., "HuNT: Exploiting Heterogeneous PIM Devices to Design a 3-D Manycore Architecture for DNN
Training", IEEE TCAD 2024. The paper leaves much open; the docs say how each gap is read. Units are ns, pJ and, inside,
mW per PE (pJ/ns).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moopim.errors import unknown_name
from moopim.hardware.layer_costs import LayerCosts, device_arrays, layer_costs, vector_rate
from moopim.hardware.parameters import Device, Factors, Stack, load_devices, load_factors, load_influence, load_stack
from moopim.hardware.placement import Snake, TierRoles, copies_period, snake, tier_roles
from moopim.hardware.thermal import noise, temperature_rise
from moopim.workload import Workload

__all__ = ["TRAFFIC_MODELS", "Occupancy", "SystemModel", "evaluate_system", "system_model", "tier_occupancy"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A mapping that does not fit violates its constraint by at least this much.
_LEAST_VIOLATION = 1e-3


@dataclass(frozen=True)
class SystemModel:
    """Everything about a network, a factor set and the stack that does not depend on the design.

    Attributes:
        workload: The network.
        devices: The devices; a tier is an index into them.
        factors: The factor set.
        stack: The stack.
        traffic: Name of the traffic model.
        costs: Costs of one copy of each layer.
        influence: Temperature rise per power (K/W), shape ``(pes, pes)``.
        can_serve_bp: Whether each device can serve back-propagation, shape ``(devices,)``.
        static_mW: Static power of a PE (mW), shape ``(devices,)``.
        rewrite_ns: Time to rewrite an array (ns), shape ``(devices,)``.
        gradient_macs: Gradient MACs of an image.
        operations: Counted operations of an image, forward and gradients.
    """

    workload: Workload
    devices: tuple[Device, ...]
    factors: Factors
    stack: Stack
    traffic: str
    costs: LayerCosts
    influence: FloatArray
    can_serve_bp: NDArray[np.bool_]
    static_mW: FloatArray  # noqa: N815 (the unit is mW)
    rewrite_ns: FloatArray
    gradient_macs: float
    operations: float

    @property
    def slots(self) -> int:
        """Values of a layer's gene: forward tier x PEs per tier + slot."""
        return (self.stack.tiers - 1) * self.stack.pes_per_tier

    @property
    def gradient_ns(self) -> float:
        """Time of the gradients of an image on the back-propagation tier (ns)."""
        sram = next(device for device in self.devices if device.unlimited_endurance)
        arrays = self.stack.pes_per_tier * device_arrays(sram, self.factors)
        vector = self.factors["bits"] ** 2 * vector_rate(sram, self.factors)
        rate = self.factors["x_bw"] * arrays * sram.rows * sram.columns / vector
        return self.gradient_macs / rate


@cache
def system_model(workload: Workload, factors: str = "physical", traffic: str = "chain") -> SystemModel:
    """Prepares the model of a network.

    Args:
        workload: The network.
        factors: Name of the factor set, ``physical`` or ``calibrated``.
        traffic: Name of the traffic model, a key of `TRAFFIC_MODELS`.

    Returns:
        The model.

    Raises:
        ConfigError: If a name is unknown.
    """
    values, devices, stack = load_factors(factors), load_devices(), load_stack()
    if traffic not in TRAFFIC_MODELS:
        raise unknown_name("traffic", traffic, TRAFFIC_MODELS)
    macs = workload.macs
    # The weight gradient takes the MACs of the layer, the activation gradient as many again but for the first layer.
    gradient_macs = float(2 * macs.sum() - macs[0])
    return SystemModel(
        workload=workload,
        devices=devices,
        factors=values,
        stack=stack,
        traffic=traffic,
        costs=layer_costs(workload, devices, values),
        influence=load_influence(),
        can_serve_bp=np.array([device.unlimited_endurance for device in devices]),
        static_mW=np.array([values[f"p_{device.letter}"] for device in devices]),
        rewrite_ns=np.array([device.rows * device.write_row_ns for device in devices]),
        gradient_macs=gradient_macs,
        operations=2.0 * (float(macs.sum()) + gradient_macs),
    )


@dataclass(frozen=True)
class Occupancy:
    """What lies on the forward tiers with one copy of each layer.

    Attributes:
        roles: The roles of the tiers.
        tier: Forward tier of each layer, shape ``(designs, layers)``.
        device: Device of each layer, shape ``(designs, layers)``.
        used: Arrays of one copy of every layer, shape ``(designs, forward_tiers)``.
        free: Arrays that do not hold activations, shape ``(designs, forward_tiers)``.
        capacity: Arrays of the tier, shape ``(designs, forward_tiers)``.
        layers: Number of layers, shape ``(designs, forward_tiers)``.
    """

    roles: TierRoles
    tier: IntArray
    device: IntArray
    used: FloatArray
    free: FloatArray
    capacity: FloatArray
    layers: IntArray


def tier_occupancy(model: SystemModel, tiers: IntArray, genes: IntArray) -> Occupancy:
    """Adds up what each forward tier has to hold.

    Args:
        model: The model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        The occupancy.
    """
    costs, n_forward = model.costs, model.stack.tiers - 1
    roles = tier_roles(model.can_serve_bp[tiers])
    forward_device = np.take_along_axis(tiers, roles.forward, axis=1)
    tier = genes // model.stack.pes_per_tier
    device = np.take_along_axis(forward_device, tier, axis=1)
    entry = device * len(model.workload) + np.arange(len(model.workload))
    place = (np.arange(len(tiers))[:, None] * n_forward + tier).ravel()

    def per_tier(table: FloatArray) -> FloatArray:
        return np.bincount(place, table.ravel()[entry].ravel(), len(tiers) * n_forward).reshape(-1, n_forward)

    capacity = model.stack.pes_per_tier * costs.arrays_per_pe[forward_device]
    layers = np.bincount(place, minlength=len(tiers) * n_forward).reshape(-1, n_forward)
    free = capacity - per_tier(costs.activation_arrays)
    return Occupancy(roles, tier, device, per_tier(costs.arrays), free, capacity, layers)


def evaluate_system(model: SystemModel, tiers: IntArray, genes: IntArray) -> dict[str, FloatArray]:
    """Evaluates mappings.

    Args:
        model: The model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), ``area`` (mm2), and, NaN
        where infeasible, ``period`` (ns per image), ``energy`` (pJ per image), ``power`` (W), ``peak`` (K), ``err``
        (1), ``tops_per_W`` (operations per pJ) and ``tops_per_mm2``. A design's values do not depend on the others.
    """
    occupancy = tier_occupancy(model, tiers, genes)
    excess = np.maximum(0.0, occupancy.used - occupancy.free) / occupancy.capacity
    violation = excess.sum(axis=1) + ~occupancy.roles.has_bp
    violation = np.where(violation > 0, np.maximum(violation, _LEAST_VIOLATION), 0.0)
    names = ("period", "energy", "power", "peak", "err", "tops_per_W", "tops_per_mm2")
    result = {name: np.full(len(tiers), np.nan) for name in names}
    fit = np.flatnonzero(violation == 0)
    if len(fit) == len(tiers):
        result = _evaluate_feasible(model, tiers, genes, occupancy)
    elif len(fit):
        kept = tiers[fit], genes[fit]
        for name, values in _evaluate_feasible(model, *kept, tier_occupancy(model, *kept)).items():
            result[name][fit] = values
    return {"violation": violation, "area": _area(model, occupancy), **result}


def _area(model: SystemModel, occupancy: Occupancy) -> FloatArray:
    """Area of the tiles that one copy of every layer needs, and of the back-propagation tier (mm2; HuNT eq. 5)."""
    stack, costs = model.stack, model.costs
    pes = ((costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]).ravel()
    entry = occupancy.device * len(model.workload) + np.arange(len(model.workload))
    tiles = np.ceil(stack.tiles_per_pe * pes[entry].sum(axis=1))
    return np.asarray(stack.pe_area_mm2 * (tiles / stack.tiles_per_pe + stack.pes_per_tier))


@dataclass(frozen=True)
class _Line:
    """The layers in the order in which they lie, all forward tiers end to end; arrays of shape ``(designs, layers)``.

    Attributes:
        order: Layer at each place.
        tier: Forward tier of that layer.
        start: Where it starts on its tier (PEs).
        extent: How far it reaches (PEs).
    """

    order: IntArray
    tier: IntArray
    start: FloatArray
    extent: FloatArray


def _evaluate_feasible(
    model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy
) -> dict[str, FloatArray]:
    costs, stack, batch = model.costs, model.stack, model.workload.batch
    entry = occupancy.device * len(model.workload) + np.arange(len(model.workload))
    arrays, time, held = (table.ravel()[entry] for table in (costs.arrays, costs.time, costs.activation_arrays))
    tier_period, copies = copies_period(arrays, time, occupancy.tier, occupancy.free)
    extent = (arrays * copies + held) / costs.arrays_per_pe[occupancy.device]
    line = _line(genes, occupancy, extent, stack)
    bit_hops = TRAFFIC_MODELS[model.traffic](model, occupancy.roles, line)

    forward_device = np.take_along_axis(tiers, occupancy.roles.forward, axis=1)
    rewrite = np.where(occupancy.layers > 0, model.rewrite_ns[forward_device], 0.0).max(axis=1)
    communication = bit_hops / (stack.links * stack.link_bits_per_ns)
    period = np.maximum(tier_period.max(axis=1), model.gradient_ns) + rewrite / batch + communication

    loads = np.stack([costs.energy.ravel()[entry], np.broadcast_to(costs.stored_bits, entry.shape)])
    energy, bits = _to_stack(model, occupancy.roles.bp, _per_pe(line, loads, stack))
    device = np.repeat(tiers, stack.pes_per_tier, axis=1)
    power = energy / period[:, None] + model.static_mW[device]
    gradient = model.gradient_macs * model.factors["e_bw"] / stack.pes_per_tier / period
    on_bp = np.repeat(np.arange(stack.tiers) == occupancy.roles.bp[:, None], stack.pes_per_tier, axis=1)
    power += np.where(on_bp, gradient[:, None], 0.0)
    power += (stack.hop_energy_pJ * bit_hops / stack.pes / period)[:, None]
    power *= 1e-3
    total = power.sum(axis=1)
    rise = temperature_rise(power, model.influence)
    operations = model.factors["kappa"] * model.operations
    stack_area = stack.pe_area_mm2 * stack.pes
    return {
        "period": period,
        "energy": total * period * 1e3,
        "power": total,
        "peak": stack.ambient_K + rise.max(axis=1),
        "err": _accuracy_loss(model, device, rise, bits),
        "tops_per_W": operations / (total * period * 1e3),
        "tops_per_mm2": operations / (period * 1e3) / stack_area,
    }


def _line(genes: IntArray, occupancy: Occupancy, extent: FloatArray, stack: Stack) -> _Line:
    """Lays the layers along their tiers, by tier, slot and number."""
    # A gene is tier x PEs per tier + slot, so its order is that of tiers and slots; the stable sort adds the number.
    order = np.argsort(genes.astype(np.uint8) if genes.size and stack.pes <= 2**8 else genes, axis=1, kind="stable")
    tier = np.take_along_axis(occupancy.tier, order, axis=1)
    extent = np.take_along_axis(extent, order, axis=1)
    # Summed up tier by tier from 0: the middle of a layer is often a whole number of PEs, where a rounding error of
    # other tiers would decide between two PEs.
    start = np.zeros_like(extent)
    for forward in range(stack.tiers - 1):
        here = tier == forward
        total = np.cumsum(np.where(here, extent, 0.0), axis=1)
        np.copyto(start[:, 1:], total[:, :-1], where=here[:, 1:])
    return _Line(order, tier, start, extent)


def _per_pe(line: _Line, loads: FloatArray, stack: Stack) -> FloatArray:
    """Spreads what layers carry evenly over the PEs that they cover.

    The load up to each border between PEs is piecewise linear along the line; its differences are the loads of the PEs.

    Args:
        line: The layers along the forward tiers.
        loads: Loads of each layer, shape ``(kinds, designs, layers)``, in the layers' own order.
        stack: The stack.

    Returns:
        Loads of each PE along the snakes, forward tiers end to end, shape ``(kinds, designs, forward_tiers x pes)``.
    """
    designs, n = line.order.shape
    pes, places = stack.pes_per_tier, (stack.tiers - 1) * stack.pes_per_tier
    begins = line.tier * pes + np.minimum(np.ceil(line.start), pes).astype(np.int64)
    count = np.bincount((np.arange(designs)[:, None] * (places + 1) + begins).ravel(), minlength=designs * (places + 1))
    # The last layer that begins at or before each border, or the first layer where there is none yet.
    last = np.cumsum(count.reshape(designs, -1)[:, :places], axis=1) - 1
    entry = np.maximum(last, 0) + np.arange(designs)[:, None] * n
    start = (line.start + line.tier * pes).ravel()[entry]
    share = np.clip((np.arange(places) - start) / line.extent.ravel()[entry], 0.0, 1.0)
    ordered = np.take_along_axis(loads, np.broadcast_to(line.order, loads.shape), axis=2)
    total = np.cumsum(ordered, axis=2)
    before = (total - ordered).reshape(len(loads), -1)[:, entry]
    border = before + share * ordered.reshape(len(loads), -1)[:, entry]
    return np.diff(border, axis=2, append=total[:, :, -1:])


def _to_stack(model: SystemModel, bp: IntArray, along: FloatArray) -> FloatArray:
    """Moves loads from the snakes of the forward tiers to the PEs of the stack; the BP tier carries none.

    Args:
        model: The model.
        bp: Back-propagation tier, shape ``(designs,)``.
        along: Loads along the snakes, shape ``(kinds, designs, forward_tiers x pes_per_tier)``.

    Returns:
        Loads, shape ``(kinds, designs, pes)``; PE index is pes_per_tier x tier + mesh y + x.
    """
    padded = np.concatenate([along, np.zeros((*along.shape[:2], 1))], axis=2)
    index = _stack_index(model.stack)[bp]
    return np.take_along_axis(padded, np.broadcast_to(index, (len(along), *index.shape)), axis=2)


@cache
def _stack_index(stack: Stack) -> IntArray:
    """For each BP tier, the place along the snakes of every PE, shape ``(tiers, pes)``; the place past the end on it."""
    pes, path = stack.pes_per_tier, snake(stack).pe
    index = np.full((stack.tiers, stack.tiers, pes), (stack.tiers - 1) * pes)
    for bp in range(stack.tiers):
        for place, tier in enumerate(tier for tier in range(stack.tiers) if tier != bp):
            index[bp, tier, path] = place * pes + np.arange(pes)
    return index.reshape(stack.tiers, -1)


def _accuracy_loss(model: SystemModel, device: IntArray, rise: FloatArray, bits: FloatArray) -> FloatArray:
    """Stored bits times the noise of their PEs, per stored bit (HuNT eqs 6-7), shape ``(designs,)``."""
    weighted = np.zeros_like(rise)
    for i, kind in enumerate(model.devices):
        if kind.noise != "none":
            weighted = np.where(device == i, bits * noise(rise, kind, model.stack), weighted)
    return np.asarray(weighted.sum(axis=1) / model.costs.stored_bits.sum())


def _chain_traffic(model: SystemModel, roles: TierRoles, line: _Line) -> FloatArray:
    """Every layer sends to the next one and to the back-propagation tier.

    Returns:
        Bits times hops of an image, shape ``(designs,)``.
    """
    stack, path = model.stack, _snake_of(model.stack)
    centre_sorted = np.minimum(np.floor(line.start + line.extent / 2), stack.pes_per_tier - 1).astype(np.int64)
    centre, tier = np.empty_like(centre_sorted), np.empty_like(centre_sorted)
    np.put_along_axis(centre, line.order, centre_sorted, axis=1)
    np.put_along_axis(tier, line.order, np.take_along_axis(roles.forward, line.tier, axis=1), axis=1)
    x, y = path.x[centre], path.y[centre]
    hops = np.abs(np.diff(x, axis=1)) + np.abs(np.diff(y, axis=1)) + np.abs(np.diff(tier, axis=1))
    activations = 2 * model.factors["bits"] * model.workload.activations_out
    gradients = stack.gradient_bits * model.workload.weights / model.workload.batch
    to_bp = np.abs(tier - roles.bp[:, None])
    return np.asarray((activations[:-1] * hops).sum(axis=1) + ((activations + gradients) * to_bp).sum(axis=1))


_snake_of: Callable[[Stack], Snake] = cache(snake)

TRAFFIC_MODELS: dict[str, Callable[[SystemModel, TierRoles, _Line], FloatArray]] = {"chain": _chain_traffic}
