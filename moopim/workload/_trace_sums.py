"""Element-wise sums and products of activations."""

from collections.abc import Sequence
from math import prod

from moopim.workload._trace_calls import Builder, Call, Handler
from moopim.workload._trace_moves import function
from moopim.workload._trace_values import Value

__all__ = ["SUMS", "combine"]


def combine(
    builder: Builder, call: Call, kind: str, operands: Sequence[Value], shape: Sequence[int] | None = None
) -> Value:
    """An element-wise operation on activations.

    Args:
        builder: The layers so far.
        call: The call that computes it.
        kind: ``sum`` or ``product``.
        operands: The activations, broadcasting to the shape.
        shape: Shape of the result, that of the call if None.

    Returns:
        The result. Scaling by a statistic is part of a normalisation and costs nothing.
    """
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
        return combine(builder, call, kind, values)

    return handle


def _add_product(builder: Builder, call: Call) -> Value:
    """``addcmul`` and ``addcdiv``: an addend and a product of two tensors."""
    addend = call["self"]
    factors = [value for value in call.activations if value is not addend]
    product = combine(builder, call, "product", factors) if len(factors) > 1 else None
    terms = [*([addend] if not addend.constant else []), *([product] if product else factors)]
    if len(terms) > 1:
        return combine(builder, call, "sum", terms)
    return terms[0] if terms[0].shape == call.shape else Value(terms[0].code.expand(call.shape))


def _gated(builder: Builder, call: Call) -> Value:
    """Gated linear unit: one half of the channels times the sigmoid of the other."""
    halves = call["self"].code.chunk(2, call["dim"])
    return combine(builder, call, "product", [Value(half) for half in halves])


SUMS: dict[str, Handler] = {
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
