"""Choice of the members that a bounded archive keeps: single linkage, greedy hypervolume, closest pair.

Each function takes the objective vectors of mutually non-dominated designs (to be minimised, finite) and a limit, and
returns the indices to keep. All scale the objectives to the ranges of the archive first and draw no random numbers.
All keep a member with the least value of every objective, the extremes, where the limit has room for all of these;
otherwise the rule alone decides.
"""

from collections.abc import Callable

import numpy as np
from moocore import Hypervolume
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from moopim.algorithms._sampled_boxes import N_SAMPLES, SampledBoxes
from moopim.typing import FloatArray, IntArray, WordArray

__all__ = [
    "EXACT_COST",
    "TRUNCATIONS",
    "Truncation",
    "closest_pair",
    "cluster_labels",
    "extremes",
    "greedy_hypervolume",
    "least_contributors_out",
    "single_linkage",
]

Truncation = Callable[[FloatArray, int], IntArray]

# Reference point in units of the archive's ranges; one tenth beyond the worst member, so that the worst members count.
_REFERENCE = 1.1

EXACT_COST = 2e6
"""Greatest `limit` to the power of half the number of objectives for which `greedy_hypervolume` is exact.

That power is what exact hypervolumes cost: at this value a truncation takes a few tenths of a second. It allows 1,414
members of 4 objectives, 125 of 6, 63 of 7, 37 of 8 and 18 of 10.
"""


def single_linkage(F: FloatArray, limit: int) -> IntArray:
    """Keeps one member per cluster of a single-linkage clustering: the least mean distance to the rest of its cluster.

    The clustering of Bandyopadhyay et al., IEEE TEVC 12(3), 2008, Section III-B. In the cluster of an extreme member
    the extreme takes that place; where two extremes share a cluster, there is one cluster less.

    Args:
        F: Objective vectors, shape ``(n, n_obj)``.
        limit: Number of members to keep, at least 1.

    Returns:
        Indices to keep, ascending, shape ``(limit,)``; fewer only where extremes share clusters.

    Raises:
        ValueError: If the limit is less than 1.
    """
    best = extremes(F, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    distances = pdist(_normalise(F))
    merges = linkage(distances, method="single")
    square = squareform(distances)
    n_clusters = limit
    # A further merge saves one member at most, so this stops at the greatest number of clusters that is small enough.
    while len(kept := _representatives(square, cluster_labels(merges, n_clusters), best)) > limit:
        n_clusters -= len(kept) - limit
    return kept


def cluster_labels(merges: FloatArray, n_clusters: int) -> IntArray:
    """Cuts a hierarchical clustering after its first ``n - n_clusters`` merges.

    Args:
        merges: Linkage matrix of scipy, shape ``(n - 1, 4)``.
        n_clusters: Number of clusters.

    Returns:
        A label per observation, equal within a cluster, shape ``(n,)``.
    """
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
    """Keeps the extremes, then member after member the one that adds the most hypervolume to those kept so far.

    Above `EXACT_COST` what a member adds is estimated from samples in its box (`moopim.algorithms._sampled_boxes`),
    which takes a time proportional to members, limit and objectives.

    Args:
        F: Objective vectors, shape ``(n, n_obj)``.
        limit: Number of members to keep, at least 1.

    Returns:
        Indices to keep, ascending, shape ``(limit,)``.

    Raises:
        ValueError: If the limit is less than 1.
    """
    best = extremes(F, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    gains, kept = _gains(_normalise(F), limit), best.tolist()
    for i in kept:
        gains.keep(i)
    while len(kept) < limit:
        kept.append(gains.greatest())
        gains.keep(kept[-1])
    return np.sort(kept)


def _gains(points: FloatArray, limit: int) -> "_ExactGains | _EstimatedGains":
    exact = float(limit) ** (points.shape[1] / 2) <= EXACT_COST
    return _ExactGains(points, limit) if exact else _EstimatedGains(points)


class _ExactGains:
    """Exact hypervolume contributions to the kept members, computed lazily: only where one may be the greatest.

    What a member adds only shrinks as others are kept (the hypervolume is submodular), so an old value is an upper
    bound, and only the member with the greatest bound is computed anew: lazy greedy selection (Minoux, 1978; on
    hypervolumes Chen, Ishibuchi and Shang, CEC 2020). The result is that of the plain greedy selection.

    The box of a member spans from it to the reference point. Of those kept, two cover at least a part of it that is
    cheap to compute for all members at once: the one with the largest overlap and the one kept last. This saves a third
    of the hypervolumes.

    Args:
        points: Scaled objectives, shape ``(n, n_obj)``.
        limit: Greatest number of members that will be kept.
    """

    def __init__(self, points: FloatArray, limit: int) -> None:
        self.points = points
        self.sides = np.ascontiguousarray(_REFERENCE - points.T)
        self.boxes = self.sides.prod(axis=0)
        self.bound = self.boxes.copy()  # minus infinity for those kept
        self.largest = np.zeros_like(self.sides)
        self.largest_volume = np.zeros_like(self.boxes)
        self.volume = Hypervolume(ref=np.full(points.shape[1], _REFERENCE))
        self.chosen, self.n_kept = np.empty((limit, points.shape[1])), 0
        self.fresh = np.full(len(points), -1, dtype=np.int64)

    def keep(self, i: int) -> None:
        """Lowers the bounds after member ``i`` has been kept."""
        overlap = np.minimum(self.sides, self.sides[:, i, None])
        overlap_volume = overlap.prod(axis=0)
        covered = self.largest_volume + overlap_volume - np.minimum(self.largest, overlap).prod(axis=0)
        np.minimum(self.bound, self.boxes - covered, out=self.bound)
        self.bound[i] = -np.inf
        larger = overlap_volume > self.largest_volume
        np.copyto(self.largest, overlap, where=larger)
        np.copyto(self.largest_volume, overlap_volume, where=larger)
        self.chosen[self.n_kept] = self.points[i]
        self.n_kept += 1

    def greatest(self) -> int:
        """The member that adds the most, the first of equals."""
        while self.fresh[i := int(self.bound.argmax())] != self.n_kept:
            # What i adds: its box without the part that the members kept so far cover.
            covered = self.volume(np.maximum(self.points[i], self.chosen[: self.n_kept])) if self.n_kept else 0.0
            self.bound[i] = self.boxes[i] - covered
            self.fresh[i] = self.n_kept
        return i


class _EstimatedGains:
    """Estimated hypervolume contributions: box volume times the share of samples that no kept member dominates.

    Args:
        points: Scaled objectives, shape ``(n, n_obj)``.
    """

    def __init__(self, points: FloatArray) -> None:
        self.boxes = SampledBoxes(points, _REFERENCE)
        self.free: WordArray | None = None
        self.gain = self.boxes.volumes.copy()  # minus infinity for those kept

    def keep(self, i: int) -> None:
        """Takes the samples that member ``i`` dominates from all boxes."""
        free = ~self.boxes.dominated_by(i)
        self.free = free if self.free is None else self.free & free
        share = np.bitwise_count(self.free).sum(axis=1) / N_SAMPLES
        self.gain = np.where(np.isneginf(self.gain), self.gain, self.boxes.volumes * share)
        self.gain[i] = -np.inf

    def greatest(self) -> int:
        """The member that adds the most, the first of equals."""
        return int(self.gain.argmax())


def least_contributors_out(F: FloatArray, limit: int) -> IntArray:
    """Drops member after member the one without which the least hypervolume is lost, estimated.

    The estimate is that of `greedy_hypervolume` above its `EXACT_COST`. Extremes have no privilege.

    Args:
        F: Objective vectors, shape ``(n, n_obj)``.
        limit: Number of members to keep, at least 1.

    Returns:
        Indices to keep, ascending, shape ``(limit,)``.

    Raises:
        ValueError: If the limit is less than 1.
    """
    _check(limit)
    boxes = SampledBoxes(_normalise(F), _REFERENCE)

    def dominated(k: int) -> NDArray[np.uint8]:
        samples = np.unpackbits(boxes.dominated_by(k).view(np.uint8), axis=1)
        samples[k] = 0
        return samples

    # How many members other than its own dominate each sample.
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
    """Drops one of the two closest members again and again: the one whose next neighbour is nearer.

    For many objectives or very large archives, where the hypervolume is too dear. Extremes are never dropped.

    Args:
        F: Objective vectors, shape ``(n, n_obj)``.
        limit: Number of members to keep, at least 1.

    Returns:
        Indices to keep, ascending, shape ``(limit,)``.

    Raises:
        ValueError: If the limit is less than 1.
    """
    best = extremes(F, limit)
    if len(F) <= limit:
        return np.arange(len(F))
    distance = squareform(pdist(_normalise(F)))
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


def extremes(F: FloatArray, limit: int) -> IntArray:
    """The members that hold the least value of each objective; the best in the other objectives among equals.

    Args:
        F: Objective vectors, shape ``(n, n_obj)``.
        limit: Number of members that may be kept.

    Returns:
        Indices, ascending and distinct, shape ``(at most n_obj,)``; none where there are more than `limit`.

    Raises:
        ValueError: If the limit is less than 1.
    """
    _check(limit)
    total = _normalise(F).sum(axis=1)
    found = np.unique([np.lexsort((total, column))[0] for column in F.T])
    return found if len(found) <= limit else found[:0]


def _check(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"limit={limit} is not allowed; expected 1, 2, ...")


def _normalise(F: FloatArray) -> FloatArray:
    """Scales every objective to 0 .. 1 over the members; an objective without a range becomes 0."""
    low = F.min(axis=0)
    with np.errstate(over="ignore"):
        span = F.max(axis=0) - low
    if np.isinf(span).any():  # of the largest numbers, not the halves, the difference overflows
        return _normalise(F / 2)
    return np.asarray((F - low) / np.where(span > 0, span, 1.0))


TRUNCATIONS: dict[str, Truncation] = {
    "linkage": single_linkage,
    "hypervolume": greedy_hypervolume,
    "closest-pair": closest_pair,
}
