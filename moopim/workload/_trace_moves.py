"""Operations that are free: they move values, apply a function to each, or normalise them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from moopim.workload._trace_state import CONSTANT, Builder, Call, Handler, Value, compact, constant, thin

_MOVES = (
    "broadcast_to cat channel_shuffle chunk column_stack concat concatenate diagonal expand expand_as flatten flip "
    "hstack mT moveaxis movedim narrow native_channel_shuffle numpy_T permute pixel_shuffle pixel_unshuffle ravel "
    "repeat repeat_interleave reshape reshape_as roll rot90 select select_scatter slice slice_scatter split "
    "split_with_sizes squeeze stack swapaxes swapdims t tensor_split tile transpose unbind unflatten unfold "
    "unsafe_chunk unsafe_split unsqueeze vstack"
)
"""Operations on tensors of any type, run on the codes as they are."""

_FILLED = (
    "_upsample_nearest_exact2d constant_pad_nd im2col pad reflection_pad1d reflection_pad2d replication_pad1d "
    "replication_pad2d upsample_nearest1d upsample_nearest2d"
)
"""Operations on floating-point numbers that move values and fill in constants."""

_FUNCTIONS = (
    "_native_batch_norm_legit_no_training _to_copy abs alias alpha_dropout batch_norm celu clamp clamp_max "
    "clamp_min clone contiguous detach dropout elu erf exp expm1 feature_alpha_dropout feature_dropout floor ge "
    "gelu gt hardshrink hardsigmoid hardswish hardtanh le leaky_relu log log1p log2 log_sigmoid lt masked_fill mish "
    "neg positive pow prelu reciprocal relu relu6 round rsqrt selu sigmoid sign silu softplus softshrink softsign "
    "sqrt square tanh tanhshrink threshold to where"
)
"""Functions of one value, with parameters."""

_CONSTANTS = (
    "_assert_async _assert_tensor_metadata empty_like fill full_like new_empty new_full new_ones new_zeros "
    "ones_like size sym_numel sym_size sym_stride zero zeros_like"
)
"""Operations whose result does not depend on the values of their tensors."""


def _move(builder: Builder, call: Call) -> Any:
    del builder
    return _run(call, call.args, call.kwargs, lambda value: value.code, lambda code: code)


def _view(builder: Builder, call: Call) -> Value:
    """A view; as a reshape, which may copy: codes have other strides than the tensors they describe."""
    del builder
    value = call.activations[0]
    return Value(thin(value.code.reshape(call.shape)), statistic=value.statistic)


def _fill(builder: Builder, call: Call) -> Any:
    """Run the operation on codes shifted by one, so that the zeros that it fills in decode to `CONSTANT`."""
    del builder
    names = [argument.name for argument in call.target._schema.arguments]
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    named = {name: 0 if name == "value" else item for name, item in given.items()}
    return _run(
        call, (named.pop(names[0]),), named, lambda value: (value.code + 1).double(), lambda code: code.long() - 1
    )


def _run(
    call: Call,
    args: Sequence[Any],
    named: Mapping[str, Any],
    encode: Callable[[Value], Tensor],
    decode: Callable[[Tensor], Tensor],
) -> Any:
    def codes(item: Any) -> Any:
        return encode(item) if isinstance(item, Value) else item

    def value(code: Tensor) -> Value:
        code = thin(decode(code))
        return Value(code, constant=not bool((compact(code) != CONSTANT).any()), statistic=statistic)

    statistic = all(value.statistic for value in call.activations)
    encoded, others = torch.utils._pytree.tree_map(codes, (tuple(args), dict(named)))
    moved = call.target(*encoded, **others)
    return value(moved) if isinstance(moved, Tensor) else tuple(map(value, moved))


def function(builder: Builder, call: Call) -> Value:
    """Function of each value; two functions of one tensor are one again."""
    del builder
    value, *others = call.activations
    if any(other.root is not value.root or other.shape != value.shape for other in others):
        raise call.error("an element-wise function of two activations is not supported, save their sum and product")
    if value.shape == call.shape:
        return value
    return Value(value.code.expand(call.shape), statistic=value.statistic)


def _typed(builder: Builder, call: Call) -> Value:
    """Tensor cast to the type of another."""
    del builder
    value: Value = call["self"]
    return value


def _copy(builder: Builder, call: Call) -> Value:
    del builder
    source = call["src"]
    return Value(source.code.expand(call.shape), constant=source.constant)


def _constants(builder: Builder, call: Call) -> Any:
    del builder
    result = call.node.meta.get("val")
    return constant(result.shape) if isinstance(result, Tensor) else result


def dimensions(value: Value, dims: int | Sequence[int] | None) -> tuple[int, ...]:
    """Dimensions counted from the front; all of them for None or an empty list."""
    rank = value.code.dim()
    chosen = [dims] if isinstance(dims, int) else list(dims or range(rank))
    return tuple(sorted(dim % rank for dim in chosen))


def mixed(builder: Builder, value: Value, dims: Sequence[int]) -> Value:
    """Normalisation over ``dims``, which are kept."""
    return Value(builder.origins.mix(value.code, dims))


def reduced(builder: Builder, value: Value, dims: Sequence[int], keep: bool) -> Value:
    """Statistic over ``dims``."""
    code = builder.origins.mix(value.code, dims)
    for dim in reversed(dims):
        code = code.narrow(dim, 0, 1) if keep else code.select(dim, 0)
    return Value(code, statistic=True)


def _softmax(builder: Builder, call: Call) -> Value:
    return mixed(builder, call.activations[0], dimensions(call.activations[0], call["dim"]))


def _layer_norm(builder: Builder, call: Call) -> Value:
    value = call.activations[0]
    return mixed(builder, value, range(value.code.dim() - len(call["normalized_shape"]), value.code.dim()))


def _group_norm(builder: Builder, call: Call) -> Value:
    value = call.activations[0]
    return mixed(builder, value, range(1, value.code.dim()))


def _instance_norm(builder: Builder, call: Call) -> Value:
    value = call.activations[0]
    return mixed(builder, value, range(2, value.code.dim()))


def _statistic(builder: Builder, call: Call) -> Any:
    value = call.activations[0]
    statistic = reduced(builder, value, dimensions(value, call.get("dim")), bool(call.get("keepdim")))
    several = isinstance(call.node.meta["val"], tuple | list)
    return (statistic, statistic) if several else statistic


def _index(builder: Builder, call: Call) -> Value:
    """Values selected by known indices; by unknown ones, each may be any value."""
    value = call.activations[0]
    indices = [index for index in call.tensors if index is not value]
    if any(not index.constant for index in indices):
        raise call.error("values cannot be picked by numbers that depend on the image")
    if value is not call["self"] or any(index.known is None for index in indices):
        code = mixed(builder, value, range(value.code.dim())).code.reshape(-1)[0]
        return Value(code.expand(call.shape))

    def numbers(item: Any) -> Any:
        return item if not isinstance(item, Value) else item.code if item is value else item.known

    args, kwargs = torch.utils._pytree.tree_map(numbers, (call.args, call.kwargs))
    return Value(call.target(*args, **kwargs))


def _table() -> dict[str, Handler]:
    handlers: dict[str, Handler] = dict.fromkeys(_MOVES.split(), _move)
    handlers |= dict.fromkeys(("view", "view_as", "_unsafe_view"), _view)
    handlers |= dict.fromkeys(_FILLED.split(), _fill)
    handlers |= dict.fromkeys(_FUNCTIONS.split(), function)
    handlers |= dict.fromkeys(_CONSTANTS.split(), _constants)
    handlers |= dict.fromkeys(("softmax", "log_softmax", "_softmax", "_log_softmax", "_safe_softmax"), _softmax)
    handlers |= dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm)
    handlers |= {"copy": _copy, "type_as": _typed, "group_norm": _group_norm, "instance_norm": _instance_norm}
    handlers |= dict.fromkeys(
        ("linalg_vector_norm", "norm", "std", "std_mean", "var", "var_mean", "logsumexp"), _statistic
    )
    handlers |= dict.fromkeys(("index", "index_select", "gather"), _index)
    return handlers


FREE = _table()
"""Operation -> handler."""
