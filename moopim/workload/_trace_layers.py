"""Operations that become layers: windows (convolutions, pools), matrix products, element-wise sums and products."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from moopim.workload._trace_moves import dimensions, function, mixed, reduced
from moopim.workload._trace_state import CONSTANT, Builder, Call, Handler, Value, compact

Pair = tuple[int, int]
_MOST_TERMS = 16  # of a sum over channels; one over more of them is a statistic, of a normalisation


def _combine(
    builder: Builder, call: Call, kind: str, operands: Sequence[Value], shape: Sequence[int] | None = None
) -> Value:
    """Element-wise ``sum`` or ``product``; free where a factor is a statistic, as part of a normalisation."""
    shape = tuple(shape or call.shape)
    codes = [value.code.expand(shape) for value in operands]
    if any(value.statistic for value in operands):
        return Value(builder.origins.merge(codes), statistic=all(value.statistic for value in operands))
    order, count = builder.origins.lead(codes)
    size = builder.origins.size(codes[0], count)
    for code in codes[1:]:
        if size[0] == 1:
            size = builder.origins.size(code, count)
    channels = prod(shape) // count
    return builder.add(
        call,
        kind,
        codes,
        c_in=channels,
        c_out=channels,
        size_in=size,
        size_out=size,
        waits=any(builder.origins.is_late(code, order, count) for code in codes),
        order=order,
        shape=shape,
    )


def _element_wise(kind: str) -> Handler:
    def handle(builder: Builder, call: Call) -> Value:
        values = call.activations
        first = values[0]
        if all(value.root is first.root and value.shape == first.shape for value in values):
            return function(builder, call)
        return _combine(builder, call, kind, values)

    return handle


def _add_product(builder: Builder, call: Call) -> Value:
    """``addcmul`` and ``addcdiv``: an addend and a product of two tensors."""
    addend = call["self"]
    factors = [value for value in call.activations if value is not addend]
    product = _combine(builder, call, "product", factors) if len(factors) > 1 else None
    terms = [*([addend] if not addend.constant else []), *([product] if product else factors)]
    if len(terms) > 1:
        return _combine(builder, call, "sum", terms)
    return terms[0] if terms[0].shape == call.shape else Value(terms[0].code.expand(call.shape))


def _gated(builder: Builder, call: Call) -> Value:
    """Gated linear unit: one half of the channels times the sigmoid of the other."""
    halves = call["self"].code.chunk(2, call["dim"])
    return _combine(builder, call, "product", [Value(half) for half in halves])


def _pair(value: int | Sequence[int], one_dimensional: bool, fill: int) -> Pair:
    """Parameter of a window as (height, width); one-dimensional ones have height ``fill``."""
    items = [value] if isinstance(value, int) else list(value)
    if one_dimensional:
        return fill, items[0]
    return items[0], items[-1]


def _maps(call: Call, value: Value, one_dimensional: bool) -> Tensor:
    """Codes of shape ``(batch, channels, height, width)``."""
    code = value.code.unsqueeze(-2) if one_dimensional else value.code
    if code.dim() != 4:  # noqa: PLR2004
        raise call.error(f"input of shape {value.shape} is not supported; expected a batch of maps with channels")
    return code


def _cropped(code: Tensor) -> tuple[Tensor, Pair]:
    """Codes without the border of earlier padding; its height above and width on the left."""
    filled = compact(code) != CONSTANT
    rows = filled.any(3).any(1).any(0).expand(code.shape[2]).nonzero().flatten().tolist()
    columns = filled.any(2).any(1).any(0).expand(code.shape[3]).nonzero().flatten().tolist()
    return code[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (rows[0], columns[0])


def _window(
    builder: Builder,
    call: Call,
    kind: str,
    code: Tensor,
    *,
    channels: int,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    groups: int = 1,
    waits: bool = False,
) -> Value:
    """Add a ``conv`` or ``pool`` with a window on codes of shape ``(batch, channels, height, width)``.

    The maps of a batch are stacked along the height. ``size``: an output map (height, width); ``padding``: above and on
    the left; ``waits``: needs all inputs for another reason than their order.
    """
    cropped, border = _cropped(code)
    maps, _, height, width = cropped.shape
    order = torch.arange(maps * height * width).view(maps, 1, height, width)
    late = builder.origins.is_late(cropped, order, maps * height * width)
    return builder.add(
        call,
        kind,
        [cropped],
        c_in=code.shape[1],
        c_out=channels,
        kernel=kernel,
        stride=stride,
        padding=(padding[0] + border[0], padding[1] + border[1]),
        size_in=(maps * height, width),
        size_out=(maps * size[0], size[1]),
        groups=groups,
        waits=waits or late or (maps > 1 and kernel[0] > 1),
        order=torch.arange(maps * prod(size)).view(maps, 1, *size),
        shape=(maps, channels, *size),
    )


def _shaped(value: Value, shape: Sequence[int]) -> Value:
    return Value(value.code.reshape(tuple(shape)))


def _convolution(builder: Builder, call: Call) -> Value:
    value, weight = call["input"], call["weight"]
    if not weight.constant:
        raise call.error("a convolution whose weights depend on the image is not supported")
    flat = call.operation == "conv1d"
    kernel = _pair(weight.shape[2:], flat, 1)
    dilation = _pair(call["dilation"], flat, 1)
    reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    padding = call["padding"]
    if isinstance(padding, str):
        both = (reach[0] // 2, reach[1] // 2) if padding == "same" else (0, 0)
    else:
        both = _pair(padding, flat, 0)
    convolved = _window(
        builder,
        call,
        "conv",
        _maps(call, value, flat),
        channels=weight.shape[0],
        size=(1, call.shape[-1]) if flat else call.shape[-2:],  # type: ignore[arg-type]
        kernel=kernel,
        stride=_pair(call["stride"], flat, 1),
        padding=both,
        groups=call["groups"],
        waits=reach != (kernel[0] - 1, kernel[1] - 1),
    )
    return _shaped(convolved, call.shape)


def _pool(builder: Builder, call: Call) -> Value:
    flat = call.operation.endswith("1d")
    kernel = _pair(call["kernel_size"], flat, 1)
    if max(_pair(call.get("dilation", 1), flat, 1)) > 1:
        raise call.error("dilated pooling is not supported")
    return _pooled(builder, call, kernel, _pair(call.get("stride") or kernel, flat, 1), _pair(call["padding"], flat, 0))


def _pooled(builder: Builder, call: Call, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Value:
    flat = call.operation.endswith("1d")
    code = _maps(call, call.activations[0], flat)
    size = (1, call.shape[-1]) if flat else call.shape[-2:]
    pooled = _window(
        builder,
        call,
        "pool",
        code,
        channels=code.shape[1],
        size=size,  # type: ignore[arg-type]
        kernel=kernel,
        stride=stride,
        padding=padding,
    )
    return _shaped(pooled, call.shape)


def _adaptive_pool(builder: Builder, call: Call) -> Value:
    flat = call.operation.endswith("1d")
    value = call.activations[0]
    size_in = _maps(call, value, flat).shape[-2:]
    size_out = (1, call.shape[-1]) if flat else call.shape[-2:]
    if tuple(size_in) == tuple(size_out):
        return value
    kernel, stride = zip(*(_adaptive(*sizes) for sizes in zip(size_in, size_out, strict=True)), strict=True)
    return _pooled(builder, call, kernel, stride)


def _adaptive(size_in: int, size_out: int) -> Pair:
    """Kernel and stride of an adaptive pool: windows may differ by one, the kernel is the largest of them."""
    stride = max(1, size_in // size_out)
    largest = max(-(-(i + 1) * size_in // size_out) - i * size_in // size_out for i in range(size_out))
    return max(largest, size_in - (size_out - 1) * stride), stride


def _interpolate(builder: Builder, call: Call) -> Value:
    """Interpolation: an average over a window of 2x2 values per output value, or 4x4 (bicubic)."""
    code = _maps(call, call.activations[0], False)
    window = 4 if "bicubic" in call.operation else 2
    (height, width), size = code.shape[-2:], call.shape[-2:]
    return _window(
        builder,
        call,
        "pool",
        code,
        channels=code.shape[1],
        size=size,  # type: ignore[arg-type]
        kernel=(min(window, height), min(window, width)),
        stride=(max(1, height // size[0]), max(1, width // size[1])),
        waits=True,
    )


def _reduce(builder: Builder, call: Call) -> Value:
    """Sum, mean or maximum over dimensions: over space a pool, over channels a statistic."""
    value = call.activations[0]
    dims, keep = dimensions(value, call.get("dim")), bool(call.get("keepdim"))
    moving = {dim for dim in range(value.code.dim()) if _moves(builder, value.code, dim)}
    if moving.isdisjoint(dims):
        return _over_channels(builder, call, value, dims, keep)
    dims = tuple(dim for dim in dims if value.shape[dim] > 1 or dim in moving)
    if not moving.issuperset(dims):
        return reduced(builder, value, dimensions(value, call.get("dim")), keep)
    return _over_space(builder, call, value, dims, sorted(moving - set(dims)))


def _extreme(builder: Builder, call: Call) -> Value:
    """Maximum or minimum over everything or over a dimension."""
    if "other" in call:
        raise call.error("the larger or smaller of two activations is not supported")
    return _reduce(builder, call)


def _moves(builder: Builder, code: Tensor, dim: int) -> bool:
    """Whether the position changes along a dimension."""
    position = builder.origins.position(compact(code))
    return bool((position != position.narrow(dim, 0, 1)).any())


def _over_channels(builder: Builder, call: Call, value: Value, dims: Sequence[int], keep: bool) -> Value:
    terms = prod(value.shape[dim] for dim in dims)
    if call.operation != "sum" or not 1 < terms <= _MOST_TERMS:
        return reduced(builder, value, dims, keep)
    kept = [dim for dim in range(value.code.dim()) if dim not in dims]
    slices = value.code.permute(*dims, *kept).reshape(terms, *(value.shape[dim] for dim in kept)).unbind()
    return _shaped(_combine(builder, call, "sum", [Value(code) for code in slices], slices[0].shape), call.shape)


def _over_space(builder: Builder, call: Call, value: Value, dims: Sequence[int], kept: Sequence[int]) -> Value:
    """Add a pool over the dimensions ``dims``; the dimensions ``kept`` hold the remaining positions."""
    others = [dim for dim in range(value.code.dim()) if dim not in {*dims, *kept}]
    code = value.code.permute(*others, *kept, *dims)
    left, window = prod(value.shape[dim] for dim in kept), prod(value.shape[dim] for dim in dims)
    code = code.reshape(-1, left, window)
    order = torch.arange(left * window).view(1, left, window)
    late = builder.origins.is_late(code, order, left * window)
    rows, columns = builder.origins.size(code, window) if left == 1 and not late else (1, window)
    pooled = builder.add(
        call,
        "pool",
        [code],
        c_in=len(code),
        c_out=len(code),
        kernel=(rows, columns),
        stride=(rows, columns),
        size_in=(left * rows, columns),
        size_out=(left, 1),
        waits=late,
        order=torch.arange(left).view(1, left),
        shape=code.shape[:2],
    )
    shape = [value.shape[dim] for dim in (*others, *kept)]
    places = [(*others, *kept).index(dim) for dim in sorted((*others, *kept))]
    return _shaped(Value(pooled.code.reshape(shape).permute(places)), call.shape)


def _multiply(builder: Builder, call: Call, first: Value, second: Value, label: str = "") -> Value:
    """Matrix product, ``(..., m, k)`` by ``(..., k, n)``; ``label``: name of the layer within its module."""
    if min(first.code.dim(), second.code.dim()) < 2:  # noqa: PLR2004
        raise call.error("products of vectors are not supported; expected matrices")
    if first.constant:  # W x = (x' W')'
        turned = _multiply(builder, call, _turned(second), _turned(first), label)
        return _turned(turned)
    batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    a, b = (value.code.expand(*batch, *value.shape[-2:]) for value in (first, second))
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    groups = prod(batch)
    if second.constant:
        weights = prod(second.shape[:-2])
        if weights == 1:
            return _linear(builder, call, a, n, label)
        if weights != groups:
            raise call.error(f"{weights} matrices of weights for {groups} of activations are not supported")
    order = torch.arange(m).view(m, 1)
    size = builder.origins.size(a, m)
    return builder.add(
        call,
        "conv" if second.constant else "matmul",
        [a] if second.constant else [a, b],
        c_in=groups * k,
        c_out=groups * n,
        size_in=size,
        size_out=size,
        groups=groups,
        waits=builder.origins.is_late(a, order, m),
        order=order,
        shape=(*batch, m, n),
        label=label or ("" if second.constant else "matmul"),
    )


def _turned(value: Value) -> Value:
    return Value(value.code.transpose(-1, -2), constant=value.constant)


def _linear(builder: Builder, call: Call, code: Tensor, features: int, label: str = "") -> Value:
    """Product of every row with the same weights; a single row is a fully connected layer."""
    rows = code.shape[:-1]
    count = prod(rows)
    order = torch.arange(count).view(*rows, 1)
    late = builder.origins.is_late(code, order, count)
    size = builder.origins.size(code, count)
    if late or size[0] * size[1] != count:
        *outer, inner = [row for row in rows if row > 1] or [1]
        size = prod(outer), inner
    return builder.add(
        call,
        "fc" if count == 1 else "conv",
        [code],
        c_in=code.shape[-1],
        c_out=features,
        size_in=size,
        size_out=size,
        waits=late or count == 1,
        order=order,
        shape=(*rows, features),
        label=label,
    )


def _linear_call(builder: Builder, call: Call) -> Value:
    value, weight = call["input"], call["weight"]
    if weight.constant and not value.constant:
        return _linear(builder, call, value.code, weight.shape[0])
    return _multiply(builder, call, value, _turned(weight))


def _matmul(builder: Builder, call: Call) -> Value:
    first, second = call.tensors
    return _multiply(builder, call, first, second)


def _add_matmul(builder: Builder, call: Call) -> Value:
    """``addmm`` and ``baddbmm``: a product and an addend."""
    addend, first, second = call.tensors
    if first.constant and second.constant:
        return Value(addend.code.expand(call.shape))
    product = _multiply(builder, call, first, second)
    return product if addend.constant else _combine(builder, call, "sum", [addend, product])


def _attention(builder: Builder, call: Call) -> Value:
    """Scaled dot-product attention: queries by keys, softmax, by values."""
    query, key, value = (call[name] for name in ("query", "key", "value"))
    mask = call.get("attn_mask")
    if call.get("enable_gqa"):
        key, value = (_repeated(item, query.shape[-3]) for item in (key, value))
    scores = query if query.constant and key.constant else _multiply(builder, call, query, _turned(key), "scores")
    if scores.constant:
        scores = Value(scores.code[..., :1].expand(*query.shape[:-1], key.shape[-2]), constant=True)
    if mask is not None and not mask.constant:
        scores = _combine(builder, call, "sum", [scores, mask], scores.shape)
    if not scores.constant:
        scores = mixed(builder, scores, (scores.code.dim() - 1,))
    return _multiply(builder, call, scores, value, "mixture")


def _repeated(value: Value, heads: int) -> Value:
    """Keys or values that several heads share, repeated for each of them."""
    return Value(value.code.repeat_interleave(heads // value.shape[-3], -3), constant=value.constant)


@dataclass(frozen=True)
class _Einsum:
    """Roles of the letters of a product of two tensors."""

    batch: str
    first: str
    second: str
    contracted: str


def _roles(call: Call, left: str, right: str, output: str) -> _Einsum:
    roles = _Einsum(
        "".join(letter for letter in output if letter in left and letter in right),
        "".join(letter for letter in left if letter in output and letter not in right),
        "".join(letter for letter in right if letter in output and letter not in left),
        "".join(letter for letter in left if letter in right and letter not in output),
    )
    plain = all(len(set(word)) == len(word) for word in (left, right, output))
    whole = set(left + right) == set(roles.batch + roles.first + roles.second + roles.contracted)
    if not plain or not whole or not roles.contracted:
        raise call.error("this sum is not supported; expected a product of matrices, such as 'bik,bkj->bij'")
    return roles


def _einsum(builder: Builder, call: Call) -> Value:
    equation = str(call["equation"]).replace(" ", "")
    words, arrow, output = equation.partition("->")
    parts = words.split(",")
    operands = call.tensors
    if not arrow or len(parts) != 2 or not equation.replace("->", "").replace(",", "").isalpha():  # noqa: PLR2004
        raise call.error(f"equation {equation!r} is not supported; expected a product of two, such as 'bik,bkj->bij'")
    roles = _roles(call, parts[0], parts[1], output)
    sizes = {
        letter: size
        for word, value in zip(parts, operands, strict=True)
        for letter, size in zip(word, value.shape, strict=True)
    }

    def matrices(value: Value, word: str, rows: str, columns: str) -> Value:
        code = value.code.permute([word.index(letter) for letter in roles.batch + rows + columns])
        shape = [prod(sizes[letter] for letter in letters) for letters in (roles.batch, rows, columns)]
        return Value(code.reshape(shape), constant=value.constant)

    first = matrices(operands[0], parts[0], roles.first, roles.contracted)
    second = matrices(operands[1], parts[1], roles.contracted, roles.second)
    product = _multiply(builder, call, first, second)
    made = roles.batch + roles.first + roles.second
    code = product.code.reshape([sizes[letter] for letter in made])
    return Value(code.permute([made.index(letter) for letter in output]))


LAYERS: dict[str, Handler] = {
    "conv1d": _convolution,
    "conv2d": _convolution,
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices"), _pool),
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptive_pool
    ),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d"), _interpolate),
    **dict.fromkeys(("amax", "amin", "mean", "sum"), _reduce),
    **dict.fromkeys(("max", "min"), _extreme),
    "linear": _linear_call,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "addmm": _add_matmul,
    "baddbmm": _add_matmul,
    "scaled_dot_product_attention": _attention,
    "einsum": _einsum,
    "add": _element_wise("sum"),
    "sub": _element_wise("sum"),
    "rsub": _element_wise("sum"),
    "mul": _element_wise("product"),
    "div": _element_wise("product"),
    "addcmul": _add_product,
    "addcdiv": _add_product,
    "glu": _gated,
}
"""Operation -> handler."""
