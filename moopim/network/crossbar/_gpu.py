"""The kernel of `moopim.network.crossbar.gpu`; importing it needs triton, which torch brings along for CUDA."""

import triton
import triton.language as tl

__all__ = ["convert_tiles"]


@triton.jit
def _code(p, SHIFT: tl.constexpr, TIES: tl.constexpr):
    """Rounds ``p 2^-SHIFT`` to a whole number, halves to even (0), to odd (1) or all down (2)."""
    if SHIFT <= 0:
        return p << -SHIFT
    code = p >> SHIFT
    if TIES == 2:
        return code
    # What is added carries where more than half is left, and at half where the code below is odd (even).
    aside = (code & 1) if TIES == 0 else 1 - (code & 1)
    return (p + ((1 << (SHIFT - 1)) - 1) + aside) >> SHIFT


@triton.jit
def convert_tiles(
    codes, levels, factors, outputs, sums, positions, columns, rows, stride, limit,
    DIGITS: tl.constexpr, SLICES: tl.constexpr, DAC_BITS: tl.constexpr, SHIFT: tl.constexpr, TIES: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Adds what one block of rows gives for a tile of positions and outputs.

    ``codes`` (int16) has the shape ``(positions, rows)``, with ``stride`` from a position to the next; ``levels``
    (int8) ``(slices, columns, rows)``, ``factors`` (int32) ``(slices,)``, ``outputs`` (int32) ``(columns,)``, ``sums``
    (float64) ``(outputs, positions)``.
    """
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    k = tl.arange(0, BLOCK_K)
    here, there = p < positions, o < columns
    total = tl.zeros((BLOCK_P, BLOCK_O), dtype=tl.int32)
    for i in range(DIGITS):
        for s in range(SLICES):
            found = tl.zeros((BLOCK_P, BLOCK_O), dtype=tl.int32)
            for start in range(0, rows, BLOCK_K):
                row = start + k
                read = here[:, None] & (row < rows)[None, :]
                x = tl.load(codes + p[:, None] * stride + row[None, :], mask=read, other=0).to(tl.int32)
                digit = (tl.abs(x) >> (i * DAC_BITS)) & ((1 << DAC_BITS) - 1)
                read = there[None, :] & (row < rows)[:, None]
                w = tl.load(levels + (s * columns + o)[None, :] * rows + row[:, None], mask=read, other=0)
                found = tl.dot(tl.where(x < 0, -digit, digit).to(tl.int8), w, found)
            code = tl.minimum(tl.maximum(_code(found, SHIFT, TIES), -limit), limit)
            total += code * (tl.load(factors + s) << (i * DAC_BITS))
    at = sums + tl.load(outputs + o, mask=there, other=0).to(tl.int64)[None, :] * positions + p[:, None]
    inside = here[:, None] & there[None, :]
    tl.store(at, tl.load(at, mask=inside, other=0) + total.to(tl.float64), mask=inside)
