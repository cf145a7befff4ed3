"""Batches of mappings: evaluated in blocks, with what is infeasible left out of the costly part."""

from collections.abc import Callable
from functools import cache

import numpy as np

from moopim.hardware.stack.model import SystemModel, check_mappings, violation
from moopim.hardware.stack.placement import Occupancy, tier_occupancy
from moopim.typing import FloatArray, IntArray

__all__ = ["Metrics", "evaluate_in_blocks"]

Metrics = dict[str, FloatArray]

# Designs that are evaluated at a time: the arrays of so many stay in the processor's cache.
_BLOCK = 192

# Bytes that are taken and given back once. From then on the C library of Linux keeps freed arrays of up to this size
# (its threshold for mapped memory follows what is freed) in place of returning them to the operating system, which
# clears every page of the next array anew: half of the time of a batch.
_KEPT = 16_000_000


def evaluate_in_blocks(
    model: SystemModel,
    tiers: IntArray,
    genes: IntArray,
    all_metrics: Callable[[SystemModel, Occupancy], Metrics],
    feasible_metrics: Callable[[SystemModel, IntArray, IntArray, Occupancy], Metrics],
) -> Metrics:
    """Evaluates mappings.

    Args:
        model: The model.
        tiers: StackDevice of each tier, tier 1 (at the heat sink) first, shape ``(designs, tiers)``.
        genes: Forward tier x PEs per tier + slot of each layer, shape ``(designs, layers)``.
        all_metrics: Metrics of every mapping.
        feasible_metrics: Metrics of mappings that fit, given tiers, genes and occupancy.

    Returns:
        Arrays of shape ``(designs,)``: ``violation``, and both kinds of metrics, the latter NaN where a mapping does
        not fit. A design's values do not depend on the others, not even in their last bit.

    Raises:
        ConfigError: If the arrays have other shapes or lengths, or a number is no device or no place of a layer.
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
