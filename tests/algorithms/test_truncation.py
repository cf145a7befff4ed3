"""Archive truncation against scipy's clusters, a plain greedy selection, and hand-made archives."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, pdist

from moopim.algorithms.truncation import (
    TRUNCATIONS,
    closest_pair,
    cluster_labels,
    extremes,
    greedy_cost,
    greedy_hypervolume,
    least_contributors_out,
    single_linkage,
)
from moopim.pareto import normalise, volumes
from moopim.pareto.volumes import N_SAMPLES, SampledBoxes


def random_front(n, n_obj, seed):
    """Mutually non-dominated points on a sphere, in objectives of very different scale."""
    rng = np.random.default_rng(seed)
    points = np.abs(rng.normal(size=(n, n_obj)))
    return (1 - points / np.linalg.norm(points, axis=1, keepdims=True)) * 10.0 ** np.arange(n_obj) + 3


def scaled(F):
    return (F - F.min(axis=0)) / np.ptp(F, axis=0)


def same_partition(a, b):
    return np.array_equal(a[:, None] == a, b[:, None] == b)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "n_clusters"), [(30, 10), (110, 100), (40, 1), (12, 11)])
def test_cluster_labels_are_the_partition_of_scipy(seed, n, n_clusters):
    merges = linkage(pdist(random_front(n, 3, seed)), method="single")
    expected = fcluster(merges, n_clusters, criterion="maxclust")
    assert same_partition(cluster_labels(merges, n_clusters), expected)


@pytest.mark.parametrize("seed", range(5))
def test_single_linkage_keeps_the_most_central_member_of_each_cluster(seed):
    F = random_front(60, 2, seed)
    kept = single_linkage(F, 20)
    P, best = scaled(F), set(F.argmin(axis=0).tolist())
    label = fcluster(linkage(pdist(P), method="single"), 20, criterion="maxclust")
    clusters = [np.flatnonzero(label == name) for name in np.unique(label)]
    assert max(len(best & set(cluster.tolist())) for cluster in clusters) <= 1
    expected = set()
    for cluster in clusters:
        inside = best & set(cluster.tolist())
        central = cluster[cdist(P[cluster], P[cluster]).sum(axis=1).argmin()]
        expected |= inside or {int(central)}
    assert set(kept.tolist()) == expected


def test_single_linkage_by_hand():
    # On the line f1 + f2 = 10: clusters {0, .2, .3}, {5}, {9, 9.4, 10}; the extremes are 0 and 10.
    f1 = np.array([0.0, 0.2, 0.3, 5.0, 9.0, 9.4, 10.0])
    F = np.column_stack([f1, 10 - f1])
    assert single_linkage(F, 3).tolist() == [0, 3, 6]
    # Four clusters: 10 leaves the last one, in which 9 and 9.4 are equally central: the earlier one stays.
    assert single_linkage(F, 4).tolist() == [0, 3, 4, 6]


def test_single_linkage_keeps_extremes_that_share_a_cluster():
    # The best of the first and of the second objective lie close together; four others are spread out.
    F = np.array(
        [[0.0, 0.1, 5.0], [0.1, 0.0, 5.0], [40.0, 90.0, 1.0], [90.0, 40.0, 2.0], [60.0, 70.0, 0.0], [9.0, 9.0, 4.0]]
    )
    for limit in (3, 4, 5):
        kept = single_linkage(F, limit)
        assert {0, 1, 4} <= set(kept.tolist())
        assert len(kept) <= limit


def is_greedy(F, limit, kept):
    """Whether some greedy selection, which may break ties in any way, keeps these members."""
    P, reference = normalise(F, F.min(axis=0), F.max(axis=0)), np.full(F.shape[1], 1.1)
    chosen = extremes(P, limit).tolist()
    left = set(kept.tolist()) - set(chosen)
    while left:
        rest = [i for i in range(len(F)) if i not in chosen]
        volume = {i: moocore.hypervolume(P[[*chosen, i]], ref=reference) for i in rest}
        chosen.append(max(left, key=volume.get))
        if volume[chosen[-1]] < max(volume.values()) - 1e-12:
            return False
        left.remove(chosen[-1])
    return len(chosen) == len(kept) == min(limit, len(F))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "n_obj", "limit"), [(25, 2, 8), (25, 3, 10), (30, 4, 12), (14, 5, 7), (12, 6, 8)])
def test_greedy_hypervolume_is_a_plain_greedy_selection(seed, n, n_obj, limit, monkeypatch):
    F = random_front(n, n_obj, seed)
    kept = greedy_hypervolume(F, limit)
    assert is_greedy(F, limit, kept)
    monkeypatch.setattr(volumes, "_library", lambda: None)  # moocore without the C function
    assert np.array_equal(kept, greedy_hypervolume(F, limit))


def test_greedy_hypervolume_by_hand():
    # Scaled: (0, 1), (1, 0), (.5, .5), (.1, .95). Beside the extremes (.5, .5) adds .5 * .5, (.1, .95) only .9 * .05.
    F = np.array([[0.0, 10.0], [10.0, 0.0], [5.0, 5.0], [1.0, 9.5]])
    assert greedy_hypervolume(F, 3).tolist() == [0, 1, 2]


def test_closest_pair_by_hand():
    # The closest pair is 4, 5; the next neighbour of 4 is 1.5 away, that of 5 is 4 away: 4 goes. Then 2.5 is
    # as close to 0 as to 5; 0 is an extreme, and the next neighbour of 5 is farther: 2.5 goes.
    f1 = np.array([0.0, 2.5, 4.0, 5.0, 9.0])
    F = np.column_stack([f1, 9 - f1])
    assert closest_pair(F, 4).tolist() == [0, 1, 3, 4]
    assert closest_pair(F, 3).tolist() == [0, 3, 4]


def test_closest_pair_never_leaves_a_closer_pair_than_it_found():
    F = random_front(120, 3, 1)
    P, kept = scaled(F), closest_pair(F, 50)
    assert pdist(P[kept]).min() >= pdist(P).min()
    assert len(set(kept.tolist())) == 50


@pytest.mark.parametrize("name", TRUNCATIONS)
@pytest.mark.parametrize("n_obj", [2, 3, 4])
def test_extremes_survive_and_the_limit_is_met(name, n_obj):
    for seed in range(5):
        F = random_front(80, n_obj, seed)
        kept = TRUNCATIONS[name](F, 20)
        assert np.array_equal(F[kept].min(axis=0), F.min(axis=0))
        assert len(kept) == len(set(kept.tolist())) == 20
        assert np.array_equal(kept, TRUNCATIONS[name](F, 20))


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_scale_of_the_objectives_does_not_matter(name):
    F = random_front(60, 3, 7)
    assert np.array_equal(TRUNCATIONS[name](F, 15), TRUNCATIONS[name](F * [1, 2**20, 2.0**-20], 15))


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_an_archive_within_the_limit_stays(name):
    F = random_front(10, 3, 3)
    assert TRUNCATIONS[name](F, 10).tolist() == list(range(10))
    assert TRUNCATIONS[name](F, 30).tolist() == list(range(10))


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_an_objective_without_a_range_is_no_problem(name):
    F = np.column_stack([random_front(30, 2, 5), np.full(30, 4.0)])
    kept = TRUNCATIONS[name](F, 9)
    assert len(kept) == 9
    assert np.array_equal(F[kept].min(axis=0), F.min(axis=0))


RULES = [*TRUNCATIONS.values(), least_contributors_out]
members = st.integers(1, 6).flatmap(lambda m: st.lists(st.tuples(*[st.integers(0, 3)] * m), min_size=1, max_size=12))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("exact_cost", [0.0, np.inf])
@given(rows=members, limit=st.integers(1, 12), scale=st.sampled_from([1.0, 1e-308, 5e307]))
def test_any_room_is_filled(rule, exact_cost, rows, limit, scale):
    # Small whole numbers: duplicates, ties and dominated members among them.
    F = (np.array(rows) - 1.0) * scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "EXACT_COST", exact_cost)
        kept = rule(F, limit)
        assert np.array_equal(kept, rule(F, limit))
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= min(limit, len(F))
    assert len(kept) >= (1 if rule is single_linkage else min(limit, len(F)))  # extremes may share a cluster
    if limit >= F.shape[1] and rule is not least_contributors_out:
        assert np.array_equal(F[kept].min(axis=0), F.min(axis=0))


@given(rows=members, limit=st.integers(1, 12))
def test_greedy_hypervolume_is_greedy_among_ties(rows, limit):
    F = np.array(rows, dtype=float)
    assert is_greedy(F, limit, greedy_hypervolume(F, limit))


def test_without_room_for_the_extremes_the_rule_alone_decides():
    # Of three extremes and a member close to the best in everything, the latter has by far the largest box, and lies
    # in the middle of their one cluster.
    F = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 9.0], [1.0, 1.0, 1.0], [9.0, 9.0, 0.0]])
    assert greedy_hypervolume(F, 1).tolist() == single_linkage(F, 1).tolist() == [2]


@pytest.mark.parametrize("rule", RULES)
def test_no_room_is_refused(rule):
    with pytest.raises(ValueError, match="limit is 0; expected 1"):
        rule(random_front(10, 3, 0), 0)


@pytest.mark.parametrize("n_obj", [2, 6])
def test_estimated_shares_of_boxes_are_the_exact_ones_but_for_the_error_of_sampling(n_obj):
    points = scaled(random_front(40, n_obj, 2))
    boxes = SampledBoxes(points, 1.1)
    free = ~np.bitwise_or.reduce([boxes.dominated_by(k) for k in range(20)])
    share = np.bitwise_count(free).sum(axis=1) / N_SAMPLES
    assert boxes.volumes == pytest.approx(np.prod(1.1 - points, axis=1))
    for i in range(20, 40):
        overlap = moocore.hypervolume(np.maximum(points[i], points[:20]), ref=np.full(n_obj, 1.1))
        exact = 1 - overlap / boxes.volumes[i]
        assert share[i] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / N_SAMPLES) + 1e-3)
    assert not share[:20].any()  # a member dominates all of its own box


@pytest.mark.parametrize("seed", range(3))
def test_estimates_cost_little_hypervolume(seed, monkeypatch):
    F = random_front(120, 6, seed)
    P, reference = scaled(F), np.full(6, 1.1)

    def volume(kept):
        return moocore.hypervolume(P[kept], ref=reference)

    exact = volume(greedy_hypervolume(F, 60))
    monkeypatch.setattr(volumes, "EXACT_COST", 0.0)
    assert volume(greedy_hypervolume(F, 60)) > 0.997 * exact
    assert volume(least_contributors_out(F, 60)) > 0.99 * exact
    assert volume(np.random.default_rng(seed).choice(120, 60, replace=False)) < 0.97 * exact


@pytest.mark.parametrize(
    ("limit", "n_obj", "exact"), [(1414, 4, True), (125, 6, True), (126, 6, False), (100, 7, False)]
)
def test_the_stated_cost_decides_between_exact_and_estimated(limit, n_obj, exact):
    assert volumes.affordable(greedy_cost(limit, n_obj)) == exact


def test_extremes_prefer_the_better_of_equals():
    F = np.array([[0.0, 8.0, 5.0], [0.0, 2.0, 6.0], [4.0, 2.0, 0.0], [9.0, 9.0, 9.0]])
    # The first objective ties between rows 0 and 1, whose scaled sums are 6/7 + 5/9 and 6/9; the second between rows
    # 1 and 2, 6/9 and 4/9; the third is least in row 2.
    assert extremes(normalise(F, F.min(axis=0), F.max(axis=0)), 3).tolist() == [1, 2]
