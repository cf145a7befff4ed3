"""Execution plan of a layer: columns that still need an ADC after lossless ones are merged.

A sum of whole numbers is converted without loss where an ADC has a code for each unit and its range covers the column:
``kappa = 2^k >= 1`` and ``kappa Pmax <= limit``, with ``Pmax`` the largest digit of an input times the digits of the
column of one sign (of both signs, for inputs of both). All such columns together are one ordinary product of whole
numbers. Columns whose sums all become code 0 drop out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from moopim.checks import whole_number
from moopim.errors import ConfigError
from moopim.network.crossbar.adc import AdcTransfer
from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.mapping import Cells, RowBlock

_DOUBLE_BITS = 53


class Columns(NamedTuple):
    """Columns of crossbars on the same rows that are converted.

    Attributes:
        group: Group of the convolution.
        rows: Block of rows, among those of the group.
        outputs: Output of each column, shape ``(columns,)``.
        factors: Weight of its codes in the output, ``2^k`` or its negative, shape ``(columns,)``.
        levels: Levels of its cells, negative weights subtracted, shape ``(columns, rows)``; float64.
        bounds: Largest magnitude of its sums, shape ``(columns,)``; float64.
    """

    group: int
    rows: RowBlock
    outputs: Tensor
    factors: Tensor
    levels: Tensor
    bounds: Tensor

    def at(self, index: Tensor) -> Columns:
        """Columns that an index or a mask selects."""
        chosen = (tensor[index] for tensor in (self.outputs, self.factors, self.levels, self.bounds))
        return Columns(self.group, self.rows, *chosen)


@dataclass(frozen=True)
class Plan:
    """Execution plan of a layer.

    Attributes:
        adc: Transfer function of the ADCs.
        input_bits: Bits of an input, sign included.
        dac_bits: Bits of a DAC.
        groups: Groups of the convolution.
        outputs: Outputs of the layer.
        signed: Whether inputs may be negative.
        whole: Whether all cells hold whole numbers.
        merged: Weights whose product needs no ADC, times ``kappa``, shape ``(outputs, rows)``; float64. None if there
            are none.
        columns: Columns that are converted.
        programs: Programs that engines compiled from the plan, by engine.
    """

    adc: AdcTransfer
    input_bits: int
    dac_bits: int
    groups: int
    outputs: int
    signed: bool
    whole: bool
    merged: Tensor | None
    columns: tuple[Columns, ...]
    programs: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


def make_plan(
    cells: Cells,
    circuit: Circuit,
    adc: AdcTransfer,
    blocks: tuple[RowBlock, ...],
    input_bits: int,
    *,
    groups: int = 1,
    signed: bool = True,
    fuse: bool = True,
) -> Plan:
    """Sort the columns of a layer; with ``fuse``, merge lossless ones and drop silent ones."""
    whole_number("groups", groups, 1)
    if cells.positive.shape[1] % groups:
        raise ConfigError(f"{groups} groups do not divide {cells.positive.shape[1]} outputs")
    whole = not cells.positive.dtype.is_floating_point
    outputs, rows = cells.positive.shape[1:]
    merged = torch.zeros((outputs, rows), dtype=torch.float64, device=cells.positive.device)
    columns = []
    for group in range(groups):
        for block in blocks:
            part = _columns(cells, circuit, block, group, groups, signed)
            if fuse and whole:
                lossless = adc.lossless(part.bounds)
                factors = part.factors[lossless].double() * adc.kappa
                merged[:, slice(*block)].index_add_(0, part.outputs[lossless], part.levels[lossless] * factors[:, None])
                part = part.at(~(lossless | adc.silent(part.bounds)))
            columns.append(part if whole else _on_grid(part))
    return Plan(
        adc,
        input_bits,
        circuit.dac_bits,
        groups,
        outputs,
        signed,
        whole,
        merged if bool(merged.any()) else None,
        tuple(part for part in columns if len(part.outputs)),
    )


def _columns(cells: Cells, circuit: Circuit, block: RowBlock, group: int, groups: int, signed: bool) -> Columns:
    """All columns of a group on the rows of a block, the slices of an output beside each other."""
    slices, outputs = cells.positive.shape[:2]
    device = cells.positive.device
    each = outputs // groups
    positive, negative = (
        side[:, group * each : (group + 1) * each, slice(*block)].double().transpose(0, 1).flatten(0, 1)
        for side in cells
    )
    output = torch.arange(group * each, (group + 1) * each, device=device).repeat_interleave(slices)
    factor = (2 ** (circuit.cell_bits * torch.arange(slices, device=device))).repeat(each)
    if circuit.subtraction == "analog":
        levels = positive - negative
    else:
        levels, output, factor = torch.cat([positive, negative]), output.repeat(2), torch.cat([factor, -factor])
    up, down = levels.clamp_min(0).sum(1), levels.clamp_max(0).sum(1).neg()
    largest = 2**circuit.dac_bits - 1
    bounds = largest * (up + down if signed else torch.maximum(up, down))
    return Columns(group, block, output, factor, levels, bounds)


def _on_grid(part: Columns) -> Columns:
    """Round conductances to a grid on which double precision adds without error, so that the order does not matter."""
    most = float(part.bounds.max()) if len(part.bounds) else 0.0
    fine = 2.0 ** (_DOUBLE_BITS - 2 - max(1, most).__ceil__().bit_length())
    return part._replace(levels=(part.levels * fine).round() / fine)
