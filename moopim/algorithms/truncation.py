"""Truncation: which designs a bounded archive or population keeps.

The rules take the objective vectors ``(n, n_obj)`` of mutually non-dominated designs (to be minimised, finite) and a
limit of at least 1, and return the indices to keep, ascending. All scale the objectives to the ranges of the archive
first and draw no random numbers. Those of `TRUNCATIONS` keep a member with the least value of every objective, the
extremes, where the limit has room for all of these; otherwise the rule alone decides.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival
from pymoo.core.population import Population
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from moopim.algorithms.nsga2 import ArraySurvival, crowding_distance, objectives_of, set_rank
from moopim.checks import whole_number
from moopim.pareto import normalise
from moopim.pareto.volumes import N_SAMPLES, REFERENCE, SampledBoxes, affordable, cost, prefix_volumes
from moopim.typing import FloatArray, IntArray, WordArray

Truncation = Callable[[FloatArray, int], IntArray]


# Costs of exact selections in the unit of `moopim.pareto.EXACT_COST`. A search repeats them hundreds of times, so they
# are rated far above a single hypervolume. A truncation may take a few tenths of a second: up to 1,414 members of 4
# objectives, 125 of 6, 63 of 7, 37 of 8 and 18 of 10.
def greedy_cost(limit: int, n_obj: int) -> float:
    """Cost of `greedy_hypervolume` with exact hypervolumes: 5e4 limit^(n_obj / 2)."""
    return cost(limit, n_obj / 2, 5e4)


# About a second a generation: up to 107 survivors of 4 objectives, 50 of 5, 28 of 6 and 7 of 10.
def survival_cost(n_survive: int, n_obj: int) -> float:
    """Cost of a generation of SMS-EMOA: each of n survivors has one exact look at 2 n, 2e4 n (2 n)^(n_obj / 2)."""
    return cost(2 * n_survive, n_obj / 2, 2e4 * n_survive)


def single_linkage(F: FloatArray, limit: int) -> IntArray:
    """Keep one member per cluster of a single-linkage clustering: the least mean distance to the rest of its cluster.

    The clustering of Bandyopadhyay et al., IEEE TEVC 12(3), 2008, Section III-B. In the cluster of an extreme member
    the extreme takes that place; where two extremes share a cluster, fewer than ``limit`` members are kept.
    """
    points = _scaled(F)
    best = extremes(points, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    distances = pdist(points)
    merges = linkage(distances, method="single")
    square = squareform(distances)
    n_clusters = limit
    # A further merge saves one member at most, so this stops at the greatest number of clusters that is small enough.
    while len(kept := _representatives(square, cluster_labels(merges, n_clusters), best)) > limit:
        n_clusters -= len(kept) - limit
    return kept


def cluster_labels(merges: FloatArray, n_clusters: int) -> IntArray:
    """Labels ``(n,)``, equal within a cluster, after the first n - n_clusters merges of scipy's ``(n - 1, 4)``."""
    n = len(merges) + 1
    n_merges = n - n_clusters
    label = np.arange(n + n_merges)
    label[merges[:n_merges, :2].astype(np.int64)] = np.arange(n, n + n_merges)[:, None]
    # Each node points to the cluster it went into; doubling the jumps reaches the top in logarithmically many rounds.
    while not np.array_equal(label, above := label[label]):
        label = above
    return label[:n]


def _representatives(square: FloatArray, label: IntArray, best: IntArray) -> IntArray:
    """The extremes and, of the clusters without one, the member nearest to the rest on average."""
    # Within a cluster the sum orders the members as the mean does.
    total = np.einsum("ij,ij->i", label[:, None] == label, square)
    order = np.lexsort((total, label))
    ordered = label[order]
    medoids = order[np.append(True, ordered[1:] != ordered[:-1])]
    represented = np.zeros(label.max() + 1, dtype=np.bool_)
    represented[label[best]] = True
    kept = np.zeros(len(label), dtype=np.bool_)
    kept[best] = True
    kept[medoids[~represented[label[medoids]]]] = True
    return np.flatnonzero(kept)


def greedy_hypervolume(F: FloatArray, limit: int) -> IntArray:
    """Keep the extremes, then member after member the one that adds the most hypervolume to those kept so far.

    Where `greedy_cost` is not affordable, what a member adds is estimated from samples in its box, in a time
    proportional to members, limit and objectives.
    """
    points = _scaled(F)
    best = extremes(points, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    exact = affordable(greedy_cost(limit, F.shape[1]))
    return np.sort((_exact_greedy if exact else _estimated_greedy)(points, limit, best.tolist()))


def _exact_greedy(points: FloatArray, limit: int, kept: list[int]) -> list[int]:
    """Members ``kept`` and those that add the most to them, by hypervolumes computed only where they may be the most.

    What a member adds only shrinks as others are kept (the hypervolume is submodular), so an old value is an upper
    bound, and only the member with the greatest bound is computed anew: lazy greedy selection (Minoux, 1978; on
    hypervolumes Chen, Ishibuchi and Shang, CEC 2020). The result is that of the plain greedy selection. A cheap bound
    for all members comes first: the box of a member, from it to the reference point, without its overlap with the box
    of each one kept.
    """
    n, n_obj = points.shape
    sides = np.ascontiguousarray(REFERENCE - points.T)
    boxes = np.multiply.reduce(sides, axis=0)
    volumes, bound = boxes.tolist(), boxes.copy()
    corners = np.empty((n, limit, n_obj))  # of the overlaps of each box with those kept
    covered = prefix_volumes(corners, REFERENCE)
    computed_at = [0] * n  # number of those kept when the bound was exact
    chosen: list[int] = []
    while len(chosen) < limit:
        if len(chosen) < len(kept):
            i = kept[len(chosen)]
        else:
            while computed_at[i := int(bound.argmax())] != len(chosen):
                bound[i] = volumes[i] - covered(i, len(chosen))
                computed_at[i] = len(chosen)
        overlap = np.multiply.reduce(np.minimum(sides, sides[:, i, None]), axis=0)
        np.minimum(bound, boxes - overlap, out=bound)
        bound[i] = -np.inf
        np.maximum(points, points[i], out=corners[:, len(chosen)])
        chosen.append(i)
    return chosen


def _estimated_greedy(points: FloatArray, limit: int, kept: list[int]) -> list[int]:
    """The same with estimates: the volume of a box times the share of its samples that no kept member dominates."""
    boxes = SampledBoxes(points, REFERENCE)
    free: WordArray | None = None
    gain = boxes.volumes.copy()  # minus infinity for those kept
    chosen: list[int] = []
    while len(chosen) < limit:
        i = kept[len(chosen)] if len(chosen) < len(kept) else int(gain.argmax())
        freed = ~boxes.dominated_by(i)
        free = freed if free is None else free & freed
        share = np.bitwise_count(free).sum(axis=1) / N_SAMPLES
        gain = np.where(np.isneginf(gain), gain, boxes.volumes * share)
        gain[i] = -np.inf
        chosen.append(i)
    return chosen


def least_contributors_out(F: FloatArray, limit: int) -> IntArray:
    """Drop member after member the one without which the least hypervolume is lost, estimated from samples.

    Extremes have no privilege.
    """
    whole_number("limit", limit, 1)
    boxes = SampledBoxes(_scaled(F), REFERENCE)

    def dominated(k: int) -> NDArray[np.uint8]:
        samples = np.unpackbits(boxes.dominated_by(k).view(np.uint8), axis=1)
        samples[k] = 0
        return samples

    # Number of members, other than the box's own, that dominate each sample.
    times = np.zeros((len(F), N_SAMPLES), dtype=np.min_scalar_type(len(F)))
    for k in range(len(F)):
        times += dominated(k)
    alive = np.ones(len(F), dtype=np.bool_)
    for _ in range(len(F) - limit):
        lost = boxes.volumes * np.count_nonzero(times == 0, axis=1)
        k = int(np.where(alive, lost, np.inf).argmin())
        alive[k] = False
        times -= dominated(k)
    return np.flatnonzero(alive)


def closest_pair(F: FloatArray, limit: int) -> IntArray:
    """Drop one of the two closest members again and again: the one whose next neighbour is nearer.

    For many objectives or very large archives, where the hypervolume takes too long. Extremes are never dropped.
    """
    points = _scaled(F)
    best = extremes(points, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    distance = squareform(pdist(points))
    np.fill_diagonal(distance, np.inf)
    # Two extremes are no pair to choose from, since neither may go.
    distance[np.ix_(best, best)] = np.inf
    protected = set(best.tolist())
    alive = np.ones(len(F), dtype=np.bool_)
    nearest = distance.min(axis=1)
    for _ in range(len(F) - limit):
        i = int(nearest.argmin())
        j = int(distance[i].argmin())
        drop = _nearer_next(distance, i, j) if protected.isdisjoint((i, j)) else i if j in protected else j
        alive[drop] = False
        stale = alive & (distance[drop] == nearest)
        distance[drop] = distance[:, drop] = np.inf
        nearest[stale] = distance[stale].min(axis=1)
        nearest[drop] = np.inf
    return np.flatnonzero(alive)


def _nearer_next(distance: FloatArray, i: int, j: int) -> int:
    """Of the closest pair, the member whose second neighbour is nearer; the earlier one if both are as near."""
    next_i, next_j = (np.partition(distance[k], 1)[1] for k in (i, j))
    return j if next_j < next_i else i


def extremes(points: FloatArray, limit: int) -> IntArray:
    """Members with the least value of each scaled objective, the best in the others among equals.

    None if there are more of them than the limit.
    """
    whole_number("limit", limit, 1)
    total = points.sum(axis=1)
    found = np.unique([np.lexsort((total, column))[0] for column in points.T])
    return found if len(found) <= limit else found[:0]


def _scaled(F: FloatArray) -> FloatArray:
    """Objectives scaled to 0 .. 1 over the members; an objective without a range becomes 0."""
    return normalise(F, F.min(axis=0), F.max(axis=0))


TRUNCATIONS: dict[str, Truncation] = {
    "linkage": single_linkage,
    "hypervolume": greedy_hypervolume,
    "closest-pair": closest_pair,
}


class GreedyHypervolumeSurvival(ArraySurvival):
    """NSGA-II's survival with greedy hypervolume: front after front; of the last, the designs that add the most.

    The rule is the truncation of the optimiser ``amosa``, so that a comparison of the two shows the search and not the
    truncation.
    """

    def _do(self, problem: Any, pop: Population, *args: Any, n_survive: int, **kwargs: Any) -> Population:
        survivors = []
        for rank, kept in enumerate(_fronts(pop, n_survive, greedy_hypervolume)):
            set_rank(pop[kept], rank, crowding_distance(objectives_of(pop[kept])))
            survivors.append(kept)
        return pop[np.concatenate(survivors)]


class BoundedContributionSurvival(LeastHypervolumeContributionSurvival):  # type: ignore[misc]
    """SMS-EMOA's survival for any number of objectives: the least contributors to the hypervolume leave one by one.

    Where a generation takes about a second or less this is pymoo's, with its reference point 10 ranges beyond the nadir
    point. Above, contributions are estimated from samples, for a reference point a tenth of the range beyond the nadir
    point: for a far one almost all of a member's box is dominated by others, and sampling it would say nothing. So are
    those of designs that tie in a single objective.
    """

    def _do(self, problem: Any, pop: Population, *args: Any, n_survive: int, **kwargs: Any) -> Population:
        # moocore has no contributions for a single objective.
        if problem.n_obj > 1 and affordable(survival_cost(n_survive, problem.n_obj)):
            return super()._do(problem, pop, *args, n_survive=n_survive, **kwargs)
        survivors = list(_fronts(pop, n_survive, least_contributors_out))
        for rank, kept in enumerate(survivors):
            pop[kept].set("rank", rank)
        return pop[np.concatenate(survivors)]


def _fronts(pop: Population, n_survive: int, truncate: Truncation) -> Iterator[IntArray]:
    """Yield the survivors of each front; of the front that does not fit those that a rule keeps."""
    F = objectives_of(pop)
    room = n_survive
    for front in NonDominatedSorting().do(F, n_stop_if_ranked=n_survive):
        kept = front if len(front) <= room else front[truncate(F[front], room)]
        yield kept
        room -= len(kept)
        if room <= 0:
            return
