"""Gene groups: the named parts of a genome, each with its allowed values.

A gene always holds an integer index ``0 .. n_values - 1`` into the allowed values of its group, so that every operator
on genes is integer by construction.
"""

import keyword
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moopim.checks import is_whole
from moopim.errors import ConfigError
from moopim.typing import BoolArray, IntArray

_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True)
class GeneGroup(ABC):
    """A named run of neighbouring genes that share one set of allowed values.

    Use one of the subclasses `Choice`, `Integer`, `Index` or `Permutation`.

    Attributes:
        name: A Python identifier, the name of the decoded column.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or keyword.iskeyword(self.name) or self.name.startswith("_"):
            raise ConfigError(f"gene group name {self.name!r} is not allowed; expected a public Python identifier")
        if self.repeat is not None and not is_whole(self.repeat, 1):
            raise ConfigError(f"repeat={self.repeat!r} of gene group {self.name!r} is not allowed; expected 1, 2, ...")
        if self.length is not None and self.repeat is None:
            raise ConfigError(f"gene group {self.name!r} has length={self.length!r} but no repeat=")

    @property
    def repeat(self) -> int | None:
        """Number of genes; ``None`` makes a single gene that decodes to a column of shape ``(pop,)``."""
        return None

    @property
    def length(self) -> str | None:
        """Name of the group whose decoded value is the number of active genes of this one."""
        return None

    @property
    @abstractmethod
    def values(self) -> NDArray[Any]:
        """Allowed values by index, shape ``(n_values,)``."""

    @property
    def width(self) -> int:
        """Number of genes."""
        return 1 if self.repeat is None else self.repeat

    @property
    def n_values(self) -> int:
        """Number of allowed values of each gene."""
        return len(self.values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the genes in frames: the group's name, or ``name_0, name_1, ...``."""
        return (self.name,) if self.repeat is None else tuple(f"{self.name}_{i}" for i in range(self.repeat))

    def count(self, active: int) -> int:
        """Number of distinct settings of the group when its first ``active`` genes are active."""
        return int(self.n_values**active)

    def indices_of(self, column: NDArray[Any]) -> IntArray:
        """Index of each value into `values`.

        Args:
            column: Decoded values, any shape.

        Returns:
            Indices, same shape.

        Raises:
            ConfigError: If a value is not allowed; names the group, the value and what is allowed.
        """
        order = np.argsort(self.values, kind="stable")
        found = order[np.clip(np.searchsorted(self.values, column, sorter=order), 0, self.n_values - 1)]
        self._refuse(column, self.values[found] == column)
        return found.astype(np.int64)

    def describe(self) -> str:
        """The allowed values in a few words, such as ``5 | 7 | 9`` or ``0 .. 47``."""
        return f"{self.values[0]} .. {self.values[-1]}"

    def _refuse(self, column: NDArray[Any], allowed: BoolArray) -> None:
        """Raise ConfigError for the first value that is not allowed."""
        if not np.all(allowed):
            value = np.asarray(column)[~np.asarray(allowed)].flat[0]
            raise ConfigError(f"value {value!s} of gene group {self.name!r} is not allowed; allowed: {self.describe()}")


def _value_array(values: Sequence[Any]) -> NDArray[Any]:
    """Typed array of numbers or strings; an object array of mixed kinds, of which NumPy would make strings."""
    for kind, dtype in ((bool, np.bool_), (Integral, np.int64), (Real, np.float64), (str, np.str_)):
        if all(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for value in values):
            return np.array(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@dataclass(frozen=True)
class Choice(GeneGroup):
    """Genes that take one of a list of values: numbers, strings or anything hashable.

    Attributes:
        allowed: The allowed values in order; neighbours need not be similar.
        repeat: Number of genes; ``None`` for a single gene.
        length: Name of an `Integer` group with the number of active genes.
    """

    allowed: tuple[Any, ...]
    repeat: int | None = None
    length: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", tuple(self.allowed))
        super().__post_init__()
        if not self.allowed:
            raise ConfigError(f"gene group {self.name!r} has no allowed values")
        if len(set(self.allowed)) < len(self.allowed):
            raise ConfigError(f"gene group {self.name!r} has a repeated value among {self.describe()}")

    @cached_property
    def values(self) -> NDArray[Any]:
        """Allowed values by index, shape ``(n_values,)``; an object array if they are of mixed kinds."""
        return _value_array(self.allowed)

    def indices_of(self, column: NDArray[Any]) -> IntArray:
        """Index of each value; see `GeneGroup.indices_of`."""
        if self.values.dtype != object:
            return super().indices_of(column)
        index = {value: i for i, value in enumerate(self.allowed)}
        found = np.array([index.get(value, -1) for value in column.flat], dtype=np.int64).reshape(column.shape)
        self._refuse(column, found >= 0)
        return found

    def describe(self) -> str:
        """The allowed values in a few words, such as ``5 | 7 | 9``."""
        return " | ".join(map(str, self.allowed))


@dataclass(frozen=True)
class Integer(GeneGroup):
    """Genes that take whole numbers from a range.

    Attributes:
        low: Smallest allowed value.
        high: Largest allowed value (included).
        repeat: Number of genes; ``None`` for a single gene.
        length: Name of another `Integer` group with the number of active genes.
    """

    low: int
    high: int
    repeat: int | None = None
    length: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = f"range {self.low!r} .. {self.high!r} of {self.name!r} is not allowed"
        if not (is_whole(self.low, _INT64.min, _INT64.max) and is_whole(self.high, _INT64.min, _INT64.max)):
            raise ConfigError(
                f"{allowed}; expected whole numbers; a continuous variable becomes a grid: "
                f"Choice({self.name!r}, numpy.linspace(low, high, 16))"
            )
        if self.low > self.high:
            raise ConfigError(f"{allowed}; expected low <= high")

    @cached_property
    def values(self) -> IntArray:
        """Allowed values by index, shape ``(n_values,)``."""
        return np.arange(self.low, self.high + 1, dtype=np.int64)


@dataclass(frozen=True)
class Index(GeneGroup):
    """Genes that each select one of ``size`` numbered items, such as a PE.

    Attributes:
        size: Number of items; the values are ``0 .. size - 1``.
        repeat: Number of genes; ``None`` for a single gene.
        length: Name of an `Integer` group with the number of active genes.
    """

    size: int
    repeat: int | None = None
    length: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.size, 1):
            raise ConfigError(f"size={self.size!r} of gene group {self.name!r} is not allowed; expected 1, 2, ...")

    @cached_property
    def values(self) -> IntArray:
        """Allowed values by index, shape ``(size,)``."""
        return np.arange(self.size, dtype=np.int64)


@dataclass(frozen=True)
class Permutation(GeneGroup):
    """Genes that together hold an order of ``0 .. size - 1``.

    Attributes:
        size: Number of items that are put in order, and of genes.
    """

    size: int

    def __post_init__(self) -> None:
        if not is_whole(self.size, 1):
            raise ConfigError(f"size={self.size!r} of gene group {self.name!r} is not allowed; expected 1, 2, ...")
        super().__post_init__()

    @property
    def repeat(self) -> int:
        """Number of genes."""
        return self.size

    @cached_property
    def values(self) -> IntArray:
        """Allowed values by index, shape ``(size,)``."""
        return np.arange(self.size, dtype=np.int64)

    def count(self, active: int) -> int:
        """Number of distinct orders of the first ``active`` items."""
        return math.factorial(active)

    def indices_of(self, column: NDArray[Any]) -> IntArray:
        """Index of each value, where each row is an order of all items; see `GeneGroup.indices_of`."""
        found = super().indices_of(column)
        complete = (np.sort(found, axis=-1) == self.values).all(axis=-1)
        if not np.all(complete):
            raise ConfigError(f"gene group {self.name!r} holds an index twice; expected each of {self.describe()} once")
        return found

    def describe(self) -> str:
        """The allowed values in a few words."""
        return f"order of 0 .. {self.size - 1}"
