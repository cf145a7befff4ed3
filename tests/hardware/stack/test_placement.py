"""Placement: roles of tiers, the snake, what lies on the tiers, layers spread over PEs."""

import numpy as np
import pytest

from moopim.hardware.stack.idealised import idealised_model
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.parameters import load_stack
from moopim.hardware.stack.placement import Line, lay_out, snake, spread, tier_roles, to_stack
from moopim.workload import load_workload


def test_the_snake_visits_neighbours_only():
    path = snake(load_stack())
    assert path.tolist() == [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11, 15, 14, 13, 12]
    assert set(np.abs(np.diff(path))) == {1, 4}


def test_the_farthest_able_tier_serves_back_propagation():
    able = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    has_bp, bp, forward = tier_roles(able)
    assert bp.tolist() == [0, 2, 3, 3]
    assert has_bp.tolist() == [True, True, True, False]
    assert forward.tolist() == [[1, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


def test_what_the_tiers_hold_adds_up_to_all_layers(rng):
    model = idealised_model(load_workload("resnet18"), "calibrated")
    tiers, genes = rng.integers(0, 3, (50, 4)), rng.integers(0, 48, (50, len(model.workload)))
    occupancy = occupy(model, tiers, genes)
    device, layer = occupancy.entry // len(model.workload), occupancy.entry % len(model.workload)
    assert (layer == np.arange(len(model.workload))).all()
    assert (device == np.take_along_axis(tiers, np.take_along_axis(occupancy.forward, genes // 16, 1), 1)).all()
    assert occupancy.layers.sum(axis=1).tolist() == [len(model.workload)] * 50
    assert (occupancy.used.sum(axis=1) == model.costs.arrays[device, layer].sum(axis=1)).all()
    held = model.costs.activation_arrays[device, layer].sum(axis=1)
    assert (occupancy.capacity - occupancy.free).sum(axis=1) == pytest.approx(held, rel=1e-12)
    some = np.array([7, 3])
    assert (occupancy.select(some).used == occupy(model, tiers[some], genes[some]).used).all()


def test_layers_lie_in_the_order_of_slots_then_numbers():
    model = idealised_model(load_workload("vgg11"))
    genes = np.array([[5, 5, 21, 0, 16, 47, 32, 5, 16, 47, 3]])
    extent = np.arange(1.0, 12.0)[None]
    line = lay_out(genes, occupy(model, np.array([[1, 1, 2, 0]]), genes), extent)
    assert line.layer.tolist() == [[3, 10, 0, 1, 7, 4, 8, 2, 6, 5, 9]]
    assert line.tier.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]]
    assert line.extent.tolist() == [[4, 11, 1, 2, 8, 5, 9, 3, 7, 6, 10]]
    assert line.start.tolist() == [[0, 4, 15, 16, 18, 0, 5, 14, 0, 7, 13]]


def test_loads_are_spread_evenly_over_covered_pes():
    # Tier 0: a layer on PEs 0 to 1.5 and one on 1.5 to 2; tier 1 empty; tier 2: one on all 16 PEs.
    line = Line(
        layer=np.array([[0, 1, 2]]),
        flat=np.array([[0, 1, 2]]),
        tier=np.array([[0, 0, 2]]),
        start=np.array([[0.0, 1.5, 0.0]]),
        extent=np.array([[1.5, 0.5, 16.0]]),
    )
    along = spread(line, np.array([[[3.0, 5.0, 32.0]]]), load_stack())
    assert along[0, 0].tolist() == [2.0, 6.0] + [0.0] * 30 + [2.0] * 16 + [0.0]
    # The back-propagation tier is tier 1: forward tiers 0, 1, 2 are tiers 0, 2, 3 of the stack.
    stacked = to_stack(load_stack(), np.array([1]), along)
    assert stacked[0, 0].tolist() == [2.0, 6.0] + [0.0] * 46 + [2.0] * 16
    shifted = to_stack(load_stack(), np.array([1]), np.arange(49.0)[None, None])
    # Second row of the mesh: the snake runs backwards.
    assert shifted[0, 0, :8].tolist() == [0, 1, 2, 3, 7, 6, 5, 4]
    assert shifted[0, 0, 16:32].tolist() == [48.0] * 16


def test_spreading_loses_nothing(rng):
    model = idealised_model(load_workload("densenet40"))
    genes = rng.integers(0, 48, (100, len(model.workload)))
    tiers = np.tile([1, 2, 2, 0], (100, 1))
    occupancy = occupy(model, tiers, genes)
    extent = rng.uniform(0.01, 1.0, genes.shape)
    line = lay_out(genes, occupancy, extent * 16 / extent.sum(axis=1, keepdims=True))
    loads = rng.uniform(0.0, 1.0, (2, *genes.shape))
    stacked = to_stack(model.stack, occupancy.bp, spread(line, loads, model.stack))
    per_tier = stacked.reshape(2, 100, 4, 16).sum(axis=3)
    for forward in range(3):
        expected = np.where(line.tier == forward, loads, 0.0).sum(axis=2)
        assert per_tier[:, :, forward] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert (per_tier[:, :, 3] == 0).all()
