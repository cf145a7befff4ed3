"""Vectors of 256 bits in functions that numba compiles: LLVM turns each operation into one or two instructions."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model

__all__ = [
    "WORDS",
    "all_ones",
    "all_zeros",
    "both",
    "differ",
    "either",
    "invert",
    "left",
    "load",
    "peek",
    "repeat",
    "right",
    "store",
]

WORDS = 4
"""Words of 64 bits in a vector; the widest that most processors have registers for."""


intrinsic: Any = extending.intrinsic  # a type checker cannot know that it takes the first argument away

_VECTOR = ir.VectorType(ir.IntType(64), WORDS)
_ALIGNMENT = 32  # bytes


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="moopim.lanes")


_lanes = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)  # type: ignore[no-untyped-call]


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, address: Any) -> Any:
    """The vector at an address."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.load(builder.inttoptr(arguments[0], _VECTOR.as_pointer()), align=_ALIGNMENT)

    return _lanes(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, address: Any, vector: Any) -> Any:
    """Puts a vector at an address."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        builder.store(arguments[1], builder.inttoptr(arguments[0], _VECTOR.as_pointer()), align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


@intrinsic  # type: ignore[untyped-decorator]
def peek(typing: Any, address: Any) -> Any:
    """The number (int32) at an address."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        number = builder.load(builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))
        return builder.sext(number, ir.IntType(64))

    return types.int64(types.int64), generate


def _constant(value: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def constant(typing: Any) -> Any:
        del typing

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, builder, signature, arguments
            return ir.Constant(_VECTOR, [value] * WORDS)

        return _lanes(), generate

    return constant


def _operation(name: str) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def operation(typing: Any, first: Any, second: Any) -> Any:
        del typing

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            return getattr(builder, name)(*arguments)

        return _lanes(first, second), generate

    return operation


def _shift(name: str) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def shift(typing: Any, vector: Any, by: Any) -> Any:
        del typing

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            return getattr(builder, name)(arguments[0], _repeated(builder, arguments[1]))

        return _lanes(vector, types.int64), generate

    return shift


@intrinsic  # type: ignore[untyped-decorator]
def repeat(typing: Any, word: Any) -> Any:
    """A vector of equal words."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return _repeated(builder, arguments[0])

    return _lanes(types.int64), generate


def _repeated(builder: Any, word: Any) -> Any:
    vector = ir.Constant(_VECTOR, ir.Undefined)
    for lane in range(WORDS):
        vector = builder.insert_element(vector, word, ir.Constant(ir.IntType(32), lane))
    return vector


@intrinsic  # type: ignore[untyped-decorator]
def invert(typing: Any, vector: Any) -> Any:
    """All bits inverted."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.not_(arguments[0])

    return _lanes(vector), generate


all_zeros, all_ones = _constant(0), _constant(int(np.iinfo(np.uint64).max))
both, either, differ = _operation("and_"), _operation("or_"), _operation("xor")
left, right = _shift("shl"), _shift("lshr")
