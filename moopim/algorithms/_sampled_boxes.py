"""Hypervolumes that members add, estimated by sampling: bounded in time for any number of objectives.

The exact hypervolume takes time that grows exponentially with the objectives. What one member adds lies within its own
box, from the member to the reference point, and is the share of that box that no other member dominates: a Monte-Carlo
estimate of the share, as in HypE (Bader and Zitzler, Evolutionary Computation 19(1), 2011), samples where it matters.
The samples are the same quasi-random ones in every box and every call, so that the estimate is a function of the
members alone.
"""

from functools import lru_cache

import numpy as np

from moopim.typing import FloatArray, WordArray

__all__ = ["N_SAMPLES", "SampledBoxes"]


N_SAMPLES = 2048
"""Samples in the box of each member; the standard error of a share s is at most sqrt(s (1 - s) / 2048)."""


class SampledBoxes:
    """Samples in the boxes of members, and which member dominates which of them.

    Args:
        points: Objectives, shape ``(n, n_obj)``, none beyond the reference point.
        reference: Reference point in every objective, greater than every value of `points`.

    Attributes:
        volumes: Volume of each box, shape ``(n,)``.
    """

    def __init__(self, points: FloatArray, reference: float) -> None:
        self._points = np.ascontiguousarray(points.T)
        self._sides = reference - self._points
        self.volumes: FloatArray = self._sides.prod(axis=0)
        self._above = _samples_above(len(self._points))

    def dominated_by(self, k: int) -> WordArray:
        """Samples of every box that member ``k`` dominates, one bit each, shape ``(n, words)``.

        Args:
            k: A member.
        """
        offset = (self._points[:, k, None] - self._points) / self._sides
        # Sample number r of an objective, in ascending order, lies at (r + 1/2) / N_SAMPLES of the side.
        first = np.clip(np.ceil(offset * N_SAMPLES - 0.5), 0, N_SAMPLES).astype(np.int64)
        dominated: WordArray = self._above[0, first[0]]
        for above, row in zip(self._above[1:], first[1:], strict=True):
            dominated &= above[row]
        return dominated


@lru_cache(maxsize=4)
def _samples_above(n_obj: int) -> WordArray:
    """For each objective and each rank the set of samples of that rank or a greater one.

    Scrambled Sobol points, of which every objective has one in each of `N_SAMPLES` equal stretches: the stretch is the
    rank.

    Args:
        n_obj: Number of objectives.

    Returns:
        Bit sets, shape ``(n_obj, N_SAMPLES + 1, N_SAMPLES / 64)``.
    """
    from scipy.stats import qmc

    points = qmc.Sobol(n_obj, scramble=True, rng=1).random(N_SAMPLES)
    ranks = np.floor(points.T * N_SAMPLES)
    least = np.arange(N_SAMPLES + 1)[:, None]
    return np.stack([np.packbits(rank >= least, axis=1) for rank in ranks]).view(np.uint64)
