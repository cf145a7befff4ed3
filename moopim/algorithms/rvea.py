"""RVEA (Cheng, Jin, Olhofer and Sendhoff, IEEE TEVC 20(5), 2016), pymoo's, for exact budgets and ties."""

from typing import Any

import numpy as np
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.algorithms.moo import rvea

from moopim.typing import FloatArray


class RVEA(rvea.RVEA):  # type: ignore[misc]
    """RVEA that ends with the budget of evaluations: the number of generations only schedules penalty and directions.

    Args:
        ref_dirs: Reference directions, two or more, shape ``(n_dirs, n_obj)``.
        kwargs: Passed on to pymoo's ``RVEA``.
    """

    def __init__(self, ref_dirs: FloatArray, **kwargs: Any) -> None:
        super().__init__(ref_dirs, survival=_Survival(ref_dirs), **kwargs)

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        further = self.termination.n_max_evals - self.pop_size
        self.termination.n_max_gen = 1 + np.ceil(max(further, 0) / self.n_offsprings)

    # pymoo's RVEA returns the whole population, infeasible designs too.
    _set_optimum = GeneticAlgorithm._set_optimum


class _Survival(rvea.APDSurvival):  # type: ignore[misc]
    """pymoo's survival where objectives tie or lie on a direction."""

    V: FloatArray
    nadir: FloatArray | None

    def __init__(self, ref_dirs: FloatArray) -> None:
        super().__init__(ref_dirs)
        self._shorten()

    def adapt(self) -> None:
        """Scale the directions to the ranges of the objectives."""
        if self.nadir is not None:
            extent = self.nadir - self.ideal
            # Directions along objectives without a range would have no length.
            self.nadir = self.ideal + np.where(extent > 0, extent, extent.max() or 1.0)
        super().adapt()
        self._shorten()

    def _shorten(self) -> None:
        # The product of two unit vectors may round to more than 1, the cosine of no angle.
        self.V = self.V * (1 - 1e-14)
