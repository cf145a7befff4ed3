"""Hypervolumes of fronts and contributions of their points: exact up to a cost, estimated above it.

The time of an exact hypervolume grows as a power of the number of points that rises with the number of objectives.
Above `EXACT_COST` quasi-random samples take its place, the same in each call: `growing_volumes` estimates the volume of
a set along rays, `SampledBoxes` what single points add to it. Both draw scrambled Sobol sequences: Owen, "Randomly
permuted (t, m, s)-nets and (t, s)-sequences", 1995.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import moocore
import numpy as np
from numpy.typing import ArrayLike

from moopim.checks import number
from moopim.errors import ConfigError
from moopim.pareto.dominance import finite, matrix, non_dominated, non_dominated_in_turn, normalise, point
from moopim.typing import FloatArray, WordArray

REFERENCE = 1.1
"""Reference point of the normalised hypervolume in every objective, a tenth of the range beyond the nadir point."""

EXACT_COST = 1e11
"""Greatest cost at which hypervolumes are exact, a few seconds at most.

For fronts that are compared it bounds the sum of `hypervolume_cost`: that of one front of 57,000 points and 4
objectives, 4,600 points and 5, 158 points and 7, or 23 points and 10. Selection by hypervolume, which a search repeats,
rates its cost higher, see `moopim.algorithms.truncation`.
"""

# Time per point for few objectives in units of that for many, as measured with moocore 0.3.2 on one core.
_COST_OF_FEW = {1: 5e3, 2: 5e3, 3: 2e4, 4: 30.0}

_SEED = 1
_SCRAMBLES = 16
_RAYS = (128, 1024)  # fewest and most rays of a scramble; powers of two keep a Sobol sequence balanced
_WORK = 2**23  # boxes times rays of a scramble above which there are fewer rays; 3 s in all for 10 objectives
_CHUNK = 8  # boxes at a time, so that the work on them stays in the cache of a core
# Smaller volumes, in units of the box that holds all the others, count as nothing: their reciprocals overflow.
_LEAST = 1e-300

N_SAMPLES = 2048
"""Samples in the box of each point; the standard error of a share s is at most sqrt(s (1 - s) / 2048)."""


class HypervolumeTrace(NamedTuple):
    """Hypervolumes of a growing set and their standard errors.

    Attributes:
        values: Hypervolume after each step, shape ``(steps,)``; never shrinking.
        errors: Standard errors of the estimates, 0 where the values are exact, shape ``(steps,)``.
    """

    values: FloatArray
    errors: FloatArray


def hypervolume(F: ArrayLike, reference: ArrayLike) -> float:
    r"""Hypervolume: the volume that the rows dominate, up to a reference point.

    :math:`\lambda\left(\bigcup_i [F_{i1}, r_1] \times \ldots \times [F_{im}, r_m]\right)`, Zitzler and Thiele,
    "Multiobjective optimization using evolutionary algorithms - a comparative case study", PPSN V, 1998.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        reference: Reference point r, shape ``(objectives,)`` or a number; rows beyond it add nothing.

    Returns:
        The hypervolume, in the product of the units of the objectives; 0 without a finite row. An estimate where the
        exact value costs more than `EXACT_COST`; `hypervolumes` gives its standard error.

    Raises:
        ConfigError: `F` is not two-dimensional, or the reference point does not fit it.
    """
    return float(hypervolumes([[F]], reference)[0].values[0])


def hypervolumes(histories: Sequence[Sequence[ArrayLike]], reference: ArrayLike) -> list[HypervolumeTrace]:
    """Hypervolumes of growing sets, either all exact or all along the same random rays, so that they compare.

    They are exact where the sum of `hypervolume_cost` over all steps that change a front is at most `EXACT_COST`.

    Args:
        histories: For each set the objectives of the designs that it gains at each step, shape
            ``(designs, objectives)`` each; one step for a set that does not grow.
        reference: Reference point, shape ``(objectives,)`` or a number; rows beyond it add nothing.

    Returns:
        The hypervolumes of each set, in the product of the units of the objectives; 0 without a finite row.

    Raises:
        ConfigError: An array is not two-dimensional, or the shapes do not fit each other.
    """
    blocks = [[_inside(block, reference) for block in history] for history in histories]
    if len({block.shape[1] for history in blocks for block in history}) > 1:
        raise ConfigError("the sets differ in their number of objectives; expected one number for all of them")
    gains = [_gained(history) for history in blocks]
    moving = [list(gained.values()) for gained in gains if gained]
    found = iter((_exact(moving, reference) or _estimated(moving, reference)) if moving else [])
    return [
        _carried(list(gained), len(history), next(found) if gained else None)
        for gained, history in zip(gains, histories, strict=True)
    ]


def normalised_hypervolume(F: ArrayLike, ideal: ArrayLike, nadir: ArrayLike, reference: float = REFERENCE) -> float:
    """Hypervolume of normalised objectives, as a share of the box from the ideal to the reference point.

    Args:
        F: Objectives, shape ``(designs, objectives)``.
        ideal: Ideal point, shape ``(objectives,)`` or a number.
        nadir: Nadir point, shape ``(objectives,)`` or a number.
        reference: Reference point in every normalised objective.

    Returns:
        The share, between 0 and 1 where no row is better than the ideal point.

    Raises:
        ConfigError: `F` is not two-dimensional or the nadir point is below the ideal point.
    """
    number("reference", reference, positive=True)
    scaled = normalise(F, ideal, nadir)
    return hypervolume(scaled, reference) / float(reference ** scaled.shape[1])


def normalised_hypervolumes(histories: Sequence[Sequence[FloatArray]]) -> list[HypervolumeTrace]:
    """Hypervolumes of growing sets of normalised objectives, as shares of the box from 0 to `REFERENCE`.

    Args:
        histories: See `hypervolumes`; objectives are scaled so that the ideal point is 0 and the nadir point 1.

    Returns:
        The shares of each set, and their standard errors.

    Raises:
        ConfigError: An array is not two-dimensional, or the sets differ in their number of objectives.
    """
    return hypervolumes([[block / REFERENCE for block in history] for history in histories], 1.0)


def cost(points: float, exponent: float, factor: float = 1.0) -> float:
    """Cost ``factor * points^exponent`` of exact hypervolumes in the unit of `EXACT_COST`; infinite on overflow."""
    with np.errstate(over="ignore"):
        return float(factor * np.float64(points) ** exponent)


def affordable(total: float) -> bool:
    """Whether hypervolumes of this total `cost` are exact."""
    return total <= EXACT_COST


def hypervolume_cost(points: int, objectives: int) -> float:
    """Cost of the exact hypervolume of one front: points^(objectives - 2), with a factor for up to 4 objectives."""
    return cost(points, max(objectives - 2, 1), _COST_OF_FEW.get(objectives, 1.0))


def prefix_volumes(sets: FloatArray, reference: float) -> Callable[[int, int], float]:
    """Function for the exact hypervolume of the first ``n`` points of set ``i``; moocore's, called without its checks.

    For a few dozen points these take most of the time. The C function is no public name of moocore: where it is missing
    or takes other arguments, the same values come from the public one.

    ``sets`` has shape ``(sets, points, objectives)``; its values may change between calls, the reference point may not.
    """
    n_obj = sets.shape[2]
    corner = np.full(n_obj, reference)
    if (library := _library()) is None:
        public = moocore.Hypervolume(ref=corner)
        return lambda i, n: float(public(sets[i, :n]))
    ffi, volume = library
    arrays = [ffi.from_buffer("double[]", array) for array in (sets, corner)]
    starts = [arrays[0] + i * sets[0].size for i in range(len(sets))]

    def measure(i: int, n: int) -> float:
        found: float = volume(starts[i], n, n_obj, arrays[1])
        if found < 0:
            raise MemoryError("a hypervolume does not fit into memory")
        return found

    return measure


def _library() -> tuple[Any, Any] | None:
    """Interface of cffi to moocore and its function for hypervolumes; none where they are not as expected."""
    try:
        from moocore._libmoocore import ffi, lib

        known = ffi.typeof(lib.fpli_hv).cname == "double(*)(double *, size_t, uint_fast8_t, double *)"
    except (ImportError, AttributeError):
        return None
    return (ffi, lib.fpli_hv) if known else None


def _gained(blocks: Sequence[FloatArray]) -> dict[int, FloatArray]:
    """New non-dominated points of a growing set by step, for the steps that have any."""
    if not blocks:
        return {}
    steps = np.repeat(np.arange(len(blocks)), list(map(len, blocks)))
    F = np.concatenate(blocks)
    kept = non_dominated_in_turn(F, steps) if len(blocks) > 1 else non_dominated(F)
    F, steps = F[kept], steps[kept]
    changed, starts = np.unique(steps, return_index=True)
    return dict(zip(changed.tolist(), np.split(F, starts[1:]), strict=True)) if len(F) else {}


def _exact(histories: Sequence[Sequence[FloatArray]], reference: ArrayLike) -> list[HypervolumeTrace]:
    """Exact hypervolumes of each set after each step; none where they cost too much."""
    total, fronts = 0.0, []
    for history in histories:
        for front in accumulate(history, lambda front, gained: _front(np.concatenate([front, gained]))):
            total += hypervolume_cost(*front.shape)
            if not affordable(total):
                return []
            fronts.append(front)
    values = iter([moocore.hypervolume(front, ref=_corner(front, reference)) for front in fronts])
    steps = [[next(values) for _ in history] for history in histories]
    return [HypervolumeTrace(np.maximum.accumulate(history), np.zeros(len(history))) for history in steps]


def _estimated(histories: Sequence[Sequence[FloatArray]], reference: ArrayLike) -> list[HypervolumeTrace]:
    sides = [[_corner(gained, reference) - gained for gained in history] for history in histories]
    return [HypervolumeTrace(*estimate) for estimate in growing_volumes(sides)]


def _carried(changed: Sequence[int], n_steps: int, known: HypervolumeTrace | None) -> HypervolumeTrace:
    """Fill the steps in between: a hypervolume is 0 at first and stays as it is until the front changes."""
    last = np.searchsorted(changed, np.arange(n_steps), side="right")
    return HypervolumeTrace(*(np.append(0.0, column)[last] for column in known or ((), ())))


def _front(F: FloatArray) -> FloatArray:
    return F[non_dominated(F)]


def _inside(F: ArrayLike, reference: ArrayLike) -> FloatArray:
    """The rows that are finite and below the reference point in every objective."""
    values = finite(matrix(F))
    return values[np.logical_and.reduce(values < _corner(values, reference), axis=1)]


def _corner(values: FloatArray, reference: ArrayLike) -> FloatArray:
    """The reference point, shape ``(objectives,)``."""
    return point("reference point", reference, values)


# Estimated volumes of sets ------------------------------------------------------------------------------------------


class _Rays:
    """Rays from the reference point through the boxes of some sets of points, an equal share through each set.

    The union of boxes ends on a ray where the farthest box ends. Its volume is the mean, over the rays, of the largest
    of the boxes' volumes along a ray, divided by the density with which rays are drawn. Drawn through the boxes
    themselves (a box by its volume, then a uniform point in it), they bound the variance for any front: Karp and Luby,
    "Monte-Carlo algorithms for enumeration and reliability problems", FOCS 1983, with the ray in place of its point.

    ``sides`` are the positive sides of the boxes, shape ``(points, objectives)``, of ``sizes`` points per set in order;
    ``samples`` is a power of two.
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
        """Yield the first box of each chunk and the volumes ``(boxes, samples)`` of its boxes along the rays.

        They are in units of the scaled boxes; `density` and `parts` turn them into parts of a hypervolume.
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
        """Importance weight of each ray given the summed `density`, shape ``(samples,)``; 0 where no box meets it."""
        return np.divide(self._unit, density, out=np.zeros_like(density), where=density > 0)


def growing_volumes(histories: Sequence[Sequence[FloatArray]]) -> list[tuple[FloatArray, FloatArray]]:
    """Estimated hypervolumes of growing sets and standard errors, ``(steps,)`` each, along the same rays for all.

    ``histories`` holds for each set the positive sides of the boxes gained at each step, ``(points, objectives)``.
    """
    sides = np.concatenate([block for history in histories for block in history])
    sizes = [sum(map(len, history)) for history in histories]
    samples = int(2 ** np.clip(np.log2(_WORK / len(sides)), *np.log2(_RAYS)).round())
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
    """Raise to a whole power by repeated squaring, which takes a fraction of the time of ``**``."""
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


# Estimated contributions of points -----------------------------------------------------------------------------------


class SampledBoxes:
    """Samples in the box of each point, up to the reference point, and which point dominates which of them.

    What a point adds to a set is the share of its box that no other point dominates. Estimating that share in the box
    itself samples where it matters, as in HypE (Bader and Zitzler, Evolutionary Computation 19(1), 2011). The samples
    are the same in every box and every call, so that the estimate is a function of the points alone.

    ``points`` has shape ``(n, n_obj)``, all below the reference point ``(reference, ..., reference)``; ``volumes`` are
    those of the boxes, shape ``(n,)``.
    """

    def __init__(self, points: FloatArray, reference: float) -> None:
        self._points = np.ascontiguousarray(points.T)
        self._sides = reference - self._points
        self.volumes: FloatArray = self._sides.prod(axis=0)
        self._above = _samples_above(len(self._points))

    def dominated_by(self, k: int) -> WordArray:
        """Samples of every box that point ``k`` dominates, one bit each, shape ``(n, words)``."""
        offset = (self._points[:, k, None] - self._points) / self._sides
        # Sample number r of an objective, in ascending order, lies at (r + 1/2) / N_SAMPLES of the side.
        first = np.clip(np.ceil(offset * N_SAMPLES - 0.5), 0, N_SAMPLES).astype(np.int64)
        dominated: WordArray = self._above[0, first[0]]
        for above, row in zip(self._above[1:], first[1:], strict=True):
            dominated &= above[row]
        return dominated


@lru_cache(maxsize=4)
def _samples_above(n_obj: int) -> WordArray:
    """Sets of samples of at least each rank in each objective, bits of shape ``(n_obj, N_SAMPLES + 1, words)``.

    Of scrambled Sobol points every objective has one in each of `N_SAMPLES` equal stretches: the stretch is the rank.
    """
    from scipy.stats import qmc

    points = qmc.Sobol(n_obj, scramble=True, rng=1).random(N_SAMPLES)
    ranks = np.floor(points.T * N_SAMPLES)
    least = np.arange(N_SAMPLES + 1)[:, None]
    return np.stack([np.packbits(rank >= least, axis=1) for rank in ranks]).view(np.uint64)
