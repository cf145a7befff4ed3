"""Compiled system model, once enough designs are evaluated for compiling to pay off."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from moopim.hardware.noc.routing import coordinates
from moopim.hardware.stack.model import LEAST_VIOLATION
from moopim.hardware.stack.placement import snake
from moopim.hardware.thermal.leakage import influence_parts, largest_row_sum
from moopim.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from moopim.hardware.stack.kernel import Tables
    from moopim.hardware.stack.system import SystemModel

# With more PEs, the array code is faster: BLAS keeps pieces of the influence matrix in the cache for many designs.
_MOST_PES = 384
# Compiling takes about as long as the array code takes for so many designs, and a call of it as long as for so many.
_WORTH_COMPILING = 150_000
_CALL = 20


class _Work:
    """Work of this process so far, in designs."""

    designs = 0


class Compiled(NamedTuple):
    """Results of the kernel, NaN where a design does not fit.

    Attributes:
        scalars: Results in the order of `SCALARS`, shape ``(results, designs)``.
        copies: Copies of each layer, shape ``(designs, layers)``.
        levels: Level of each forward tier, shape ``(designs, forward_tiers)``.
        tiles: Tiles of each forward tier, alike.
        stored_bits: Stored bits of each PE, shape ``(designs, pes)``; 0 where a design does not fit, as the rises.
        rise_K: Temperature rise of each PE (K), alike.
        left: Whether a design is left to the array code, shape ``(designs,)``.
    """

    scalars: FloatArray
    copies: FloatArray
    levels: FloatArray
    tiles: FloatArray
    stored_bits: FloatArray
    rise_K: FloatArray
    left: BoolArray


SCALARS = (
    *("violation", "period", "area", "energy", "power", "peak", "lifetime", "trainings", "link_util", "tops_per_W"),
    *("tops_per_mm2", "tops_per_mm2_stack", "gradient_tmacs", "gradient_store", "slowest", "gradient_ns", "layer_ns"),
    *("link_ns", "update_ns", "read_pJ", "write_pJ", "gradient_pJ", "noc_pJ", "static_pJ"),
)
"""Results that are single numbers, but for ``err``."""


def evaluate_compiled(model: SystemModel, tiers: IntArray, genes: IntArray, pace: IntArray) -> Compiled | None:
    """Evaluate mappings; None without numba, or while little, with these ones, has been evaluated."""
    designs, forward = len(tiers), model.stack.tiers - 1
    _Work.designs += designs + _CALL
    worth = _Work.designs >= _WORTH_COMPILING and model.stack.pes <= _MOST_PES
    kernel = _kernel() if worth else None
    if kernel is None:
        return None
    scalars = np.full((len(SCALARS), designs), np.nan)
    by_design = np.full((designs, genes.shape[1] + 2 * forward), np.nan)
    copies, levels, tiles = by_design[:, : -2 * forward], by_design[:, -2 * forward : -forward], by_design[:, -forward:]
    heat = np.zeros((2, designs, model.stack.pes))
    mappings = (np.ascontiguousarray(columns, dtype=np.int64) for columns in (tiers, genes, pace))
    left = kernel.evaluate(_tables(model), *mappings, scalars, by_design, heat[0], heat[1])
    return Compiled(scalars, copies, levels, tiles, heat[0], heat[1], left)


@cache
def _kernel() -> ModuleType | None:
    return import_module("moopim.hardware.stack.kernel") if find_spec("numba") else None


@lru_cache(maxsize=32)
def _tables(model: SystemModel) -> Tables:
    """Tables of a model for the kernel."""
    from moopim.hardware.stack.kernel import Tables

    workload, stack, operation, costs, paced = model.workload, model.stack, model.operation, model.costs, model.paced
    bits, transfers = model.factors.bits, workload.transfers
    ends = np.cumsum([len(transfer.consumers) for transfer in transfers])
    x, y, tier = coordinates(stack.tiers, stack.mesh)
    node = (x * stack.mesh + y) * stack.tiers + tier
    mirrored = _mirrored(model.influence, stack.tiers, stack.mesh)
    return Tables(
        copies=paced.copies,
        arrays=paced.arrays,
        stage_ns=paced.stage_ns,
        busy_ns=paced.busy_ns,
        held=costs.arrays + costs.activation_arrays,
        image_pj=costs.image_pJ,
        read_pj=costs.read_pJ,
        weights_pj=costs.weights_pJ,
        activation_writes=costs.activation_writes,
        weight_writes=costs.weight_writes,
        cell_lifetime=model.cell_lifetime,
        output_bits=np.asarray(bits * workload.activations_out, dtype=np.float64),
        gradient_bits=np.asarray(stack.gradient_bits * workload.weights, dtype=np.float64),
        stored_bits=costs.stored_bits,
        arrays_per_pe=costs.arrays_per_pe,
        serves_bp=model.can_serve_bp.astype(np.float64),
        static_mw=model.static_mW,
        rewrite_ns=model.rewrite_ns,
        gradient_ns=model.gradient_ns,
        gradient_pj=model.gradient_pJ,
        gradient_tmacs=model.gradient_rate / 1e3,
        gradient_store=model.gradient_store,
        nonvolatile=model.nonvolatile,
        slope_per_k=model.slope_per_K,
        array_endurance=model.array_endurance,
        snake=snake(stack).copy(),
        node=node,
        places=np.stack([x, y, tier, np.arange(stack.pes)], axis=1)[np.argsort(node)],
        transfers=np.array(
            [(transfer.producer, end, transfer.volume) for transfer, end in zip(transfers, ends, strict=True)],
            dtype=np.int64,
        ).reshape(-1, 3),
        consumers=np.array([layer for transfer in transfers for layer in transfer.consumers], dtype=np.int64),
        mirrored=mirrored.place,
        influence_high=mirrored.high,
        influence_low=mirrored.low,
        plane=stack.pes_per_tier,
        mesh=stack.mesh,
        parts=operation.parts,
        farthest_bp=model.farthest_bp,
        wear_cell=model.wear == "cell",
        batch=float(workload.batch),
        bits_per_part=bits / operation.parts,
        link_rate=float(stack.link_bits_per_ns),
        link_rate_used=float(stack.link_bits_per_ns * operation.link_limit),
        write_rate=1e3 * operation.write_power_W,
        gated_share=float(operation.gated_share),
        hop_pj=float(stack.hop_energy_pJ),
        pe_area=float(stack.pe_area_mm2),
        tiles_per_pe=float(stack.tiles_per_pe),
        operations=float(model.operations),
        training_images=float(model.training_images),
        ambient_k=float(model.ambient_K),
        row_sum=largest_row_sum(model.influence),
        least_violation=LEAST_VIOLATION,
    )


class Mirrored(NamedTuple):
    """Influence for sums and differences of the powers of mirrored PEs, which it takes to those of their rises.

    Attributes:
        place: Place of each PE: its number in a quarter of each tier, for each image of the quarter, and after each
            image places without a PE, shape ``(pes,)``.
        high: High digits of the influence for each of the sums and differences, over the number of images, shape
            ``(images, places, places)``.
        low: Low digits, alike.
    """

    place: IntArray
    high: FloatArray
    low: FloatArray


_SIGNS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


def _mirrored(influence: FloatArray, tiers: int, mesh: int) -> Mirrored:
    """Influence by its mirror symmetries in x and y; as one image, where it has none or a PE is its own image."""
    from moopim.hardware.stack.kernel import ROWS

    pes = np.arange(len(influence)).reshape(tiers, mesh, mesh)
    mirrors = [pes, pes[:, :, ::-1], pes[:, ::-1], pes[:, ::-1, ::-1]]
    half = mesh // 2
    if mesh % 2 or any((influence[np.ix_(some.ravel(), some.ravel())] != influence).any() for some in mirrors):
        mirrors, half = [pes], mesh
    images = np.stack([some[:, :half, :half].ravel() for some in mirrors])
    count, places = images.shape
    more = -places % ROWS
    place = np.empty(len(influence), dtype=np.int64)
    place[images] = np.arange(places) + (places + more) * np.arange(count)[:, None]
    # With exact sums and a power of two, no digit is lost.
    high, low = (
        np.einsum("ij,jpq->ipq", _SIGNS[:count, :count] / count, part[images[0, :, None], images[:, None]])
        for part in influence_parts(influence)
    )
    padding = ((0, 0), (0, more), (0, more))
    return Mirrored(place, np.pad(high, padding), np.pad(low, padding))
