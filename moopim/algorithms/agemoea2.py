"""Survival of AGE-MOEA-II (Panichella, GECCO 2022), pymoo's, where designs reach the ideal point; needs numba."""

import numpy as np
from pymoo.algorithms.moo.age2 import AGEMOEA2Survival

from moopim.typing import FloatArray


class ProjectedSurvival(AGEMOEA2Survival):  # type: ignore[misc]
    """pymoo's survival, which divides by zero where a design has the best value of every objective."""

    @staticmethod
    def pairwise_distances(front: FloatArray, p: float) -> FloatArray:
        """Distances ``(n, n)`` of normalised objectives ``(n, n_obj)`` on the manifold of exponent ``p``.

        The ideal point itself, which has no projection, is taken to the middle of the manifold.
        """
        at_ideal = (front <= 0).all(axis=1, keepdims=True)
        return np.asarray(AGEMOEA2Survival.pairwise_distances(np.where(at_ideal, 1.0, front), p))
