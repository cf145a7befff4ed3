"""HuNT's objectives of mappings onto the 3-D stack: its system model, and its surrogates as printed.

Source: Ogbogu et al., IEEE TCAD 2024; the docs say how its gaps are read. In the system model the training pipeline is
in steady state, and bottleneck layers are copied until the tiers are full. The surrogates (eqs 2-11) are sums over
layers, without copies; their constants of proportionality are the parameters of the devices and of the stack.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moopim.checks import check_shapes
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.layer_costs import copies_period
from moopim.hardware.stack.model import Metrics, SystemModel, evaluate_in_blocks
from moopim.hardware.stack.parameters import Stack
from moopim.hardware.stack.placement import Line, Occupancy, lay_out, rows_of, spread, to_stack
from moopim.hardware.stack.traffic import bit_hops, communicate
from moopim.hardware.thermal.influence import temperature_rise
from moopim.typing import FloatArray, IntArray


class SteadyState(NamedTuple):
    """Steady state of mappings with a batch of images in the pipeline."""

    line: Line  # layers with their copies along the forward tiers
    period: FloatArray  # time per image (ns), shape (designs,)
    power: FloatArray  # of each PE (W), shape (designs, pes)
    bits: FloatArray  # weights and activations that each PE stores, shape (designs, pes)
    link_util: FloatArray | None  # busy share of the busiest link, shape (designs,); None in traffic chain


def evaluate_system(model: SystemModel, tiers: IntArray, genes: IntArray) -> Metrics:
    """Evaluate mappings with the system model: training pipeline, power and temperature in steady state.

    The period of an image is ``T = max(slowest tier with its copies, gradients) + rewriting / batch + C(T)``, with
    the communication ``C`` of `moopim.hardware.noc.network_period`. From the power ``P`` of the PEs, ``power = sum P``,
    ``energy = power T`` (eqs 9-11), ``peak = ambient_K + max(influence P)``, and ``err`` is the thermal noise
    times the stored bits, over the stored bits (eqs 6-7). With ``n`` operations per image, ``tops_per_W = kappa n /
    energy`` and ``tops_per_mm2 = kappa n / (T area of the stack)``.

    Args:
        model: Model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
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
    """Steady state of mappings that fit."""
    costs, stack, workload = model.costs, model.stack, model.workload
    arrays, time, held = (t.take(occupancy.entry) for t in (costs.arrays, costs.time, costs.activation_arrays))
    tier_period, copies = copies_period(arrays, time, occupancy.tier, occupancy.free)
    extent = (arrays * copies + held) / costs.arrays_per_pe.take(occupancy.entry // len(workload))
    line = lay_out(genes, occupancy, extent)

    bp_device = tiers.take(occupancy.bp + rows_of(tiers, stack.tiers)[:, 0])
    busy = np.maximum(tier_period.max(axis=1), model.gradient_ns[bp_device])
    rewrite = np.where(occupancy.layers > 0, model.rewrite_ns[occupancy.forward_device], 0.0).max(axis=1)
    period, sent, link_util = communicate(model, occupancy, line, busy, rewrite / workload.batch)

    loads = np.stack([costs.energy.take(occupancy.entry.take(line.flat)), costs.stored_bits.take(line.layer)])
    energy, bits = to_stack(stack, occupancy.bp, spread(line, loads, stack))
    power = _power(model, tiers, occupancy.bp, energy, sent, period)
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
    model: SystemModel, tiers: IntArray, bp: IntArray, energy: FloatArray, sent: FloatArray, period: FloatArray
) -> FloatArray:
    """Power of each PE (W): layers, static, gradients on the BP tier, communication; shape ``(designs, pes)``."""
    stack = model.stack
    tier_mw = model.static_mW[tiers] + (stack.hop_energy_pJ * sent / (stack.pes * period))[:, None]
    place = bp + rows_of(tiers, stack.tiers)[:, 0]
    tier_mw.ravel()[place] += model.gradient_pJ[tiers.take(place)] / (stack.pes_per_tier * period)
    power = energy / period[:, None] + np.repeat(tier_mw, stack.pes_per_tier, axis=1)
    power *= 1e-3
    return np.asarray(power)


def evaluate_surrogates(model: SystemModel, tiers: IntArray, genes: IntArray) -> Metrics:
    """Evaluate mappings with the surrogates of the paper as printed (HuNT, TCAD 2024, eqs 2-11).

    ``latency = sum of the times of layers + bit_hops / link_bits_per_ns`` (eqs 2-4), ``power = sum of the energies of
    layers and links / latency + static power`` (eqs 9-11), ``err = sum over PEs of values x noise`` (eqs 6-7), with the
    noise ``exp(rise / noise_scale_K)`` of an ``exponential`` device.

    Args:
        model: Model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), ``pes`` (PEs that the layers
        take, eq. 5), and, NaN where infeasible, ``latency`` (ns, eqs 2-4), ``power`` (W, eqs 9-11), ``err`` (values
        times noise, eqs 6-7) and ``peak`` (K).

    Raises:
        ConfigError: If the arrays have other shapes or lengths, or a number is no device or no place of a layer.
    """
    return evaluate_in_blocks(model, tiers, genes, _pes, _feasible_surrogates)


def _pes(model: SystemModel, occupancy: Occupancy) -> Metrics:
    return {"pes": _extent(model, occupancy).sum(axis=1)}


def _extent(model: SystemModel, occupancy: Occupancy) -> FloatArray:
    """PEs that one copy of each layer and its activations take, shape ``(designs, layers)``."""
    costs = model.costs
    return ((costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]).take(occupancy.entry)


def _feasible_surrogates(model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> Metrics:
    costs, stack, workload = model.costs, model.stack, model.workload
    line = lay_out(genes, occupancy, _extent(model, occupancy))
    sent = bit_hops(model, occupancy, line)
    latency = costs.time.take(occupancy.entry).sum(axis=1) + sent / stack.link_bits_per_ns

    values = (workload.weights + workload.activations_out).astype(np.float64)
    loads = np.stack([costs.energy.take(occupancy.entry.take(line.flat)), line.extent, values.take(line.layer)])
    energy, covered, stored = to_stack(stack, occupancy.bp, spread(line, loads, stack))
    energy = energy + (stack.hop_energy_pJ * sent / stack.pes)[:, None]
    static = np.repeat(model.static_mW[tiers], stack.pes_per_tier, axis=1) * covered
    power = 1e-3 * (energy / latency[:, None] + static)
    rise = temperature_rise(power, model.influence)
    return {
        "latency": latency,
        "power": power.sum(axis=1),
        "err": total_noise(stored, tiers, rise, model.devices, stack, printed=True),
        "peak": model.ambient_K + rise.max(axis=1),
    }


def noise(rise: FloatArray, device: StackDevice, stack: Stack, *, printed: bool = False) -> FloatArray:
    """Thermal noise of a device relative to its stored values, shape of ``rise`` over ambient (K) (HuNT eq. 7).

    If ``printed``, an ``exponential`` device has noise at no rise, ``exp(0) = 1``, as the paper prints it.
    """
    if device.noise == "exponential":
        exponent = np.minimum(rise / stack.noise_scale_K, stack.noise_exponent_cap)
        return np.asarray(stack.noise_exponential * (np.exp(exponent) - (0.0 if printed else 1.0)))
    return rise * stack.noise_linear_per_K if device.noise == "linear" else np.zeros_like(rise)


def total_noise(
    held: FloatArray,
    tiers: IntArray,
    rise: FloatArray,
    devices: Sequence[StackDevice],
    stack: Stack,
    *,
    printed: bool = False,
) -> FloatArray:
    """Noise of all PEs, times the bits or values that they hold (HuNT eq. 6); shape ``(designs,)``.

    ``held`` and the temperature ``rise`` (K) have shape ``(designs, pes)``, ``tiers`` ``(designs, tiers)``.
    """
    shape = (len(rise), stack.pes)
    check_shapes(rise=(rise, shape), held=(held, shape), tiers=(tiers, (len(rise), stack.tiers)))
    weighted = np.zeros_like(rise)
    device = np.repeat(tiers, stack.pes_per_tier, axis=1)
    for i, kind in enumerate(devices):
        if kind.noise != "none":
            np.multiply(held, noise(rise, kind, stack, printed=printed), out=weighted, where=device == i)
    return np.asarray(weighted.sum(axis=1))
