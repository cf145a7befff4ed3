"""Compiled system model, once enough designs are evaluated for compiling to pay off."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from moopim.hardware.stack.model import LEAST_VIOLATION
from moopim.hardware.stack.placement import snake
from moopim.hardware.thermal.leakage import influence_parts, largest_row_sum
from moopim.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from moopim.hardware.stack.kernel import Tables
    from moopim.hardware.stack.system import SystemModel

# Compiling takes about as long as the array code takes for so many designs.
WORTH_COMPILING = 100_000


class _Work:
    """Designs evaluated in this process so far."""

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
    """Evaluate mappings; None without numba, or while few designs, these ones included, have been evaluated."""
    designs = len(tiers)
    _Work.designs += designs
    if _Work.designs < WORTH_COMPILING or find_spec("numba") is None:
        return None
    kernel = import_module("moopim.hardware.stack.kernel")  # needs numba
    forward, layers, pes = model.stack.tiers - 1, genes.shape[1], model.stack.pes
    width = len(SCALARS) + layers + 2 * forward
    table = np.full(designs * width, np.nan)
    heat = np.zeros((2, designs, pes))
    columns = []
    begin = 0
    for shape in ((len(SCALARS), designs), (designs, layers), (designs, forward), (designs, forward)):
        size = shape[0] * shape[1]
        columns.append(table[begin : begin + size].reshape(shape))
        begin += size
    mappings = (np.ascontiguousarray(genes_, dtype=np.int64) for genes_ in (tiers, genes, pace))
    left = kernel.evaluate(_tables(model), *mappings, *columns, *heat)
    return Compiled(*columns, *heat, left)


@lru_cache(maxsize=32)
def _tables(model: SystemModel) -> Tables:
    """Tables of a model for the kernel."""
    from moopim.hardware.stack.kernel import ROWS, Tables

    workload, stack, operation, costs, paced = model.workload, model.stack, model.operation, model.costs, model.paced
    bits, transfers = model.factors.bits, workload.transfers
    ends = np.cumsum([len(transfer.consumers) for transfer in transfers])
    parts = influence_parts(model.influence)
    return Tables(
        paced=np.stack([paced.copies, paced.arrays, paced.stage_ns, paced.busy_ns]),
        costs=np.stack(
            [
                *(costs.arrays, costs.activation_arrays, costs.image_pJ, costs.read_pJ, costs.weights_pJ),
                *(costs.activation_writes, costs.weight_writes, model.cell_lifetime),
            ]
        ),
        layers=np.stack([bits * workload.activations_out, stack.gradient_bits * workload.weights, costs.stored_bits]),
        devices=np.stack(
            [
                *(costs.arrays_per_pe, model.can_serve_bp, model.static_mW, model.rewrite_ns, model.gradient_ns),
                *(model.gradient_pJ, model.gradient_rate / 1e3, model.gradient_store, model.nonvolatile),
                *(model.slope_per_K, model.array_endurance),
            ]
        ),
        snake=snake(stack).copy(),
        transfers=np.array(
            [(transfer.producer, end, transfer.volume) for transfer, end in zip(transfers, ends, strict=True)],
            dtype=np.int64,
        ).reshape(-1, 3),
        consumers=np.array([layer for transfer in transfers for layer in transfer.consumers], dtype=np.int64),
        influence=np.pad(np.stack(parts), ((0, 0), (0, -stack.pes % ROWS), (0, 0))),
        tiers=stack.tiers,
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
        hop_pJ=float(stack.hop_energy_pJ),
        pe_area=float(stack.pe_area_mm2),
        tiles_per_pe=float(stack.tiles_per_pe),
        operations=float(model.operations),
        training_images=float(model.training_images),
        ambient_K=float(model.ambient_K),
        row_sum=largest_row_sum(model.influence),
        least_violation=LEAST_VIOLATION,
    )
