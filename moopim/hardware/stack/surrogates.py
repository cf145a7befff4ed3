"""HuNT's surrogate objectives as printed (Ogbogu et al., IEEE TCAD 2024, eqs 2-11): sums over layers, without copies.

The paper gives proportionalities. Their constants are the figures of the devices and of the stack: time and energy of
a layer by device, rate and energy of a link, and the scales of the noise.
"""

import numpy as np

from moopim.hardware.stack.batches import Metrics, evaluate_in_blocks
from moopim.hardware.stack.communication import bit_hops
from moopim.hardware.stack.model import SystemModel
from moopim.hardware.stack.placement import Occupancy, lay_out, spread, to_stack
from moopim.hardware.stack.thermal import temperature_rise, total_noise
from moopim.typing import FloatArray, IntArray

__all__ = ["evaluate_surrogates"]


def evaluate_surrogates(model: SystemModel, tiers: IntArray, genes: IntArray) -> Metrics:
    """Evaluates mappings.

    Args:
        model: The model.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), ``pes`` (PEs that the layers
        take, eq. 5), and, NaN where infeasible, ``latency`` (ns, eqs 2-4), ``power`` (W, eqs 9-11), ``err`` (values
        times noise, eqs 6-7) and ``peak`` (K).

    Raises:
        ConfigError: If the arrays have other shapes or lengths, or a number is no device or no place of a layer.
    """
    return evaluate_in_blocks(model, tiers, genes, _pes, _evaluate_feasible)


def _pes(model: SystemModel, occupancy: Occupancy) -> Metrics:
    return {"pes": _extent(model, occupancy).sum(axis=1)}


def _extent(model: SystemModel, occupancy: Occupancy) -> FloatArray:
    """PEs that one copy of each layer and its activations take, shape ``(designs, layers)``."""
    costs = model.costs
    return ((costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]).take(occupancy.entry)


def _evaluate_feasible(model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> Metrics:
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
