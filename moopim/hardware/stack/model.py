"""Base of the models of a network on the 3-D stack: design-independent part, mappings that fit, batches.

Source: Ogbogu et al., "HuNT: Exploiting Heterogeneous PIM Devices to Design a 3-D Manycore Architecture for DNN
Training", IEEE TCAD 2024. The paper leaves much open; the docs say how each gap is read. Units are ns, pJ and, inside,
mW per PE (pJ/ns).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import numpy as np

from moopim.checks import numbers
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.stack.devices import StackDevice
from moopim.hardware.stack.layer_costs import LayerCosts
from moopim.hardware.stack.parameters import Factors, Parameters, Stack, load_parameters
from moopim.hardware.stack.placement import Occupancy, tier_occupancy
from moopim.hardware.thermal import influence_matrix
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.workload import Workload

BP_TIERS = ("free", "farthest")
"""Tier that serves back-propagation: the farthest from the heat sink that can, or the farthest in any case."""

Metrics = dict[str, FloatArray]
Costs = TypeVar("Costs", bound=LayerCosts)
Model = TypeVar("Model", bound="StackModel[Any]")

LEAST_VIOLATION = 1e-3
"""Least violation of a mapping that does not fit."""
# Designs that are evaluated at a time: the arrays of so many stay in the processor's cache.
_BLOCK = 192
# Bytes that are taken and given back once. From then on the C library of Linux keeps freed arrays of up to this size
# (its threshold for mapped memory follows what is freed) in place of returning them to the operating system, which
# clears every page of the next array anew: half of the time of a batch.
_KEPT = 16_000_000


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a model equals itself only
class StackModel(Generic[Costs]):
    """Design-independent part of a model of a network on a 3-D stack.

    Attributes:
        workload: Network that is trained.
        devices: Devices; a tier is an index into them.
        factors: Factors that belong to no device.
        stack: Stack.
        farthest_bp: Whether only the tier farthest from the heat sink may serve back-propagation.
        costs: Costs of one copy of each layer.
        ambient_K: Ambient temperature (K).
        influence: Temperature rise per power (K/W), shape ``(pes, pes)``.
        can_serve_bp: Whether each device can serve back-propagation, shape ``(devices,)``.
        static_mW: Static power of a PE (mW), shape ``(devices,)``.
        rewrite_ns: Time to rewrite an array (ns), shape ``(devices,)``.
        gradient_macs: MACs of the gradients of an image: as many as the layer for its weights, and as many again for
            its input but in the first layer.
        operations: Counted operations of an image, forward and gradients.
    """

    workload: Workload
    devices: tuple[StackDevice, ...]
    factors: Factors
    stack: Stack
    farthest_bp: bool
    costs: Costs
    ambient_K: float
    influence: FloatArray
    can_serve_bp: BoolArray
    static_mW: FloatArray
    rewrite_ns: FloatArray
    gradient_macs: float
    operations: float

    @property
    def slots(self) -> int:
        """Values of a layer's gene: forward tier x PEs per tier + slot."""
        return (self.stack.tiers - 1) * self.stack.pes_per_tier


def checked_parameters(
    workload: Workload, factors: str, devices: str, stack: str, override: str, without_effect: Collection[str]
) -> Parameters:
    """Load the parameters of a model; raise ConfigError unless the arguments have the right types."""
    if not isinstance(workload, Workload):
        raise ConfigError(f"workload is {workload!r}; expected a Workload, such as load_workload('vgg11')")
    for what, text in (("factors", factors), ("devices", devices), ("stack", stack), ("override", override)):
        if not isinstance(text, str):
            raise ConfigError(f"{what} is {text!r}; expected text")
    return load_parameters(factors, devices, stack, override, without_effect=without_effect)


def model_parts(
    workload: Workload, parameters: Parameters, costs: LayerCosts, thermal: str, bp_tier: str
) -> dict[str, Any]:
    """Attributes of `StackModel`; raise ConfigError if a name is unknown."""
    if bp_tier not in BP_TIERS:
        raise unknown_name("bp_tier", bp_tier, BP_TIERS)
    devices, stack, materials = parameters.devices, parameters.stack, parameters.thermal
    macs = workload.macs
    gradient_macs = float(2 * macs.sum() - macs[0])
    return {
        "workload": workload,
        "devices": devices,
        "factors": parameters.factors,
        "stack": stack,
        "farthest_bp": bp_tier == "farthest",
        "costs": costs,
        "ambient_K": materials.ambient_K,
        "influence": influence_matrix(stack.tiers, stack.mesh, stack.pe_area_mm2, materials, thermal),
        "can_serve_bp": np.array([device.serves_back_propagation for device in devices]),
        "static_mW": np.array([device.static_mW for device in devices]),
        "rewrite_ns": np.array([device.rows * device.write_row_ns for device in devices]),
        "gradient_macs": gradient_macs,
        "operations": 2.0 * parameters.factors.kappa * (float(macs.sum()) + gradient_macs),
    }


def check_fit(model: StackModel[Any]) -> None:
    """Raise ConfigError for a network that no mapping makes fit."""
    workload, costs, letters = model.workload, model.costs, ",".join(device.letter for device in model.devices)
    if not model.can_serve_bp.any():
        raise ConfigError(f"devices {letters}: none can serve back-propagation; expected one that can, such as S")
    room = model.stack.pes_per_tier * costs.arrays_per_pe[:, None]
    share = ((costs.arrays + costs.activation_arrays) / room).min(axis=0)
    layer = int(share.argmax())
    if share[layer] > 1:
        raise ConfigError(
            f"layer {workload.names[layer]!r} of {workload.network} takes {share[layer]:.3g} tiers of the device that "
            f"holds it best ({letters}); expected at most 1: a larger mesh, other devices or fewer bits"
        )
    forward = model.stack.tiers - 1
    if share.sum() > forward:
        raise ConfigError(
            f"{workload.network} takes at least {share.sum():.3g} tiers; expected at most {forward}, the forward "
            "tiers: more tiers, a larger mesh, other devices or fewer bits"
        )


def check_mappings(model: Model, tiers: IntArray, genes: IntArray) -> tuple[IntArray, IntArray]:
    """Raise ConfigError unless arrays are mappings of the model, see `evaluate_in_blocks`; return them as arrays."""
    tiers = numbers("tiers", tiers, ("designs", model.stack.tiers), least=0, most=len(model.devices) - 1, whole=True)
    shape = (len(tiers), len(model.workload))
    return tiers, numbers("genes", genes, shape, least=0, most=model.slots - 1, whole=True)


def occupy(model: Model, tiers: IntArray, genes: IntArray) -> Occupancy:
    """Occupancy of mappings, see `check_mappings` and `tier_occupancy`."""
    tiers, genes = check_mappings(model, tiers, genes)
    return tier_occupancy(model.costs, model.stack, model.can_serve_bp, tiers, genes, farthest_bp=model.farthest_bp)


def violation(occupancy: Occupancy) -> FloatArray:
    """Violation, shape ``(designs,)``: overfull tiers by their share, and 1 without a back-propagation tier."""
    excess = np.maximum(0.0, occupancy.used - occupancy.free) / occupancy.capacity
    total = np.cumsum(excess, axis=1)[:, -1] + ~occupancy.has_bp
    return np.where(total > 0, np.maximum(total, LEAST_VIOLATION), 0.0)


def evaluate_in_blocks(
    model: Model,
    tiers: IntArray,
    genes: IntArray,
    all_metrics: Callable[[Model, Occupancy], Metrics],
    feasible_metrics: Callable[..., Metrics],
    *further: IntArray,
) -> Metrics:
    """Evaluate mappings in blocks, with the infeasible ones left out of the costly part.

    ``tiers`` has the device of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``; ``genes`` has
    forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``; `feasible_metrics` gets model, tiers,
    genes, `Occupancy` and the further genes. Returns ``violation`` and both kinds of metrics, which begin with the axis
    of designs, those of feasible mappings NaN elsewhere. A design's values do not depend on the others, not even in
    their last bit.
    """
    _keep_memory()
    # NumPy adds in the order of memory: only rows in one piece are added up alike in every batch.
    columns = [np.ascontiguousarray(column) for column in (*check_mappings(model, tiers, genes), *further)]

    def block(start: int) -> Metrics:
        some = [column[start : start + _BLOCK] for column in columns]
        occupancy = tier_occupancy(
            model.costs, model.stack, model.can_serve_bp, some[0], some[1], farthest_bp=model.farthest_bp
        )
        excess = violation(occupancy)
        result = {"violation": excess, **all_metrics(model, occupancy)}
        fit = np.flatnonzero(excess == 0)
        if len(fit) == len(excess):
            return result | feasible_metrics(model, some[0], some[1], occupancy, *some[2:])
        chosen = [column[fit] for column in some]
        found = feasible_metrics(model, chosen[0], chosen[1], occupancy.select(fit), *chosen[2:])
        for name, values in found.items():
            result[name] = np.full((len(excess), *values.shape[1:]), np.nan)
            result[name][fit] = values
        return result

    blocks = [block(start) for start in range(0, max(len(columns[0]), 1), _BLOCK)]
    return {name: np.concatenate([part[name] for part in blocks]) for name in blocks[0]} if blocks[1:] else blocks[0]


@cache
def _keep_memory() -> None:
    np.empty(_KEPT, dtype=np.uint8)
