"""AMOSA's moves where the caller gives none: one variable per proposal, real or integer."""

from typing import Any

import numpy as np
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem

from moopim.typing import FloatArray, IntArray

__all__ = ["LaplaceMove", "ResetMove"]


class LaplaceMove(Mutation):  # type: ignore[misc]
    """Adds a Laplace-distributed step to one variable, clipped to its bounds.

    The move of Bandyopadhyay et al., IEEE TEVC 12(3), 2008, with the step scaled by the variable's range.

    Args:
        scale: Mean absolute step, as a share of the range of the variable.
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__(prob=1.0)
        self.scale = scale

    def _do(
        self, problem: Problem, X: FloatArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> FloatArray:
        rows = np.arange(len(X))
        chosen = random_state.integers(problem.n_var, size=len(X))
        low, high = problem.xl[chosen], problem.xu[chosen]
        step = random_state.laplace(scale=self.scale, size=len(X)) * (high - low)
        moved = X.copy()
        moved[rows, chosen] = np.clip(X[rows, chosen] + step, low, high)
        return moved


class ResetMove(Mutation):  # type: ignore[misc]
    """Sets one integer variable to a different value within its bounds, each value equally likely."""

    def __init__(self) -> None:
        super().__init__(prob=1.0)

    def _do(
        self, problem: Problem, X: IntArray, *args: Any, random_state: np.random.Generator, **kwargs: Any
    ) -> IntArray:
        low, n_values = problem.xl.astype(X.dtype), (problem.xu - problem.xl).astype(X.dtype) + 1
        free = np.flatnonzero(n_values > 1)
        if free.size == 0:
            return X.copy()
        rows = np.arange(len(X))
        chosen = free[random_state.integers(free.size, size=len(X))]
        step = 1 + (random_state.random(len(X)) * (n_values[chosen] - 1)).astype(X.dtype)
        moved = X.copy()
        moved[rows, chosen] = low[chosen] + (X[rows, chosen] - low[chosen] + step) % n_values[chosen]
        return moved
