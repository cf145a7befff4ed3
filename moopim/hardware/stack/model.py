"""Model of a network on the 3-D stack: everything that does not depend on the design, constraints, and batches.

Source: Ogbogu et al., "HuNT: Exploiting Heterogeneous PIM Devices to Design a 3-D Manycore Architecture for DNN
Training", IEEE TCAD 2024. The paper leaves much open; the docs say how each gap is read. Units are ns, pJ and, inside,
mW per PE (pJ/ns).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from moopim.checks import numbers
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.noc import MODES as NOC_MODES
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.layer_costs import LayerCosts, layer_costs, mac_rate
from moopim.hardware.stack.parameters import Factors, Parameters, Stack, load_parameters
from moopim.hardware.stack.placement import Occupancy, tier_occupancy
from moopim.hardware.thermal import influence_matrix, load_thermal
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload import Workload

BP_TIERS = ("free", "farthest")
"""Tier that serves back-propagation: the farthest from the heat sink that can, or the farthest in any case."""

TRAFFIC = ("graph", "chain")
"""Traffic between layers: as they read each other in the network, or from each to the next one."""

Metrics = dict[str, FloatArray]

# Least violation of a mapping that does not fit.
_LEAST_VIOLATION = 1e-3
# Designs that are evaluated at a time: the arrays of so many stay in the processor's cache.
_BLOCK = 192
# Bytes that are taken and given back once. From then on the C library of Linux keeps freed arrays of up to this size
# (its threshold for mapped memory follows what is freed) in place of returning them to the operating system, which
# clears every page of the next array anew: half of the time of a batch.
_KEPT = 16_000_000


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a model equals itself only
class SystemModel:
    """Model of a network on a 3-D stack: everything that does not depend on the design.

    Attributes:
        workload: Network that is trained.
        devices: Devices; a tier is an index into them.
        factors: Factors that belong to no device.
        stack: Stack.
        traffic: One of `TRAFFIC`.
        noc: NoC latency model, one of `moopim.hardware.noc.MODES`.
        farthest_bp: Whether only the tier farthest from the heat sink may serve back-propagation.
        costs: Costs of one copy of each layer.
        ambient_K: Ambient temperature (K).
        influence: Temperature rise per power (K/W), shape ``(pes, pes)``.
        can_serve_bp: Whether each device can serve back-propagation, shape ``(devices,)``.
        static_mW: Static power of a PE (mW), shape ``(devices,)``.
        rewrite_ns: Time to rewrite an array (ns), shape ``(devices,)``.
        gradient_ns: Time of the gradients of an image on a tier of the device (ns), shape ``(devices,)``; 0 where it
            cannot serve back-propagation.
        gradient_pJ: Energy of these gradients (pJ), shape ``(devices,)``.
        operations: Counted operations of an image, forward and gradients.
    """

    workload: Workload
    devices: tuple[StackDevice, ...]
    factors: Factors
    stack: Stack
    traffic: str
    noc: str
    farthest_bp: bool
    costs: LayerCosts
    ambient_K: float
    influence: FloatArray
    can_serve_bp: BoolArray
    static_mW: FloatArray
    rewrite_ns: FloatArray
    gradient_ns: FloatArray
    gradient_pJ: FloatArray
    operations: float

    @property
    def slots(self) -> int:
        """Values of a layer's gene: forward tier x PEs per tier + slot."""
        return (self.stack.tiers - 1) * self.stack.pes_per_tier


def system_model(
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
) -> SystemModel:
    """Prepare the model of a network that is trained on a 3-D stack (HuNT).

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
        bp_tier: One of `BP_TIERS`.

    Returns:
        Model.

    Raises:
        ConfigError: If a name or a parameter is not usable, no device can serve back-propagation, or a layer fits on no
            tier.
    """
    if not isinstance(workload, Workload):
        raise ConfigError(f"workload is {workload!r}; expected a Workload, such as load_workload('vgg11')")
    for what, text in (("factors", factors), ("devices", devices), ("stack", stack), ("override", override)):
        if not isinstance(text, str):
            raise ConfigError(f"{what} is {text!r}; expected text")
    for what, name, allowed in (("traffic", traffic, TRAFFIC), ("noc", noc, NOC_MODES), ("bp_tier", bp_tier, BP_TIERS)):
        if name not in allowed:
            raise unknown_name(what, name, allowed)
    if (traffic, noc) == ("chain", "paper"):
        raise ConfigError("noc 'paper' is given with traffic 'chain', which has no packets; expected traffic 'graph'")
    parameters = load_parameters(factors, devices, stack, override)
    materials = load_thermal(Path(stack) if stack else None)
    used, values, shape = parameters
    costs = layer_costs(workload, used, values)
    can_serve_bp = np.array([device.serves_back_propagation for device in used])
    _check_fit(workload, parameters, costs, can_serve_bp)
    macs = workload.macs
    # The weight gradient takes the MACs of the layer, the activation gradient as many again but for the first layer.
    gradient_macs = float(2 * macs.sum() - macs[0])
    return SystemModel(
        workload=workload,
        devices=used,
        factors=values,
        stack=shape,
        traffic=traffic,
        noc=noc,
        farthest_bp=bp_tier == "farthest",
        costs=costs,
        ambient_K=materials.ambient_K,
        influence=influence_matrix(shape.tiers, shape.mesh, shape.pe_area_mm2, materials, thermal),
        can_serve_bp=can_serve_bp,
        static_mW=np.array([device.static_mW for device in used]),
        rewrite_ns=np.array([device.rows * device.write_row_ns for device in used]),
        gradient_ns=np.array([gradient_macs / rate if (rate := _gradient_rate(d, parameters)) else 0.0 for d in used]),
        gradient_pJ=np.array([gradient_macs * device.gradient_pJ for device in used]),
        operations=2.0 * (float(macs.sum()) + gradient_macs),
    )


def _gradient_rate(device: StackDevice, parameters: Parameters) -> float:
    """Gradient MACs of a tier per time (1/ns); 0 if it cannot serve back-propagation."""
    if not device.serves_back_propagation:
        return 0.0
    return device.gradient_speedup * parameters.stack.pes_per_tier * mac_rate(device, parameters.factors.bits)


def _check_fit(workload: Workload, parameters: Parameters, costs: LayerCosts, can_serve_bp: BoolArray) -> None:
    """Raise ConfigError for a network that no mapping makes fit."""
    letters = ",".join(device.letter for device in parameters.devices)
    if not can_serve_bp.any():
        raise ConfigError(f"devices {letters}: none can serve back-propagation; expected one that can, such as S")
    room = parameters.stack.pes_per_tier * costs.arrays_per_pe[:, None]
    share = ((costs.arrays + costs.activation_arrays) / room).min(axis=0)
    layer = int(share.argmax())
    if share[layer] > 1:
        raise ConfigError(
            f"layer {workload.names[layer]!r} of {workload.network} takes {share[layer]:.3g} tiers of the device that "
            f"holds it best ({letters}); expected at most 1: a larger mesh, other devices or fewer bits"
        )
    forward = parameters.stack.tiers - 1
    if share.sum() > forward:
        raise ConfigError(
            f"{workload.network} takes at least {share.sum():.3g} tiers; expected at most {forward}, the forward "
            "tiers: more tiers, a larger mesh, other devices or fewer bits"
        )


def check_mappings(model: SystemModel, tiers: IntArray, genes: IntArray) -> tuple[IntArray, IntArray]:
    """Raise ConfigError unless arrays are mappings of the model, see `evaluate_in_blocks`; return them as arrays."""
    tiers = numbers("tiers", tiers, ("designs", model.stack.tiers), least=0, most=len(model.devices) - 1, whole=True)
    shape = (len(tiers), len(model.workload))
    return tiers, numbers("genes", genes, shape, least=0, most=model.slots - 1, whole=True)


def occupy(model: SystemModel, tiers: IntArray, genes: IntArray) -> Occupancy:
    """Occupancy of mappings, see `check_mappings` and `tier_occupancy`."""
    tiers, genes = check_mappings(model, tiers, genes)
    return tier_occupancy(model.costs, model.stack, model.can_serve_bp, tiers, genes, farthest_bp=model.farthest_bp)


def violation(occupancy: Occupancy) -> FloatArray:
    """Violation, shape ``(designs,)``: overfull tiers by their share, and 1 without a back-propagation tier."""
    excess = np.maximum(0.0, occupancy.used - occupancy.free) / occupancy.capacity
    total = excess.sum(axis=1) + ~occupancy.has_bp
    return np.where(total > 0, np.maximum(total, _LEAST_VIOLATION), 0.0)


def evaluate_in_blocks(
    model: SystemModel,
    tiers: IntArray,
    genes: IntArray,
    all_metrics: Callable[[SystemModel, Occupancy], Metrics],
    feasible_metrics: Callable[[SystemModel, IntArray, IntArray, Occupancy], Metrics],
) -> Metrics:
    """Evaluate mappings in blocks, with the infeasible ones left out of the costly part.

    ``tiers`` has the device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``; ``genes`` has
    forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``. Returns ``violation`` and both
    kinds of metrics, shape ``(designs,)``, those of feasible mappings NaN elsewhere. A design's values do not depend on
    the others, not even in their last bit.
    """
    _keep_memory()
    tiers, genes = check_mappings(model, tiers, genes)
    # NumPy adds in the order of memory: only rows in one piece are added up alike in every batch.
    tiers, genes = np.ascontiguousarray(tiers), np.ascontiguousarray(genes)

    def block(start: int) -> Metrics:
        some_tiers, some_genes = tiers[start : start + _BLOCK], genes[start : start + _BLOCK]
        occupancy = tier_occupancy(
            model.costs, model.stack, model.can_serve_bp, some_tiers, some_genes, farthest_bp=model.farthest_bp
        )
        excess = violation(occupancy)
        result = {"violation": excess, **all_metrics(model, occupancy)}
        fit = np.flatnonzero(excess == 0)
        if len(fit) == len(some_tiers):
            return result | feasible_metrics(model, some_tiers, some_genes, occupancy)
        found = feasible_metrics(model, some_tiers[fit], some_genes[fit], occupancy.select(fit))
        for name, values in found.items():
            result[name] = np.full(len(some_tiers), np.nan)
            result[name][fit] = values
        return result

    blocks = [block(start) for start in range(0, max(len(tiers), 1), _BLOCK)]
    return {name: np.concatenate([part[name] for part in blocks]) for name in blocks[0]} if blocks[1:] else blocks[0]


@cache
def _keep_memory() -> None:
    np.empty(_KEPT, dtype=np.uint8)
