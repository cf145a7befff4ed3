"""Paths and links of the mesh against literal walks."""

from itertools import pairwise, product

import numpy as np
import pytest

from moopim.hardware.noc.routing import hop_counts, link_count, link_ends, link_groups, routing_matrix

MESHES = [(4, 4), (2, 3), (1, 3), (3, 1), (1, 1)]


def walk(mesh, source, target):
    """The nodes on the way, one step after the other."""

    def node(place):
        return place[0] + mesh * place[1] + mesh**2 * place[2]

    here, there = ([n % mesh, n // mesh % mesh, n // mesh**2] for n in (source, target))
    nodes = [source]
    for axis in range(3):
        while here[axis] != there[axis]:
            here[axis] += 1 if there[axis] > here[axis] else -1
            nodes.append(node(here))
    return nodes


@pytest.mark.parametrize(("tiers", "mesh"), MESHES)
def test_every_path_goes_first_along_x_then_y_then_tiers(tiers, mesh):
    matrix, ends = routing_matrix(tiers, mesh), link_ends(tiers, mesh)
    nodes = tiers * mesh**2
    assert matrix.shape == (nodes**2, link_count(tiers, mesh))
    for source, target in product(range(nodes), repeat=2):
        path = walk(mesh, source, target)
        taken = matrix[[nodes * source + target]].toarray()[0]
        assert {tuple(link) for link in ends[taken == 1].tolist()} == set(pairwise(path))
        assert taken.sum() == hop_counts(tiers, mesh)[source, target] == len(path) - 1


@pytest.mark.parametrize(("tiers", "mesh"), MESHES)
def test_links_join_neighbours_both_ways_and_once(tiers, mesh):
    ends = link_ends(tiers, mesh)
    assert len(ends) == link_count(tiers, mesh)
    named = {tuple(link) for link in ends.tolist()}
    assert len(named) == len(ends)
    assert named == {(b, a) for a, b in named}
    if len(ends):
        assert (hop_counts(tiers, mesh)[ends[:, 0], ends[:, 1]] == 1).all()


def test_links_are_numbered_by_group_then_tier_y_and_x():
    ends, groups = link_ends(4, 4), link_groups(4, 4)
    assert link_count(4, 4) == 288
    steps = [1, -1, 4, -4, 16, -16]
    assert [np.unique(ends[group, 1] - ends[group, 0]).tolist() for group in groups] == [[s] for s in steps]
    assert groups[0].start == 0
    assert groups[-1].stop == 288
    assert all((np.diff(ends[group].min(axis=1)) > 0).all() for group in groups)
