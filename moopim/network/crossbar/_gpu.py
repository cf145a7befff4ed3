"""Kernel of `moopim.network.crossbar.gpu`; importing it needs triton, which torch brings along for CUDA."""

import triton
import triton.language as tl


@triton.jit
def _digits(codes, place, bits):
    """One digit of each code, with its sign."""
    digit = (tl.abs(codes) >> place) & ((1 << bits) - 1)
    return tl.where(codes < 0, -digit, digit).to(tl.int8)


@triton.jit
def _rounded(sums, shift, TIES: tl.constexpr):
    """``sums 2^-shift`` as whole numbers: halves to even (0), to odd (1), all down (2); 3: for shifts up to 0."""
    # The addend carries where the remainder is above half, and at half where the code below is odd (even).
    if TIES == 0:
        codes = (sums + ((1 << (shift - 1)) - 1) + ((sums >> shift) & 1)) >> shift
    elif TIES == 1:
        codes = (sums + (1 << (shift - 1)) - ((sums >> shift) & 1)) >> shift
    elif TIES == 2:
        codes = sums >> shift
    else:
        codes = sums << -shift
    return codes


@triton.jit(do_not_specialize=["rows", "stride", "digits", "slices", "dac_bits", "shift", "limit"])
def convert_tiles(
    codes, levels, factors, outputs, sums, positions, columns, rows, stride, digits, slices, dac_bits, shift, limit,
    TIES: tl.constexpr, WHOLE: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Add the sums of one block of rows for a tile of positions and outputs.

    ``codes`` (int16) has the shape ``(positions, rows)``, with ``stride`` from a position to the next; ``levels``
    (int8) ``(slices, columns, rows)``, ``factors`` (int32) ``(slices,)``, ``outputs`` (int32) ``(columns,)``, ``sums``
    (float64) ``(outputs, positions)``. ``WHOLE`` means that ``BLOCK_K`` covers all rows.
    """
    p = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    k = tl.arange(0, BLOCK_K)
    here, there = p < positions, o < columns
    x_at, w_at = codes + p[:, None].to(tl.int64) * stride + k[None, :], levels + o[None, :] * rows + k[:, None]
    total = tl.zeros((BLOCK_P, BLOCK_O), dtype=tl.int32)
    if WHOLE:
        x = tl.load(x_at, mask=here[:, None] & (k < rows)[None, :], other=0)
    for i in range(digits):
        if WHOLE:
            digit = _digits(x, i * dac_bits, dac_bits)
        for s in range(slices):
            w_slice = w_at + s * columns * rows
            if WHOLE:
                w = tl.load(w_slice, mask=there[None, :] & (k < rows)[:, None], other=0)
                found = tl.dot(digit, w, out_dtype=tl.int32)
            else:
                found = tl.zeros((BLOCK_P, BLOCK_O), dtype=tl.int32)
                for start in range(0, rows, BLOCK_K):
                    inside = start + k < rows
                    part = tl.load(x_at + start, mask=here[:, None] & inside[None, :], other=0)
                    w = tl.load(w_slice + start, mask=there[None, :] & inside[:, None], other=0)
                    found = tl.dot(_digits(part, i * dac_bits, dac_bits), w, found, out_dtype=tl.int32)
            code = tl.minimum(tl.maximum(_rounded(found, shift, TIES), -limit), limit)
            total += code * (tl.load(factors + s) << (i * dac_bits))
    at = sums + tl.load(outputs + o, mask=there, other=0).to(tl.int64)[None, :] * positions + p[:, None]
    inside = here[:, None] & there[None, :]
    tl.store(at, tl.load(at, mask=inside, other=0) + total.to(tl.float64), mask=inside)
