"""Estimate of hypervolumes along random rays; for `moopim.pareto`.

A point and the reference point span a box, and the hypervolume of a set is the volume of the union of its boxes. On a
ray from the reference point the union ends where the farthest box ends. So the volume of the union is the mean, over
the rays, of the largest of the boxes' volumes along a ray, divided by the density with which rays are drawn. They are
drawn through the boxes themselves: a box by its volume, then a point in it uniformly. This bounds the variance for any
shape of front and any number of objectives: Karp and Luby, "Monte-Carlo algorithms for enumeration and reliability
problems", FOCS 1983, with the whole ray in place of its point.

The numbers behind the rays are scrambled Sobol sequences, the same in each call (Owen, "Randomly permuted
(t, m, s)-nets and (t, s)-sequences", 1995). The values from independent scrambles give the standard error.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from moopim.typing import FloatArray

__all__ = ["growing_volumes"]


_SEED = 1
_SCRAMBLES = 16
_SAMPLES = (128, 1024)  # fewest and most rays of a scramble; powers of two keep a Sobol sequence balanced
_WORK = 2**23  # boxes times rays of a scramble above which there are fewer rays; 3 s in all for 10 objectives
_CHUNK = 8  # boxes at a time, so that the work on them stays in the cache of a core
# Smaller volumes, in units of the box that holds all the others, count as nothing: their reciprocals overflow.
_LEAST = 1e-300


class _Rays:
    """Rays through the boxes of some sets of points, an equal share of them through each set.

    Args:
        sides: Lengths of the sides of the boxes, all positive, shape ``(points, objectives)``.
        sizes: Number of points of each set, in order; each at least 1.
        samples: Number of rays, a power of two.
        scramble: Number of the scramble of the Sobol sequence.
    """

    def __init__(self, sides: FloatArray, sizes: Sequence[int], samples: int, scramble: int) -> None:
        scale = sides.max(axis=0)
        self._sides = sides / scale
        volumes = self._sides.prod(axis=1)
        starts = np.cumsum([0, *sizes[:-1]])
        totals = np.repeat(np.add.reduceat(volumes, starts), sizes)
        self._weights = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > _LEAST)
        shares = np.cumsum(volumes * self._weights)
        self._unit = float(shares[-1] * scale.prod() / samples)
        uniform = _uniform(sides.shape[1] + 1, samples, scramble)
        chosen = np.searchsorted(shares, uniform[:, 0] * shares[-1]).clip(max=len(shares) - 1)
        targets = uniform[:, 1:] * self._sides[chosen]
        self._inverse = np.ascontiguousarray((targets.max(axis=1, keepdims=True) / targets).T)

    def chunks(self, first: int, last: int) -> Iterator[tuple[int, FloatArray]]:
        """Yields the volumes of some boxes along the rays, a few boxes at a time.

        They are in units of their own; `density` and `parts` turn them into parts of a hypervolume.

        Args:
            first: Number of the first box.
            last: Number of the last box, plus 1.

        Yields:
            The number of the first box of a chunk and the volumes, shape ``(boxes, samples)``.
        """
        for start in range(first, last, _CHUNK):
            sides = self._sides[start : min(start + _CHUNK, last)]
            length = sides[:, :1] * self._inverse[0]
            reach = np.empty_like(length)
            for j in range(1, sides.shape[1]):
                np.multiply(sides[:, j : j + 1], self._inverse[j], out=reach)
                np.minimum(length, reach, out=length)
            yield start, _power(length, sides.shape[1])

    def density(self, start: int, volumes: FloatArray) -> FloatArray:
        """Contribution of a chunk of boxes to the sampling density of the rays, shape ``(samples,)``."""
        return np.asarray(self._weights[start : start + len(volumes)] @ volumes)

    def parts(self, density: FloatArray) -> FloatArray:
        """Importance weight of each ray, which turns the volume along it into its part of the hypervolume.

        Args:
            density: Sum of `density` over all boxes, shape ``(samples,)``.

        Returns:
            The weights, shape ``(samples,)``; 0 where no box meets a ray.
        """
        return np.divide(self._unit, density, out=np.zeros_like(density), where=density > 0)


def growing_volumes(histories: Sequence[Sequence[FloatArray]]) -> list[tuple[FloatArray, FloatArray]]:
    """Estimates the hypervolumes of growing sets after each step, along the same rays for all of them.

    Args:
        histories: For each set the sides of the boxes that it gains at each step, shape ``(points, objectives)`` each,
            all positive; at least one step and a point in each.

    Returns:
        For each set the hypervolumes and their standard errors, shape ``(steps,)`` each.
    """
    sides = np.concatenate([block for history in histories for block in history])
    sizes = [sum(map(len, history)) for history in histories]
    samples = int(2 ** np.clip(np.log2(_WORK / len(sides)), *np.log2(_SAMPLES)).round())
    values = []
    for scramble in range(_SCRAMBLES):
        rays, density, farthest, first = _Rays(sides, sizes, samples, scramble), np.zeros(samples), [], 0
        for history, size in zip(histories, sizes, strict=True):
            ends = first + np.cumsum(list(map(len, history)))
            union = np.zeros(samples)
            for start, volumes in rays.chunks(first, first + size):
                density += rays.density(start, volumes)
                np.maximum(volumes[0], union, out=volumes[0])
                np.maximum.accumulate(volumes, axis=0, out=volumes)
                inside = ends[(start < ends) & (ends <= start + len(volumes))]
                farthest.append(volumes[inside - start - 1])
                union = volumes[-1]
            first += size
        values.append(np.concatenate(farthest) @ rays.parts(density))
    # No union is larger than the box that holds all boxes.
    means = np.minimum(np.mean(values, axis=0), sides.max(axis=0).prod())
    errors = np.std(values, axis=0, ddof=1) / np.sqrt(_SCRAMBLES)
    cuts = np.cumsum([len(history) for history in histories])[:-1]
    return list(zip(np.split(means, cuts), np.split(errors, cuts), strict=True))


def _power(base: FloatArray, exponent: int) -> FloatArray:
    """Raises to a whole power by repeated squaring, which takes a fraction of the time of ``**``."""
    result = base
    for digit in f"{exponent:b}"[1:]:
        result = result * result
        if digit == "1":
            result *= base
    return result


@lru_cache(maxsize=2 * _SCRAMBLES)
def _uniform(dimensions: int, samples: int, scramble: int) -> FloatArray:
    """Numbers above 0 up to 1 from a scrambled Sobol sequence, shape ``(samples, dimensions)``."""
    from scipy.stats import qmc  # takes half a second, which few need

    return 1.0 - qmc.Sobol(dimensions, rng=np.random.default_rng((_SEED, scramble))).random(samples)
