"""Loads of many flows at once, and multicast trees, against paths walked one by one."""

from collections import Counter

import numpy as np
import pytest

from moopim.hardware.noc.loads import link_loads, tree_steps
from moopim.hardware.noc.routing import link_count, link_ends, routing_matrix

MESHES = [(4, 4), (2, 3), (1, 3), (3, 1), (8, 2), (1, 1)]


def links_between(tiers, mesh, source, target):
    row = routing_matrix(tiers, mesh)[[tiers * mesh**2 * source + target]].toarray()[0]
    return np.flatnonzero(row).tolist()


@pytest.mark.parametrize(("tiers", "mesh"), MESHES)
@pytest.mark.parametrize("flows", [0, 40, 111])
def test_loads_are_those_of_the_routing_matrix(rng, tiers, mesh, flows):
    nodes, designs, parts = tiers * mesh**2, 150, 3
    begin, end = rng.integers(0, nodes, (2, flows, parts, designs)).astype(np.int16)
    volume = rng.integers(0, 100, flows).astype(float)
    found = link_loads(tiers, mesh, begin, end, volume)
    assert found.shape == (designs, link_count(tiers, mesh))
    expected = np.zeros_like(found)
    for flow in range(flows):
        for part in range(parts):
            pairs = nodes * begin[flow, part].astype(int) + end[flow, part]
            expected += volume[flow] * routing_matrix(tiers, mesh)[pairs].toarray()
    assert (found == expected).all()


@pytest.mark.parametrize(("tiers", "mesh"), MESHES)
@pytest.mark.parametrize("targets", [1, 2, 3, 5, 13])
def test_a_tree_takes_every_link_of_its_paths_once(rng, tiers, mesh, targets):
    nodes, trees = tiers * mesh**2, 60
    source = rng.integers(0, nodes, trees).astype(np.int16)
    to = rng.integers(0, nodes, (targets, trees)).astype(np.int16)
    begin, end, arrives = tree_steps(tiers, mesh, source, to.copy())
    for i in range(trees):
        tree = {link for target in to[:, i] for link in links_between(tiers, mesh, source[i], target)}
        steps = Counter(
            link for step in range(targets) for link in links_between(tiers, mesh, begin[step, i], end[step, i])
        )
        assert steps == dict.fromkeys(tree, 1)
        assert sorted(end[:, i]) == sorted(to[:, i])
        assert sorted(end[arrives[:, i], i]) == sorted({*to[:, i].tolist()} - {int(source[i])})


def test_targets_on_the_way_to_others_add_no_link_but_get_their_packets():
    # Along a line from node 0: 3 first, then 1 and 2 on the way.
    begin, end, arrives = tree_steps(1, 4, np.array([3]), np.array([[0], [1], [2], [1]]))
    ends = link_ends(1, 4)
    used = [ends[links_between(1, 4, b, e)].tolist() for b, e in zip(begin[:, 0], end[:, 0], strict=True)]
    assert used == [[[1, 0], [2, 1], [3, 2]], [], [], []]
    assert arrives[:, 0].tolist() == [True, True, False, True]
