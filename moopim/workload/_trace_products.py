"""Matrix products: linear layers, products of two activations, attention."""

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from moopim.workload._trace_calls import Builder, Call, Handler
from moopim.workload._trace_moves import mixed
from moopim.workload._trace_sums import combine
from moopim.workload._trace_values import Value

__all__ = ["PRODUCTS"]


def multiply(builder: Builder, call: Call, first: Value, second: Value, label: str = "") -> Value:
    """A product of matrices.

    Args:
        builder: The layers so far.
        call: The call that computes it.
        first: Left matrices, shape ``(..., m, k)``.
        second: Right matrices, shape ``(..., k, n)``.
        label: Name within the module.

    Returns:
        The product, shape ``(..., m, n)``.
    """
    if min(first.code.dim(), second.code.dim()) < 2:  # noqa: PLR2004
        raise call.error("products of vectors are not supported; expected matrices")
    if first.constant:  # W x = (x' W')'
        turned = multiply(builder, call, _turned(second), _turned(first), label)
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
    """Multiplies every row by the same weights; a single row is a fully connected layer."""
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
    return multiply(builder, call, value, _turned(weight))


def _matmul(builder: Builder, call: Call) -> Value:
    first, second = call.tensors
    return multiply(builder, call, first, second)


def _add_matmul(builder: Builder, call: Call) -> Value:
    """``addmm`` and ``baddbmm``: a product with an addend."""
    addend, first, second = call.tensors
    if first.constant and second.constant:
        return Value(addend.code.expand(call.shape))
    product = multiply(builder, call, first, second)
    return product if addend.constant else combine(builder, call, "sum", [addend, product])


def _attention(builder: Builder, call: Call) -> Value:
    """Scaled dot products: queries by keys, softmax, by values."""
    query, key, value = (call[name] for name in ("query", "key", "value"))
    mask = call.get("attn_mask")
    if call.get("enable_gqa"):
        key, value = (_repeated(item, query.shape[-3]) for item in (key, value))
    scores = query if query.constant and key.constant else multiply(builder, call, query, _turned(key), "scores")
    if scores.constant:
        scores = Value(scores.code[..., :1].expand(*query.shape[:-1], key.shape[-2]), constant=True)
    if mask is not None and not mask.constant:
        scores = combine(builder, call, "sum", [scores, mask], scores.shape)
    if not scores.constant:
        scores = mixed(builder, scores, (scores.code.dim() - 1,))
    return multiply(builder, call, scores, value, "mixture")


def _repeated(value: Value, heads: int) -> Value:
    """Keys or values that several heads share, once for each of them."""
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
    product = multiply(builder, call, first, second)
    made = roles.batch + roles.first + roles.second
    code = product.code.reshape([sizes[letter] for letter in made])
    return Value(code.permute([made.index(letter) for letter in output]))


PRODUCTS: dict[str, Handler] = {
    "linear": _linear_call,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "addmm": _add_matmul,
    "baddbmm": _add_matmul,
    "scaled_dot_product_attention": _attention,
    "einsum": _einsum,
}
"""Operation -> handler."""
