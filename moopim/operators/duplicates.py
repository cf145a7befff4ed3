"""Duplicate elimination by hashing whole rows: linear, where pymoo's default compares every pair."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.population import Population

from moopim.errors import ConfigError
from moopim.typing import BoolArray


def row_keys(X: NDArray[Any]) -> list[bytes]:
    """Hashable key of each row of numbers ``(rows, columns)``: its bytes, equal for equal rows only."""
    X = np.ascontiguousarray(X)
    if X.ndim != 2 or not X.shape[1]:  # noqa: PLR2004 (rows and columns)
        raise ConfigError(f"rows have shape {X.shape}; expected (rows, columns)")
    width = X.shape[1] * X.itemsize
    buffer = X.tobytes()
    return [buffer[i : i + width] for i in range(0, len(buffer), width)]


class HashedDuplicateElimination(DuplicateElimination):  # type: ignore[misc]
    """Remove designs whose rows appeared before, in the same population or in another."""

    def _do(self, pop: Population, other: Population | None, is_duplicate: BoolArray) -> Any:
        seen = set() if other is None else set(row_keys(np.asarray(self.func(other), dtype=np.int64)))
        for i, key in enumerate(row_keys(np.asarray(self.func(pop), dtype=np.int64))):
            if key in seen:
                is_duplicate[i] = True
            elif other is None:
                seen.add(key)
        return is_duplicate
