r"""System model of DNN training on the 3-D stack: copies at a common pace, a gradient engine, leakage, lifetime.

After HuNT (Ogbogu et al., IEEE TCAD 2024), whose quantities it computes; the paper leaves most of the model open.
Layers are the stages of a pipeline. The gene ``pace`` sets the time in which each layer shall be done with an image,
and every layer gets the fewest copies that keep it. Units are ns, pJ, mW (pJ/ns), W, K and mm2; ``docs/hunt.md`` has
the equations with their sources, and what remains simplified.

Sums run in a fixed order, so that `moopim.hardware.stack.compiled` gives the same bits.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from moopim.checks import numbers
from moopim.constants import constant, read_table
from moopim.errors import unknown_name
from moopim.hardware.stack.compiled import SCALARS, Compiled, evaluate_compiled
from moopim.hardware.stack.engine import engine_rates, load_precision
from moopim.hardware.stack.layer_costs import SystemCosts, system_costs
from moopim.hardware.stack.model import (
    Metrics,
    StackModel,
    check_mappings,
    checked_parameters,
    evaluate_in_blocks,
    model_parts,
)
from moopim.hardware.stack.noise import total_noise
from moopim.hardware.stack.parameters import Operation, Parameters
from moopim.hardware.stack.placement import Line, Occupancy, lay_out, rows_of, snake
from moopim.hardware.stack.traffic import add_columns, between_layers, column_loads, part_nodes
from moopim.hardware.thermal.leakage import heat_gain, leaky_rise
from moopim.typing import FloatArray, IntArray
from moopim.workload import Workload

Wear = Literal["cell", "tier"]
"""End of life of a tier: its first worn-out cell, or all cells under ideal wear levelling."""
WEAR = get_args(Wear)

# Parameters of the idealised model, of its baselines and of its queues.
_WITHOUT_EFFECT = ("gradient_speedup", "gradient_pJ", "phi_HX", "g_f", "fixed_cycles", "hop_cycles", "packet_flits")
_GUARD = 1e-9  # a ratio that should be whole is, despite rounding


@dataclass(frozen=True)
class PaceTables:
    """Layers at each level of the pace, on each device; arrays of shape ``(levels, devices, layers)``."""

    copies: FloatArray
    arrays: FloatArray  # arrays of all copies and of the activations
    stage_ns: FloatArray  # time of the stage
    busy_ns: FloatArray  # time in which the arrays read and are written, of an image


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a model equals itself only
class SystemModel(StackModel[SystemCosts]):
    """System model of a network on a 3-D stack: everything that does not depend on the design.

    Attributes:
        operation: Operation of the stack.
        precision: Number format of the gradient engine.
        wear: One of `WEAR`.
        paced: Layers at each level of the pace.
        nonvolatile: Whether each device can be gated, shape ``(devices,)``.
        slope_per_K: Relative growth of the static power of each device (1/K), shape ``(devices,)``.
        gradient_rate: Gradient MACs of a BP tier of each device per time (1/ns), shape ``(devices,)``.
        gradient_ns: Time of the gradients of an image (ns), shape ``(devices,)``.
        gradient_pJ: Energy of these gradients (pJ), shape ``(devices,)``.
        gradient_store: Weight gradients of a batch over the memory of the BP tier, shape ``(devices,)``; NaN for
            ``macs``.
        cell_lifetime: Images until the first cell of a layer has had the writes that it endures, shape
            ``(devices, layers)``; infinite where nothing is written.
        array_endurance: Writes that all cells of an array endure, shape ``(devices,)``.
        engine_share: Share of a PE of the BP tier that the gradient engine takes; the rest is its memory.
        training_images: Images of a training, epochs times training set; NaN for an unknown data set.
    """

    operation: Operation
    precision: str
    wear: Wear
    paced: PaceTables
    nonvolatile: FloatArray
    slope_per_K: FloatArray
    gradient_rate: FloatArray
    gradient_ns: FloatArray
    gradient_pJ: FloatArray
    gradient_store: FloatArray
    cell_lifetime: FloatArray
    array_endurance: FloatArray
    engine_share: float
    training_images: float

    @property
    def levels(self) -> int:
        """Values of the gene ``pace``."""
        return self.operation.pace_levels


def system_model(
    workload: Workload,
    factors: str = "physical",
    *,
    precision: str = "int8",
    wear: Wear = "cell",
    devices: str = "S,R,F",
    stack: str = "",
    override: str = "",
    thermal: str = "hotspot",
    bp_tier: str = "free",
) -> SystemModel:
    """Prepare the system model of a network that is trained on a 3-D stack (HuNT).

    Args:
        workload: Network that is trained.
        factors: Factor set: ``physical`` or a TOML file.
        precision: Number format of the gradient engine: ``int8``, ``fp16`` or ``fp32``.
        wear: One of `WEAR`.
        devices: Devices of the tiers, such as ``S,R,F:parallel`` or ``S,R,my_device.toml``.
        stack: TOML file in place of the built-in stack; the built-in one if empty.
        override: Overrides of single parameters, such as ``kappa=4,engine_share=0.4,R.static_mW=5``; see
            `moopim.hardware.stack.parameters.load_parameters`.
        thermal: Thermal model, one of `moopim.hardware.thermal.THERMAL_MODES`.
        bp_tier: One of `moopim.hardware.stack.BP_TIERS`.

    Returns:
        Model.

    Raises:
        ConfigError: If a name or a parameter is not usable, or no unit of the gradient engine fits into a PE.
    """
    if wear not in WEAR:
        raise unknown_name("wear", wear, WEAR)
    parameters = checked_parameters(workload, factors, devices, stack, override, _WITHOUT_EFFECT)
    costs = system_costs(workload, parameters.devices, parameters.factors)
    parts = model_parts(workload, parameters, costs, thermal, bp_tier)
    rates = np.array([_gradient_rate(parameters, i, precision) for i in range(len(parameters.devices))])
    return SystemModel(
        **parts,
        operation=parameters.operation,
        precision=precision,
        wear=wear,
        paced=_pace_tables(workload, costs, parameters.operation),
        nonvolatile=np.array([device.nonvolatile for device in parameters.devices], dtype=np.float64),
        slope_per_K=np.array([device.static_slope_per_K for device in parameters.devices]),
        gradient_rate=rates[:, 0],
        gradient_ns=parts["gradient_macs"] / rates[:, 0],
        gradient_pJ=parts["gradient_macs"] * rates[:, 1],
        gradient_store=np.array([_gradient_store(workload, parameters, i) for i in range(len(parameters.devices))]),
        cell_lifetime=_cell_lifetime(workload, costs, parameters),
        array_endurance=np.array([device.endurance * (device.rows * device.columns) for device in parameters.devices]),
        engine_share=parameters.engine.engine_share,
        training_images=parameters.operation.epochs * _training_set(workload.dataset),
    )


def _gradient_rate(parameters: Parameters, device: int, precision: str) -> tuple[float, float]:
    """Gradient MACs of a BP tier of a device per time (1/ns), and energy of one (pJ)."""
    used, stack = parameters.devices[device], parameters.stack
    rates = engine_rates(parameters.engine, load_precision(precision), stack.pe_area_mm2, stack.pes_per_tier)
    if used.read == "macs":
        return stack.pes_per_tier * used.arrays_per_pe / used.step_ns, used.vector_pJ
    return rates.macs_per_ns, rates.mac_pJ


def _gradient_store(workload: Workload, parameters: Parameters, device: int) -> float:
    """Weight gradients of a batch over the bits of the arrays that the engine leaves on a BP tier."""
    used, stack = parameters.devices[device], parameters.stack
    if used.read == "macs":
        return np.nan
    bits = stack.pes_per_tier * used.arrays_per_pe * used.rows * used.columns * used.bits_per_cell
    return stack.gradient_bits * float(workload.weights.sum()) / ((1 - parameters.engine.engine_share) * bits)


def _cell_lifetime(workload: Workload, costs: SystemCosts, parameters: Parameters) -> FloatArray:
    """A cell that holds activations is written once in ``n_act`` images, one that holds weights once per batch."""
    writes, n_act = np.full(costs.arrays.shape, 1.0 / workload.batch), parameters.factors.n_act
    if n_act > 0:
        writes = np.where(costs.activation_writes > 0, np.maximum(1.0 / n_act, writes), writes)
    endurance = np.array([device.endurance for device in parameters.devices])
    return np.where(costs.weight_writes > 0, endurance[:, None] / writes, np.inf)


def _training_set(dataset: str) -> float:
    """Images of the training set of a data set; NaN for an unknown one."""
    table = read_table("moopim.hardware", "stack_operation.toml")["training_images"]
    return constant(f"training images of {dataset}", table[dataset]) if dataset in table else np.nan


def _pace_tables(workload: Workload, costs: SystemCosts, operation: Operation) -> PaceTables:
    r"""Copies and stages of every layer at every level of the pace.

    .. math::
        p_i &= \mathrm{clip}(\lfloor \max(wanted, t_{w,i}) / t_{pos,i} \rfloor, 1, v_i), \quad
        c_i = \lceil v_i / p_i \rceil \\
        t_i &= \max(\lceil v_i / c_i \rceil \, t_{pos,i}, t_{w,i})

    With ``v`` positions, ``t_pos`` the time of one on a copy and ``t_w`` that to write the activations, which no copy
    makes shorter.
    """
    positions = workload.positions.astype(np.float64)
    wanted = np.maximum(operation.wanted_ns[:, None, None], costs.write_ns)
    with np.errstate(over="ignore"):
        per_copy = np.clip(np.floor(wanted / costs.position_ns + _GUARD), 1, positions)
    copies = np.ceil(positions / per_copy)
    read_ns = np.ceil(positions / copies) * costs.position_ns
    return PaceTables(
        copies=copies,
        arrays=copies * costs.arrays + costs.activation_arrays,
        stage_ns=np.maximum(read_ns, costs.write_ns),
        busy_ns=read_ns + costs.write_ns,
    )


class Pieces(NamedTuple):
    """Pieces of layers on PEs, in the order of the line, shape ``(pieces,)``."""

    at: IntArray  # index of the layer in the line, in a flat array of shape (designs, layers)
    layer: IntArray  # index of the layer in a flat array of shape (designs, layers)
    pe: IntArray  # index of the PE in a flat array of shape (designs, pes)
    share: FloatArray  # share of the arrays of the layer
    extent: FloatArray  # share of the arrays of the PE


class Pipeline(NamedTuple):
    """Training pipeline of mappings that fit; arrays begin with the axis of designs.

    Attributes:
        occupancy: Layers on the tiers.
        line: Layers along the forward tiers, in arrays of their device.
        pieces: Pieces of the layers on PEs.
        levels: Level of the pace of each forward tier, shape ``(designs, forward_tiers)``.
        copies: Copies of each layer, shape ``(designs, layers)``.
        tiles: Tiles in use of each forward tier, shape ``(designs, forward_tiers)``.
        stage_ns: Time of the stage of each layer (ns), shape ``(designs, layers)``.
        gradient_ns: Time of the gradients of an image (ns), shape ``(designs,)``.
        link_bits: Bits of an image over each link, shape ``(designs, links)``.
        bit_hops: Bits times hops of an image, with its share of the weight gradients, shape ``(designs,)``.
        link_ns: Time of an image over the busiest link, over `Operation.link_limit` (ns), shape ``(designs,)``.
        update_ns: Time to rewrite the weights, once per batch (ns), shape ``(designs,)``.
        slowest_ns: Time of the slowest stage (ns), shape ``(designs,)``.
        period_ns: Time per image (ns), shape ``(designs,)``.
    """

    occupancy: Occupancy
    line: Line
    pieces: Pieces
    levels: IntArray
    copies: FloatArray
    tiles: FloatArray
    stage_ns: FloatArray
    gradient_ns: FloatArray
    link_bits: FloatArray
    bit_hops: FloatArray
    link_ns: FloatArray
    update_ns: FloatArray
    slowest_ns: FloatArray
    period_ns: FloatArray


class HeatLoad(NamedTuple):
    """Power of the PEs of mappings; arrays of shape ``(designs, pes)``.

    Attributes:
        power_W: Power at ambient temperature (W).
        leak_mW: Static part of it (mW).
        slope_W_per_K: Growth of the power with the temperature rise (W/K).
        stored_bits: Bits of weights and activations.
        rise_K: Temperature rise (K); NaN where the heat runs away.
    """

    power_W: FloatArray
    leak_mW: FloatArray
    slope_W_per_K: FloatArray
    stored_bits: FloatArray
    rise_K: FloatArray


def evaluate_system(model: SystemModel, tiers: IntArray, genes: IntArray, pace: IntArray) -> Metrics:
    """Evaluate mappings with the system model.

    Args:
        model: Model.
        tiers: Device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        pace: Level of the common pace, 0 .. levels - 1, shape ``(designs,)``.

    Returns:
        Arrays of shape ``(designs,)``: ``violation`` (1; 0 where the mapping is feasible), and, NaN where a mapping
        does not fit or its heat runs away, ``period`` (ns per image), ``area`` (mm2, of the tiles in use and of the BP
        tier), ``energy`` (pJ per image), ``err`` (thermal noise of the stored bits, 1), ``power`` (W), ``peak`` (K),
        ``lifetime`` (images), ``trainings``, ``link_util`` (busy share of the busiest link), ``tops_per_W``
        (operations per pJ), ``tops_per_mm2`` and ``tops_per_mm2_stack`` (of the area in use, and of the stack),
        ``gradient_tmacs`` (TMAC/s), ``gradient_store`` (weight gradients over the memory for them), ``slowest``,
        ``gradient_ns``, ``layer_ns``, ``link_ns`` (ns), ``update_ns`` (ns per batch), and the parts of the energy
        ``read_pJ``, ``write_pJ``, ``gradient_pJ``, ``noc_pJ`` and ``static_pJ``; besides, ``copies`` of each layer,
        shape ``(designs, layers)``, and ``levels`` and ``tiles`` of each forward tier, shape ``(designs, tiers - 1)``.
        A design's values do not depend on the others, not even in their last bit.

    Raises:
        ConfigError: If the arrays have other shapes or lengths, or a number is no device, no place or no level.
    """
    tiers, genes = check_mappings(model, tiers, genes)
    pace = numbers("pace", pace, (len(tiers),), least=0, most=model.levels - 1, whole=True)
    found = evaluate_compiled(model, tiers, genes, pace)
    return _evaluate_arrays(model, tiers, genes, pace) if found is None else _complete(model, tiers, genes, pace, found)


def _evaluate_arrays(model: SystemModel, tiers: IntArray, genes: IntArray, pace: IntArray) -> Metrics:
    """`evaluate_system` by array code."""
    found = evaluate_in_blocks(model, tiers, genes, lambda *_: {}, _evaluate_feasible, pace)
    # The heat of designs without temperatures runs away.
    found["violation"] = np.where(found["gain"] >= 1, found["gain"], found["violation"])
    del found["gain"]
    return found


def _complete(model: SystemModel, tiers: IntArray, genes: IntArray, pace: IntArray, compiled: Compiled) -> Metrics:
    """Results of the kernel, with the noise, and with those designs that it leaves to the array code."""
    found = dict(zip(SCALARS, compiled.scalars, strict=True))
    found["err"] = mean_noise(model, tiers, compiled.stored_bits, compiled.rise_K)
    found["err"][np.isnan(found["period"])] = np.nan
    found |= {"copies": compiled.copies, "levels": compiled.levels, "tiles": compiled.tiles}
    if compiled.left.any():
        left = np.flatnonzero(compiled.left)
        for name, values in _evaluate_arrays(model, tiers[left], genes[left], pace[left]).items():
            found[name][left] = values
    return found


def _evaluate_feasible(
    model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy, pace: IntArray
) -> Metrics:
    pipeline = run_pipeline(model, tiers, genes, occupancy, pace)
    heat = heat_load(model, tiers, pipeline)
    return results(model, tiers, pipeline, heat)


def run_pipeline(
    model: SystemModel, tiers: IntArray, genes: IntArray, occupancy: Occupancy, pace: IntArray
) -> Pipeline:
    r"""Training pipeline of mappings that fit: copies, traffic and period.

    Stages overlap, so that the slowest one sets the pace; a batch of ``B`` images fills and drains the pipeline, and
    the weights are rewritten after it (PipeLayer: Song et al., HPCA 2017):

    .. math::
        T_{slow} &= \max(\max_i t_i, T_{grad}, T_{link}) \\
        T &= \frac{1}{B} \left( \max\left(T_{slow}, \sum_i t_i + T_{grad}\right) + (B - 1) T_{slow}
        + T_{update} \right)
    """
    stack, operation, batch = model.stack, model.operation, model.workload.batch
    levels = _choose_levels(model, occupancy, pace)
    table = _paced_entry(model, occupancy, levels)
    copies, arrays, stage_ns = (
        values.take(table) for values in (model.paced.copies, model.paced.arrays, model.paced.stage_ns)
    )
    line = lay_out(genes, occupancy, arrays)
    used = _by_tier(occupancy, arrays)
    capacity_pe = model.costs.arrays_per_pe.take(occupancy.forward_device)

    pieces = _pieces(model, occupancy, line)
    bits, bit_hops, weight_bits = _traffic(model, occupancy, line, pieces, copies)
    link_ns = bits.max(axis=1) / (stack.link_bits_per_ns * operation.link_limit)
    rewritten_pj = _in_order(copies * model.costs.weights_pJ.take(occupancy.entry))
    update_ns = np.maximum(
        np.where(occupancy.layers > 0, model.rewrite_ns.take(occupancy.forward_device), 0.0).max(axis=1),
        rewritten_pj / (1e3 * operation.write_power_W),
    )
    update_ns = np.maximum(update_ns, weight_bits / (stack.link_bits_per_ns * operation.link_limit))
    gradient_ns = model.gradient_ns.take(_bp_device(tiers, occupancy))
    slowest = np.maximum(np.maximum(stage_ns.max(axis=1), gradient_ns), link_ns)
    first = np.maximum(slowest, _in_order(stage_ns) + gradient_ns)
    return Pipeline(
        occupancy=occupancy,
        line=line,
        pieces=pieces,
        levels=levels,
        copies=copies,
        tiles=np.ceil(stack.tiles_per_pe * used / capacity_pe),
        stage_ns=stage_ns,
        gradient_ns=gradient_ns,
        link_bits=bits,
        bit_hops=bit_hops,
        link_ns=link_ns,
        update_ns=update_ns,
        slowest_ns=slowest,
        period_ns=(first + (batch - 1) * slowest + update_ns) / batch,
    )


def _choose_levels(model: SystemModel, occupancy: Occupancy, pace: IntArray) -> IntArray:
    """Smallest level, from the pace on, at which each forward tier fits, shape ``(designs, forward_tiers)``."""
    low = np.repeat(pace.astype(np.int64)[:, None], occupancy.layers.shape[1], axis=1)
    high = np.where(occupancy.layers > 0, model.levels - 1, low)
    while (low < high).any():
        middle = (low + high) // 2
        arrays = model.paced.arrays.take(_paced_entry(model, occupancy, middle))
        fits = _by_tier(occupancy, arrays) <= occupancy.capacity
        high = np.where(fits, middle, high)
        low = np.where(fits, low, np.minimum(middle + 1, high))
    return low


def _paced_entry(model: SystemModel, occupancy: Occupancy, levels: IntArray) -> IntArray:
    """Index of each layer in the flat `PaceTables`, shape ``(designs, layers)``; levels as those of `Pipeline`."""
    level = levels.take(occupancy.tier + rows_of(levels, levels.shape[1]))
    return np.asarray(level * model.costs.arrays.size + occupancy.entry)


def _by_tier(occupancy: Occupancy, values: FloatArray) -> FloatArray:
    """Sums over the layers of each forward tier, in their order, shape ``(designs, forward_tiers)``."""
    shape = occupancy.layers.shape
    place = (occupancy.tier + rows_of(values, shape[1])).ravel()
    return np.bincount(place, values.ravel(), occupancy.layers.size).astype(np.float64, copy=False).reshape(shape)


def _in_order(values: FloatArray) -> FloatArray:
    """Sum of each row from its first entry on; NumPy's own sums add up in pieces."""
    return np.asarray(np.cumsum(values, axis=1)[:, -1])


def _bp_device(tiers: IntArray, occupancy: Occupancy) -> IntArray:
    return np.asarray(tiers.take(occupancy.bp + rows_of(tiers, tiers.shape[1])[:, 0]))


def _pieces(model: SystemModel, occupancy: Occupancy, line: Line) -> Pieces:
    """Cut layers at the borders of PEs."""
    stack, layers = model.stack, line.layer.shape[1]
    first, arrays = line.start.ravel(), line.extent.ravel()
    capacity = model.costs.arrays_per_pe.take(occupancy.entry.take(line.flat) // layers).ravel()
    begin = np.floor(first / capacity).astype(np.int64)
    count = np.floor((first + arrays - 1) / capacity).astype(np.int64) - begin + 1
    at = np.repeat(np.arange(first.size), count)
    place = begin.take(at) + np.arange(at.size) - (np.cumsum(count) - count).take(at)
    tier = occupancy.forward.take(line.tier + rows_of(line.tier, occupancy.forward.shape[1])).ravel()
    pe = at // layers * stack.pes + tier.take(at) * stack.pes_per_tier + snake(stack).take(place)
    size, here = capacity.take(at), first.take(at)
    there = np.minimum(here + arrays.take(at), (place + 1) * size) - np.maximum(here, place * size)
    return Pieces(at, line.flat.take(at), pe, there / arrays.take(at), there / size)


def _per_pe(model: SystemModel, designs: int, pieces: Pieces, values: FloatArray) -> FloatArray:
    """Sums of values of the pieces by PE, shape ``(designs, pes)``."""
    total = np.bincount(pieces.pe, values, designs * model.stack.pes)
    return total.astype(np.float64, copy=False).reshape(designs, model.stack.pes)


def _traffic(
    model: SystemModel, occupancy: Occupancy, line: Line, pieces: Pieces, copies: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bits of an image over each link; bits times hops; most bits of the weight gradients over a link.

    Each of the parts of a layer sends its share of the output to the same part of all layers that read it, along one
    multicast tree. Each PE of a layer sends its output straight to the back-propagation tier, and gets the gradients of
    the weights that it holds, once per batch; copies on one PE need them once.
    """
    workload, stack, parts, bits = model.workload, model.stack, model.operation.parts, model.factors.bits
    layers = len(workload)
    capacity = model.costs.arrays_per_pe.take(occupancy.entry.take(line.flat) // layers)
    odd = 2 * np.arange(parts)[:, None, None] + 1
    place = np.floor((2 * parts * line.start + odd * line.extent) / (2 * parts * capacity)).astype(np.int64)
    values, _ = between_layers(workload, stack, part_nodes(stack, occupancy, line, place), gradients=False)
    output = bits * workload.activations_out.astype(np.float64)
    sent = _per_pe(model, len(copies), pieces, pieces.share * output.take(pieces.layer % layers))
    gradients = stack.gradient_bits * workload.weights.astype(np.float64)
    once = np.minimum(1.0, copies.take(pieces.layer) * pieces.share)
    received = _per_pe(model, len(copies), pieces, gradients.take(pieces.layer % layers) * once)
    tiers_away = np.abs(np.arange(stack.pes) // stack.pes_per_tier - occupancy.bp[:, None])
    hops = _in_order((sent + received / workload.batch) * tiers_away)
    per_value = bits / parts
    bit_hops = per_value * values.sum(axis=1) + hops
    image = per_value * values
    add_columns(image, stack, occupancy.bp, sent)
    weight_bits = column_loads(stack, occupancy.bp, received).max(axis=(0, 2))
    return image, bit_hops, weight_bits


def heat_load(model: SystemModel, tiers: IntArray, pipeline: Pipeline) -> HeatLoad:
    r"""Power and temperature of the PEs of mappings that fit.

    Volatile arrays leak as long as they hold anything; non-volatile ones are gated between uses. With ``extent`` the
    share of a PE that a layer takes and its ``duty``, 1 on a volatile device, else the busy share of the period:

    .. math::
        leak_q &= P_{static} \left(g + (1 - g) \sum_i extent_{iq} \, duty_i \right) \\
        P_{0,q} &= \frac{1}{T} \sum_i share_{iq} \left(E_{read,i} + E_{act,i} + c_i E_{w,i} / B\right) + leak_q
        + \frac{E_{noc}}{N T} + \left[\text{BP tier}\right] \frac{E_{grad}}{M T}

    The BP tier is fully on. Leakage grows linearly with the temperature rise ``Q = I (P_0 + L Q)``.
    """
    occupancy, pieces, period = pipeline.occupancy, pipeline.pieces, pipeline.period_ns
    stack, costs = model.stack, model.costs
    designs, layers = pipeline.copies.shape
    entry = occupancy.entry.ravel()
    layer_pj = (
        costs.image_pJ.take(entry) + pipeline.copies.ravel() * costs.weights_pJ.take(entry) / model.workload.batch
    )
    dynamic = _per_pe(model, designs, pieces, pieces.share * layer_pj.take(pieces.layer))
    stored = _per_pe(model, designs, pieces, pieces.share * costs.stored_bits.take(pieces.layer % layers))

    busy = model.paced.busy_ns.take(_paced_entry(model, occupancy, pipeline.levels))
    gated = model.nonvolatile.take(occupancy.entry // layers) > 0
    duty = np.where(gated, np.minimum(1.0, busy / period[:, None]), 1.0).ravel()
    on = _per_pe(model, designs, pieces, pieces.extent * duty.take(pieces.layer))
    share = model.operation.gated_share
    static = np.repeat(model.static_mW.take(tiers), stack.pes_per_tier, axis=1)
    bp = np.arange(stack.pes) // stack.pes_per_tier == occupancy.bp[:, None]
    leak = static * np.where(bp, 1.0, share + (1 - share) * on)
    noc_pj = stack.hop_energy_pJ * pipeline.bit_hops
    gradient_pj = model.gradient_pJ.take(_bp_device(tiers, occupancy))
    power = dynamic / period[:, None] + leak + (noc_pj / (stack.pes * period))[:, None]
    power += np.where(bp, (gradient_pj / (stack.pes_per_tier * period))[:, None], 0.0)
    power *= 1e-3
    slope = 1e-3 * leak * np.repeat(model.slope_per_K.take(tiers), stack.pes_per_tier, axis=1)
    return HeatLoad(power, leak, slope, stored, leaky_rise(power, slope, model.influence))


def results(model: SystemModel, tiers: IntArray, pipeline: Pipeline, heat: HeatLoad) -> Metrics:
    """Results of mappings that fit, see `evaluate_system`; ``gain`` is that of the heat, where it runs away."""
    occupancy, period = pipeline.occupancy, pipeline.period_ns
    stack, costs, workload = model.stack, model.costs, model.workload
    entry, bp_device = occupancy.entry, _bp_device(tiers, occupancy)
    runaway = np.isnan(heat.rise_K[:, 0])
    gain = np.zeros(len(period))
    gain[runaway] = heat_gain(heat.slope_W_per_K[runaway], model.influence)
    power = _in_order(heat.power_W + heat.slope_W_per_K * heat.rise_K)
    energy = 1e3 * power * period
    weights_pj = pipeline.copies * costs.weights_pJ.take(entry) / workload.batch
    read_pj = costs.read_pJ.take(entry)
    area = stack.pe_area_mm2 * (pipeline.tiles.sum(axis=1) / stack.tiles_per_pe + stack.pes_per_tier)
    lifetime = lifetimes(model, occupancy, pipeline.copies).min(axis=1)
    per_ns = model.operations / (period * 1e3)
    known = {
        "period": period,
        "area": area,
        "energy": energy,
        "err": mean_noise(model, tiers, heat.stored_bits, heat.rise_K),
        "power": power,
        "peak": model.ambient_K + heat.rise_K.max(axis=1),
        "lifetime": lifetime,
        "trainings": lifetime / model.training_images,
        "link_util": pipeline.link_bits.max(axis=1) / stack.link_bits_per_ns / period,
        "tops_per_W": model.operations / energy,
        "tops_per_mm2": per_ns / area,
        "tops_per_mm2_stack": per_ns / (stack.pe_area_mm2 * stack.pes),
        "gradient_tmacs": model.gradient_rate.take(bp_device) / 1e3,
        "gradient_store": model.gradient_store.take(bp_device),
        "slowest": pipeline.slowest_ns,
        "gradient_ns": pipeline.gradient_ns,
        "layer_ns": pipeline.stage_ns.max(axis=1),
        "link_ns": pipeline.link_ns,
        "update_ns": pipeline.update_ns,
        "read_pJ": _in_order(read_pj),
        "write_pJ": _in_order((costs.image_pJ.take(entry) - read_pj) + weights_pj),
        "gradient_pJ": model.gradient_pJ.take(bp_device),
        "noc_pJ": stack.hop_energy_pJ * pipeline.bit_hops,
        "static_pJ": period * _in_order(heat.leak_mW + 1e3 * heat.slope_W_per_K * heat.rise_K),
        "copies": pipeline.copies,
        "levels": pipeline.levels.astype(np.float64),
        "tiles": pipeline.tiles,
    }
    for values in known.values():
        values[runaway] = np.nan
    return known | {"gain": gain}


def mean_noise(model: SystemModel, tiers: IntArray, stored_bits: FloatArray, rise_K: FloatArray) -> FloatArray:
    """Thermal noise above its onset, the mean over the stored bits (HuNT, eqs 6-7), shape ``(designs,)``."""
    above = np.maximum(0.0, rise_K - model.operation.noise_onset_K)
    held = total_noise(stored_bits, tiers, above, model.devices, model.stack)
    return np.asarray(held / model.costs.stored_bits.sum())


def lifetimes(model: SystemModel, occupancy: Occupancy, copies: FloatArray) -> FloatArray:
    """Images until the first cell of a layer, or the cells of a tier under ideal wear levelling, are worn out.

    By layer, shape ``(designs, layers)``, if `SystemModel.wear` is ``cell``, else by forward tier, shape
    ``(designs, forward_tiers)``; infinite where nothing is written.
    """
    entry, costs = occupancy.entry, model.costs
    if model.wear == "cell":
        return np.asarray(model.cell_lifetime.take(entry))
    cells = costs.activation_writes.take(entry) + copies * costs.weight_writes.take(entry) / model.workload.batch
    written = _by_tier(occupancy, cells)
    total = model.array_endurance.take(occupancy.forward_device) * occupancy.capacity
    return np.where(written > 0, total / np.where(written > 0, written, 1.0), np.inf)
