"""The product of a crossbar: digits of inputs times columns, converted, shifted and added; exact and in parts.

``y = sum over row blocks r, input digits i, weight digits j of 2^(i d + j c) ADC(X_i[r] W_j[r])``, in codes of the ADC:
whole numbers, ``kappa`` of which are one unit of an ordinary product. This is the engine of plain torch, for every
device and cell; `moopim.network.crossbar.planes` has one for processors.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moopim.network.crossbar.adc import Converter
from moopim.network.crossbar.plan import Columns, Plan
from moopim.network.crossbar.slices import digits

__all__ = ["Conversions", "convert_columns", "count_conversions", "exact_dtype"]

_EXACT_SINGLE = 2.0**24
# Half of it leaves room for a tie and a step aside.
_EXACT_TIES = 2.0**22
# Bytes of partial sums at a time: what the cache next to a core holds, and enough to fill a GPU.
_BYTES = {"cpu": 2**18, "cuda": 2**28}


class Conversions(NamedTuple):
    """What the ADCs of a layer did.

    Attributes:
        total: Conversions.
        clipped: Those beyond the range.
        altered: Those whose code is not the sum: clipped or rounded.
    """

    total: int = 0
    clipped: int = 0
    altered: int = 0

    def plus(self, other: Conversions) -> Conversions:
        """Adds what was counted elsewhere."""
        return Conversions(*(a + b for a, b in zip(self, other, strict=True)))


def convert_columns(plan: Plan, codes: Tensor, sums: Tensor) -> None:
    """Adds what the columns of a plan give.

    Args:
        plan: The plan.
        codes: Inputs (int32), shape ``(groups, rows, positions)``.
        sums: Where to add (float64), shape ``(outputs, positions)``.
    """
    for part in plan.columns:
        _add(plan, part, codes[part.group, slice(*part.rows)], sums)


def count_conversions(plan: Plan, codes: Tensor) -> Conversions:
    """Counts what the ADCs do with the columns of a plan.

    Args:
        plan: The plan, made without fusion.
        codes: Inputs (int32), shape ``(groups, rows, positions)``.

    Returns:
        The counts.
    """
    counts = Conversions()
    for part in plan.columns:
        for chunk in torch.split(codes[part.group, slice(*part.rows)], _positions(part, torch.float64), 1):
            for x in digits(chunk, plan.input_bits, plan.dac_bits):
                counts = counts.plus(_count(plan.converter, part.levels @ x.double()))
    return counts


def exact_dtype(most: float) -> torch.dtype:
    """The type in which whole numbers are added without error.

    Args:
        most: Bound on the sum of magnitudes.

    Returns:
        float32 or float64.
    """
    # Other settings let matrix products of float32 drop bits.
    exact = most < _EXACT_SINGLE and torch.get_float32_matmul_precision() == "highest"
    return torch.float32 if exact else torch.float64


def _add(plan: Plan, part: Columns, codes: Tensor, sums: Tensor) -> None:
    """Adds what the columns of one block give; codes have the shape ``(rows, positions)``."""
    converter, most = plan.converter, float(part.bounds.max())
    exact = plan.whole and converter.shift is not None and most < _EXACT_TIES
    dtype = exact_dtype(most) if exact else torch.float64
    per_output = converter.limit * float(part.factors.abs().sum())
    weighted = dtype if per_output < _EXACT_SINGLE else torch.float64
    levels, factors = part.levels.to(dtype), part.factors.to(weighted)[:, None]
    step = _positions(part, dtype)
    for chunk, total in zip(torch.split(codes, step, 1), torch.split(sums, step, 1), strict=True):
        for i, x in enumerate(digits(chunk, plan.input_bits, plan.dac_bits)):
            if x.any():
                found = converter.convert_(levels @ x.to(dtype)).to(weighted).mul_(factors)
                local = torch.zeros((len(total), x.shape[1]), dtype=weighted, device=x.device)
                total.add_(local.index_add_(0, part.outputs, found), alpha=2 ** (i * plan.dac_bits))


def _positions(part: Columns, dtype: torch.dtype) -> int:
    """Positions whose partial sums are held at a time."""
    return max(16, _BYTES.get(part.levels.device.type, 2**28) // (len(part.levels) * dtype.itemsize))


def _count(converter: Converter, sums: Tensor) -> Conversions:
    rounded = converter.round_(sums.clone())
    clipped = rounded.abs() > converter.limit
    altered = clipped | (rounded != sums * converter.kappa)
    return Conversions(sums.numel(), int(clipped.sum()), int(altered.sum()))
