"""HuNT's system model: period, area, power, temperature and accuracy loss of mappings onto the 3-D stack.

Source: Ogbogu et al., IEEE TCAD 2024; the docs say how its gaps are read. The training pipeline is in steady state,
bottleneck layers are copied until the tiers are full. `moopim.hardware.stack.surrogates` has the paper's equations to
the letter.
"""

from typing import NamedTuple

import numpy as np

from moopim.hardware.stack.batches import Metrics, evaluate_in_blocks
from moopim.hardware.stack.communication import communicate
from moopim.hardware.stack.copies import copies_period
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.placement import Line, Occupancy, lay_out, rows_of, spread, to_stack
from moopim.hardware.stack.thermal import temperature_rise, total_noise
from moopim.typing import FloatArray, IntArray

__all__ = ["SteadyState", "evaluate_system", "steady_state"]


class SteadyState(NamedTuple):
    """Mappings at work, a batch of images in the pipeline.

    Attributes:
        line: The layers with their copies along the forward tiers.
        period: Time per image (ns), shape ``(designs,)``.
        power: Power of each PE (W), shape ``(designs, pes)``.
        bits: Bits of weights and activations that each PE stores, shape ``(designs, pes)``.
        link_util: Busy share of the busiest link, shape ``(designs,)``; None in traffic ``chain``.
    """

    line: Line
    period: FloatArray
    power: FloatArray
    bits: FloatArray
    link_util: FloatArray | None


def evaluate_system(model: SystemModel, tiers: IntArray, genes: IntArray) -> Metrics:
    """Evaluates mappings.

    Args:
        model: The model.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), ``area`` (mm2), and, NaN
        where infeasible, ``period`` (ns per image), ``energy`` (pJ per image), ``power`` (W), ``peak`` (K), ``err``
        (1), ``tops_per_W`` (operations per pJ) and ``tops_per_mm2``; in traffic ``graph`` also ``link_util`` (busy
        share of the busiest link). A design's values do not depend on the others, not even in their last bit.

    Raises:
        ConfigError: If the arrays have other shapes or lengths, or a number is no device or no place of a layer.
    """
    return evaluate_in_blocks(model, tiers, genes, _area, _evaluate_feasible)


def _area(model: SystemModel, occupancy: Occupancy) -> Metrics:
    """Area of the tiles that one copy of every layer needs, and of the back-propagation tier (mm2; HuNT eq. 5)."""
    stack, costs = model.stack, model.costs
    pes = (costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]
    tiles = np.ceil(stack.tiles_per_pe * pes.take(occupancy.entry).sum(axis=1))
    return {"area": stack.pe_area_mm2 * (tiles / stack.tiles_per_pe + stack.pes_per_tier)}


def steady_state(model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> SteadyState:
    """Finds what mappings that fit come to when they run.

    Args:
        model: The model.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        occupancy: Their occupancy.

    Returns:
        The steady state.
    """
    costs, stack, workload = model.costs, model.stack, model.workload
    arrays, time, held = (t.take(occupancy.entry) for t in (costs.arrays, costs.time, costs.activation_arrays))
    tier_period, copies = copies_period(arrays, time, occupancy.tier, occupancy.free)
    extent = (arrays * copies + held) / costs.arrays_per_pe.take(occupancy.entry // len(workload))
    line = lay_out(genes, occupancy, extent)

    bp_device = tiers.take(occupancy.bp + rows_of(tiers, stack.tiers)[:, 0])
    busy = np.maximum(tier_period.max(axis=1), model.gradient_ns[bp_device])
    rewrite = np.where(occupancy.layers > 0, model.rewrite_ns[occupancy.forward_device], 0.0).max(axis=1)
    period, bit_hops, link_util = communicate(model, occupancy, line, busy, rewrite / workload.batch)

    loads = np.stack([costs.energy.take(occupancy.entry.take(line.flat)), costs.stored_bits.take(line.layer)])
    energy, bits = to_stack(stack, occupancy.bp, spread(line, loads, stack))
    power = _power(model, tiers, occupancy.bp, energy, bit_hops, period)
    return SteadyState(line, period, power, bits, link_util)


def _evaluate_feasible(model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> Metrics:
    _, period, power, bits, link_util = steady_state(model, tiers, genes, occupancy)
    total = power.sum(axis=1)
    rise = temperature_rise(power, model.influence)
    pj = total * period * 1e3
    stack, operations = model.stack, model.factors.kappa * model.operations
    links = {} if link_util is None else {"link_util": link_util}
    return links | {
        "period": period,
        "energy": pj,
        "power": total,
        "peak": model.ambient_K + rise.max(axis=1),
        "err": total_noise(bits, tiers, rise, model.devices, stack) / model.costs.stored_bits.sum(),
        "tops_per_W": operations / pj,
        "tops_per_mm2": operations / (period * 1e3) / (stack.pe_area_mm2 * stack.pes),
    }


def _power(
    model: SystemModel, tiers: IntArray, bp: IntArray, energy: FloatArray, bit_hops: FloatArray, period: FloatArray
) -> FloatArray:
    """Power of each PE (W): layers, static, gradients on the BP tier, communication; shape ``(designs, pes)``."""
    stack = model.stack
    tier_mw = model.static_mW[tiers] + (stack.hop_energy_pJ * bit_hops / (stack.pes * period))[:, None]
    place = bp + rows_of(tiers, stack.tiers)[:, 0]
    tier_mw.ravel()[place] += model.gradient_pJ[tiers.take(place)] / (stack.pes_per_tier * period)
    power = energy / period[:, None] + np.repeat(tier_mw, stack.pes_per_tier, axis=1)
    power *= 1e-3
    return np.asarray(power)
