"""HuNT's system model: period, area, power, temperature and accuracy loss of mappings onto the 3-D stack.

Source: Ogbogu et al., "HuNT: Exploiting Heterogeneous PIM Devices to Design a 3-D Manycore Architecture for DNN
Training", IEEE TCAD 2024. The paper leaves much open; the docs say how each gap is read. Units are ns, pJ and, inside,
mW per PE (pJ/ns).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from moopim.errors import unknown_name
from moopim.hardware.stack.copies import copies_period
from moopim.hardware.stack.layer_costs import LayerCosts, device_arrays, layer_costs, vector_time
from moopim.hardware.stack.parameters import (
    Device,
    Factors,
    Stack,
    load_devices,
    load_factors,
    load_influence,
    load_stack,
)
from moopim.hardware.stack.placement import Occupancy, lay_out, rows_of, spread, tier_occupancy, to_stack
from moopim.hardware.stack.thermal import noise, temperature_rise
from moopim.hardware.stack.traffic import TRAFFIC_MODELS
from moopim.workload import Workload

__all__ = ["SystemModel", "evaluate_system", "occupy", "system_model"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A mapping that does not fit violates its constraint by at least this much.
_LEAST_VIOLATION = 1e-3

# Designs that are evaluated at a time: the arrays of so many stay in the processor's cache.
_BLOCK = 256


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
        vector = self.factors["bits"] ** 2 * vector_time(sram, self.factors)
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


def occupy(model: SystemModel, tiers: IntArray, genes: IntArray) -> Occupancy:
    """Adds up what each forward tier has to hold; see `moopim.hardware.stack.placement.tier_occupancy`.

    Args:
        model: The model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        The occupancy.
    """
    return tier_occupancy(model.costs, model.stack, model.can_serve_bp, tiers, genes)


def evaluate_system(model: SystemModel, tiers: IntArray, genes: IntArray) -> dict[str, FloatArray]:
    """Evaluates mappings.

    Args:
        model: The model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), ``area`` (mm2), and, NaN
        where infeasible, ``period`` (ns per image), ``energy`` (pJ per image), ``power`` (W), ``peak`` (K), ``err``
        (1), ``tops_per_W`` (operations per pJ) and ``tops_per_mm2``. A design's values do not depend on the others,
        not even in their last bit.
    """
    # NumPy adds in the order of memory: only rows in one piece are added up alike in every batch.
    tiers, genes = np.ascontiguousarray(tiers), np.ascontiguousarray(genes)
    starts = range(0, max(len(tiers), 1), _BLOCK)
    blocks = [_evaluate_block(model, tiers[start : start + _BLOCK], genes[start : start + _BLOCK]) for start in starts]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks[1:] else blocks[0]


def _evaluate_block(model: SystemModel, tiers: IntArray, genes: IntArray) -> dict[str, FloatArray]:
    occupancy = occupy(model, tiers, genes)
    excess = np.maximum(0.0, occupancy.used - occupancy.free) / occupancy.capacity
    violation = excess.sum(axis=1) + ~occupancy.has_bp
    violation = np.where(violation > 0, np.maximum(violation, _LEAST_VIOLATION), 0.0)
    result = {"violation": violation, "area": _area(model, occupancy)}
    fit = np.flatnonzero(violation == 0)
    if len(fit) == len(tiers):
        return result | _evaluate_feasible(model, tiers, genes, occupancy)
    feasible = _evaluate_feasible(model, tiers[fit], genes[fit], occupancy.select(fit))
    for name, values in feasible.items():
        result[name] = np.full(len(tiers), np.nan)
        result[name][fit] = values
    return result


def _area(model: SystemModel, occupancy: Occupancy) -> FloatArray:
    """Area of the tiles that one copy of every layer needs, and of the back-propagation tier (mm2; HuNT eq. 5)."""
    stack, costs = model.stack, model.costs
    pes = (costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]
    tiles = np.ceil(stack.tiles_per_pe * pes.take(occupancy.entry).sum(axis=1))
    return np.asarray(stack.pe_area_mm2 * (tiles / stack.tiles_per_pe + stack.pes_per_tier))


def _evaluate_feasible(
    model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy
) -> dict[str, FloatArray]:
    costs, stack, workload, factors = model.costs, model.stack, model.workload, model.factors
    arrays, time, held = (t.take(occupancy.entry) for t in (costs.arrays, costs.time, costs.activation_arrays))
    tier_period, copies = copies_period(arrays, time, occupancy.tier, occupancy.free)
    extent = (arrays * copies + held) / costs.arrays_per_pe.take(occupancy.entry // len(workload))
    line = lay_out(genes, occupancy, extent)
    bit_hops = TRAFFIC_MODELS[model.traffic](workload, factors["bits"], stack, occupancy, line)

    rewrite = np.where(occupancy.layers > 0, model.rewrite_ns[occupancy.forward_device], 0.0).max(axis=1)
    communication = bit_hops / (stack.links * stack.link_bits_per_ns)
    period = np.maximum(tier_period.max(axis=1), model.gradient_ns) + rewrite / workload.batch + communication

    loads = np.stack([costs.energy.take(occupancy.entry.take(line.flat)), costs.stored_bits.take(line.layer)])
    energy, bits = to_stack(stack, occupancy.bp, spread(line, loads, stack))
    power = _power(model, tiers, occupancy.bp, energy, bit_hops, period)
    total = power.sum(axis=1)
    rise = temperature_rise(power, model.influence)
    pj = total * period * 1e3
    operations = factors["kappa"] * model.operations
    return {
        "period": period,
        "energy": pj,
        "power": total,
        "peak": stack.ambient_K + rise.max(axis=1),
        "err": _accuracy_loss(model, tiers, rise, bits),
        "tops_per_W": operations / pj,
        "tops_per_mm2": operations / (period * 1e3) / (stack.pe_area_mm2 * stack.pes),
    }


def _power(
    model: SystemModel, tiers: IntArray, bp: IntArray, energy: FloatArray, bit_hops: FloatArray, period: FloatArray
) -> FloatArray:
    """Power of each PE (W): layers, static, gradients on the BP tier, communication; shape ``(designs, pes)``."""
    stack = model.stack
    tier_mw = model.static_mW[tiers] + (stack.hop_energy_pJ * bit_hops / (stack.pes * period))[:, None]
    gradients = model.gradient_macs * model.factors["e_bw"] / (stack.pes_per_tier * period)
    tier_mw.ravel()[bp + rows_of(tiers, stack.tiers)[:, 0]] += gradients
    power = energy / period[:, None] + np.repeat(tier_mw, stack.pes_per_tier, axis=1)
    power *= 1e-3
    return np.asarray(power)


def _accuracy_loss(model: SystemModel, tiers: IntArray, rise: FloatArray, bits: FloatArray) -> FloatArray:
    """Stored bits times the noise of their PEs, per stored bit (HuNT eqs 6-7), shape ``(designs,)``."""
    weighted = np.zeros_like(rise)
    device = np.repeat(tiers, model.stack.pes_per_tier, axis=1)
    for i, kind in enumerate(model.devices):
        if kind.noise != "none":
            np.multiply(bits, noise(rise, kind, model.stack), out=weighted, where=device == i)
    return np.asarray(weighted.sum(axis=1) / model.costs.stored_bits.sum())
