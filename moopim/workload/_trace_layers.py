"""Layers with a window: convolutions, pools, means over space."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from moopim.workload._trace_calls import Builder, Call, Handler
from moopim.workload._trace_moves import dimensions, reduced
from moopim.workload._trace_sums import combine
from moopim.workload._trace_values import CONSTANT, Value, compact

__all__ = ["WINDOWS"]

Pair = tuple[int, int]
_MOST_TERMS = 16  # of a sum over channels; one over more of them is a statistic, of a normalisation


def _pair(value: int | Sequence[int], one_dimensional: bool, fill: int) -> Pair:
    """A parameter of a window as (height, width); one-dimensional ones have height 1."""
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
    """Takes off the borders that earlier padding added; returns their height above and width on the left."""
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
    """Adds a layer with a window; maps of a batch stand one below the other.

    Args:
        builder: The layers so far.
        call: The call that computes it.
        kind: ``conv`` or ``pool``.
        code: Codes of the input, shape ``(batch, channels, height, width)``.
        channels: Output channels.
        size: Height and width of an output map.
        kernel: Size of the window.
        stride: Its stride.
        padding: Padding above and on the left.
        groups: Groups of channels.
        waits: Whether it needs all of its inputs for another reason than their order.

    Returns:
        Its output, of the shape of the call.
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
    """Interpolation is an average over a window of two values each way, or four, per output value."""
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
    """Tells whether the position changes along a dimension."""
    position = builder.origins.position(compact(code))
    return bool((position != position.narrow(dim, 0, 1)).any())


def _over_channels(builder: Builder, call: Call, value: Value, dims: Sequence[int], keep: bool) -> Value:
    terms = prod(value.shape[dim] for dim in dims)
    if call.operation != "sum" or not 1 < terms <= _MOST_TERMS:
        return reduced(builder, value, dims, keep)
    kept = [dim for dim in range(value.code.dim()) if dim not in dims]
    slices = value.code.permute(*dims, *kept).reshape(terms, *(value.shape[dim] for dim in kept)).unbind()
    return _shaped(combine(builder, call, "sum", [Value(code) for code in slices], slices[0].shape), call.shape)


def _over_space(builder: Builder, call: Call, value: Value, dims: Sequence[int], kept: Sequence[int]) -> Value:
    """Adds a pool over the dimensions ``dims``; positions are left along the dimensions ``kept``."""
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


WINDOWS: dict[str, Handler] = {
    "conv1d": _convolution,
    "conv2d": _convolution,
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d", "max_pool2d_with_indices"), _pool),
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptive_pool
    ),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d"), _interpolate),
    **dict.fromkeys(("amax", "amin", "mean", "sum"), _reduce),
    **dict.fromkeys(("max", "min"), _extreme),
}
"""Operation -> handler."""
