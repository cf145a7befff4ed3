"""HuNT's idealised model of mappings onto the 3-D stack, and the surrogates of the paper as printed.

Source: Ogbogu et al., IEEE TCAD 2024; the docs say how its gaps are read. In the idealised model the training pipeline
is in steady state, and bottleneck layers are copied, as fractions, until the tiers are full. The surrogates (eqs 2-11)
are sums over layers, without copies; their constants of proportionality are the parameters of the devices and of the
stack. `moopim.hardware.stack.system` has the model that searches should use.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moopim.constants import bounds_of
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc import MODES as NOC_MODES
from moopim.hardware.noc.parameters import NocParameters
from moopim.hardware.noc.queueing import unchecked_period
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.engine import GradientEngine
from moopim.hardware.stack.layer_costs import IdealisedCosts, copies_period, idealised_costs, mac_rate
from moopim.hardware.stack.model import Metrics, StackModel, checked_parameters, evaluate_in_blocks, model_parts
from moopim.hardware.stack.noise import total_noise
from moopim.hardware.stack.parameters import Operation, Parameters
from moopim.hardware.stack.placement import Line, Occupancy, lay_out, rows_of, spread, to_stack
from moopim.hardware.stack.traffic import chain_traffic, graph_traffic
from moopim.hardware.thermal.influence import temperature_rise
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload

TRAFFIC = ("graph", "chain")
"""Traffic between layers: as they read each other in the network, or from each to the next one."""

# Parameters of the system model, and of baselines.
_WITHOUT_EFFECT = (
    *("nonvolatile", "endurance", "static_slope_per_K", "phi_HX", "g_f"),
    *bounds_of(Operation),
    *bounds_of(GradientEngine),
)


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a model equals itself only
class IdealisedModel(StackModel[IdealisedCosts]):
    """Idealised model of a network on a 3-D stack: everything that does not depend on the design.

    Attributes:
        traffic: One of `TRAFFIC`.
        noc: NoC latency model, one of `moopim.hardware.noc.MODES`.
        routers: Routers and packets.
        gradient_ns: Time of the gradients of an image on a tier of the device (ns), shape ``(devices,)``; 0 where it
            cannot serve back-propagation.
        gradient_pJ: Energy of these gradients (pJ), shape ``(devices,)``.
    """

    traffic: str
    noc: str
    routers: NocParameters
    gradient_ns: FloatArray
    gradient_pJ: FloatArray


def idealised_model(
    workload: Workload,
    factors: str = "physical",
    traffic: str = "graph",
    *,
    noc: str = "queue",
    devices: str = "S,R,F",
    stack: str = "",
    override: str = "",
    thermal: str = "hotspot",
    bp_tier: str = "free",
) -> IdealisedModel:
    """Prepare the idealised model of a network that is trained on a 3-D stack (HuNT).

    Args:
        workload: Network that is trained.
        factors: Factor set: ``physical``, ``calibrated`` or a TOML file.
        traffic: One of `TRAFFIC`.
        noc: NoC latency model of traffic ``graph``, one of `moopim.hardware.noc.MODES`; ``chain`` has distances only.
        devices: Devices of the tiers, such as ``S,R,F:parallel`` or ``S,R,my_device.toml``.
        stack: TOML file in place of the built-in stack; the built-in one if empty.
        override: Overrides of single parameters, such as ``kappa=4,mesh=6,R.static_mW=5``; see
            `moopim.hardware.stack.parameters.load_parameters`.
        thermal: Thermal model, one of `moopim.hardware.thermal.THERMAL_MODES`.
        bp_tier: One of `moopim.hardware.stack.BP_TIERS`.

    Returns:
        Model.

    Raises:
        ConfigError: If a name or a parameter is not usable.
    """
    for what, name, allowed in (("traffic", traffic, TRAFFIC), ("noc", noc, NOC_MODES)):
        if name not in allowed:
            raise unknown_name(what, name, allowed)
    if (traffic, noc) == ("chain", "paper"):
        raise ConfigError("noc 'paper' is given with traffic 'chain', which has no packets; expected traffic 'graph'")
    parameters = checked_parameters(workload, factors, devices, stack, override, _WITHOUT_EFFECT)
    parts = model_parts(
        workload, parameters, idealised_costs(workload, parameters.devices, parameters.factors), thermal, bp_tier
    )
    rates = [_gradient_rate(device, parameters) for device in parameters.devices]
    return IdealisedModel(
        **parts,
        traffic=traffic,
        noc=noc,
        routers=parameters.noc,
        gradient_ns=np.array([parts["gradient_macs"] / rate if rate else 0.0 for rate in rates]),
        gradient_pJ=np.array([parts["gradient_macs"] * device.gradient_pJ for device in parameters.devices]),
    )


def _gradient_rate(device: StackDevice, parameters: Parameters) -> float:
    """Gradient MACs of a tier per time (1/ns); 0 if it cannot serve back-propagation."""
    if not device.serves_back_propagation:
        return 0.0
    if not (device.gradient_speedup and device.gradient_pJ):
        raise ConfigError(
            f"device {device.letter!r} serves back-propagation; expected gradient_speedup and gradient_pJ above 0 in "
            "the idealised model"
        )
    return device.gradient_speedup * parameters.stack.pes_per_tier * mac_rate(device, parameters.factors.bits)


class SteadyState(NamedTuple):
    """Steady state of mappings with a batch of images in the pipeline."""

    line: Line  # layers with their copies along the forward tiers
    period: FloatArray  # time per image (ns), shape (designs,)
    power: FloatArray  # of each PE (W), shape (designs, pes)
    bits: FloatArray  # weights and activations that each PE stores, shape (designs, pes)
    link_util: FloatArray | None  # busy share of the busiest link, shape (designs,); None in traffic chain


def evaluate_idealised(model: IdealisedModel, tiers: IntArray, genes: IntArray) -> Metrics:
    """Evaluate mappings with the idealised model: training pipeline, power and temperature in steady state.

    The period of an image is ``T = max(slowest tier with its copies, gradients) + rewriting / batch + C(T)``, with
    the communication ``C`` of `moopim.hardware.noc.network_period`. From the power ``P`` of the PEs, ``power = sum P``,
    ``energy = power T`` (eqs 9-11), ``peak = ambient_K + max(influence P)``, and ``err`` is the thermal noise
    times the stored bits, over the stored bits (eqs 6-7). With ``n`` counted operations per image, ``tops_per_W = n /
    energy`` and ``tops_per_mm2 = n / (T area of the stack)``.

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


def _area(model: IdealisedModel, occupancy: Occupancy) -> Metrics:
    """Area of the tiles that one copy of every layer needs, and of the back-propagation tier (mm2; HuNT eq. 5)."""
    stack, costs = model.stack, model.costs
    pes = (costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]
    tiles = np.ceil(stack.tiles_per_pe * pes.take(occupancy.entry).sum(axis=1))
    return {"area": stack.pe_area_mm2 * (tiles / stack.tiles_per_pe + stack.pes_per_tier)}


def steady_state(model: IdealisedModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> SteadyState:
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


def _evaluate_feasible(model: IdealisedModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> Metrics:
    _, period, power, bits, link_util = steady_state(model, tiers, genes, occupancy)
    total = power.sum(axis=1)
    rise = temperature_rise(power, model.influence)
    pj = total * period * 1e3
    stack, operations = model.stack, model.operations
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
    model: IdealisedModel, tiers: IntArray, bp: IntArray, energy: FloatArray, sent: FloatArray, period: FloatArray
) -> FloatArray:
    """Power of each PE (W): layers, static, gradients on the BP tier, communication; shape ``(designs, pes)``."""
    stack = model.stack
    tier_mw = model.static_mW[tiers] + (stack.hop_energy_pJ * sent / (stack.pes * period))[:, None]
    place = bp + rows_of(tiers, stack.tiers)[:, 0]
    tier_mw.ravel()[place] += model.gradient_pJ[tiers.take(place)] / (stack.pes_per_tier * period)
    power = energy / period[:, None] + np.repeat(tier_mw, stack.pes_per_tier, axis=1)
    power *= 1e-3
    return np.asarray(power)


class Communication(NamedTuple):
    """Period with its communication."""

    period: FloatArray  # time per image (ns), shape (designs,)
    bit_hops: FloatArray  # bits times hops of an image, shape (designs,)
    utilisation: FloatArray | None  # busy share of the busiest link, shape (designs,); None in traffic chain


def communicate(
    model: IdealisedModel, occupancy: Occupancy, line: Line, busy: FloatArray, rest: FloatArray
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
    traffic, routers = graph_traffic(model.workload, bits, stack, model.routers, occupancy, line), model.routers
    found = unchecked_period(busy, rest, traffic, routers, routers.flit_bits / stack.link_bits_per_ns, model.noc)
    return Communication(found.period, routers.flit_bits * traffic.flits.sum(axis=1), found.utilisation)


def bit_hops(model: IdealisedModel, occupancy: Occupancy, line: Line) -> FloatArray:
    """Bits times hops of an image, shape ``(designs,)``."""
    bits = model.factors.bits
    if model.traffic == "chain":
        return chain_traffic(model.workload, bits, model.stack, occupancy, line)
    traffic = graph_traffic(model.workload, bits, model.stack, model.routers, occupancy, line)
    return np.asarray(model.routers.flit_bits * traffic.flits.sum(axis=1))


def evaluate_surrogates(model: IdealisedModel, tiers: IntArray, genes: IntArray) -> Metrics:
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


def _pes(model: IdealisedModel, occupancy: Occupancy) -> Metrics:
    return {"pes": _extent(model, occupancy).sum(axis=1)}


def _extent(model: IdealisedModel, occupancy: Occupancy) -> FloatArray:
    """PEs that one copy of each layer and its activations take, shape ``(designs, layers)``."""
    costs = model.costs
    return ((costs.arrays + costs.activation_arrays) / costs.arrays_per_pe[:, None]).take(occupancy.entry)


def _feasible_surrogates(model: IdealisedModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy) -> Metrics:
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
