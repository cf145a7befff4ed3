"""Graph traffic against paths walked literally, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from literal_traffic import walk_design

from moopim.hardware.noc import link_ends, load_noc
from moopim.hardware.stack.idealised import idealised_model, steady_state
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.parameters import load_stack
from moopim.hardware.stack.placement import Line, Occupancy, lay_out, tier_occupancy
from moopim.hardware.stack.traffic import graph_traffic
from moopim.workload import IMAGE, WORKLOADS, Layer, load_workload, make_workload

BITS = 16


def random_lines(rng, workload, stack, designs):
    """Random mappings, with as many PEs for each layer as make a tier full or not."""
    costs = idealised_model(workload).costs
    tiers = rng.integers(0, 3, (designs, stack.tiers))
    tiers[np.arange(designs), rng.integers(0, stack.tiers, designs)] = 0
    genes = rng.integers(0, (stack.tiers - 1) * stack.pes_per_tier, (designs, len(workload)))
    occupancy = tier_occupancy(costs, stack, np.array([True, False, False]), tiers, genes)
    extent = rng.lognormal(0, 1.5, genes.shape)
    for design in range(designs):
        for tier in range(stack.tiers - 1):
            here = occupancy.tier[design] == tier
            extent[design, here] *= rng.uniform(0.2, 1) * stack.pes_per_tier / max(extent[design, here].sum(), 1e-9)
    return occupancy, lay_out(genes, occupancy, extent)


@pytest.mark.parametrize("network", WORKLOADS)
def test_every_link_and_every_packet_as_walked_literally(rng, network):
    workload, stack = load_workload(network), load_stack()
    occupancy, line = random_lines(rng, workload, stack, 5)
    found = graph_traffic(workload, BITS, stack, load_noc(), occupancy, line)
    for design in range(5):
        flits, packets = walk_design(workload, BITS, stack, occupancy, line, design)
        assert found.flits[design] == pytest.approx(list(flits.values()), rel=1e-11, abs=1e-9)
        assert found.packets[design] == pytest.approx(packets, rel=1e-12)


@pytest.mark.parametrize(("tiers", "mesh"), [(3, 6), (2, 3), (8, 8), (5, 1)])
def test_other_stacks_are_walked_alike(rng, tiers, mesh):
    workload, stack = load_workload("resnet18"), replace(load_stack(), tiers=tiers, mesh=mesh)
    occupancy, line = random_lines(rng, workload, stack, 3)
    found = graph_traffic(workload, BITS, stack, load_noc(), occupancy, line)
    for design in range(3):
        flits, packets = walk_design(workload, BITS, stack, occupancy, line, design)
        assert found.flits[design] == pytest.approx(list(flits.values()), rel=1e-11, abs=1e-9)
        assert found.packets[design] == pytest.approx(packets, rel=1e-12)


def test_a_design_does_not_depend_on_the_others(rng):
    # A batch of 100 makes fractions of flits that no binary number holds.
    layers = [
        Layer(f"l{i}", "conv", (IMAGE, *range(i)), 3 + 7 * i, 7, size_in=(8, 8), size_out=(8, 8)) for i in range(9)
    ]
    workload, stack = make_workload("dense", "none", 100, layers), load_stack()
    occupancy, line = random_lines(rng, workload, stack, 200)
    together = graph_traffic(workload, 7, stack, load_noc(), occupancy, line)
    for design in (0, 57, 58, 199):
        rows = np.array([design])
        parts = (line.layer[rows], np.arange(9)[None], line.tier[rows], line.start[rows], line.extent[rows])
        own = Line(parts[0], parts[0], *parts[2:])
        alone = graph_traffic(workload, 7, stack, load_noc(), occupancy.select(rows), own)
        assert (alone.flits[0] == together.flits[design]).all()
        assert alone.packets[0] == together.packets[design]


def one_design(stack, bp, tier, start, extent):
    """Layers on forward tiers in the order of their numbers."""
    forward = np.array([[t for t in range(stack.tiers) if t != bp]])
    numbers = np.arange(len(tier))[None]
    blank = np.zeros((1, stack.tiers - 1))
    occupancy = Occupancy(
        np.array([True]), np.array([bp]), forward, forward, np.array([tier]), numbers, blank, blank, blank, forward
    )
    line = Line(numbers, numbers, np.array([tier]), np.array([start], dtype=float), np.array([extent], dtype=float))
    return occupancy, line


def test_a_small_network_by_hand():
    # Layer a on PE 0 of tier 0, b on PEs 1 to 3 of tier 0, c on PE 3 of tier 1 (its own snake); tier 3 for gradients.
    layers = [
        Layer("a", "conv", (IMAGE,), 4, 8, size_in=(4, 4), size_out=(4, 4)),
        Layer("b", "conv", (0,), 8, 8, size_in=(4, 4), size_out=(4, 4)),
        Layer("sum", "sum", (1, 0), 8, 8, size_in=(4, 4), size_out=(4, 4)),
        Layer("c", "fc", (2,), 128, 16),
    ]
    workload, stack = make_workload("small", "none", 2, layers), load_stack()
    assert [transfer.volume for transfer in workload.transfers] == [128, 128]
    occupancy, line = one_design(stack, 3, [0, 0, 1], [0, 1, 3], [1, 2, 1])
    found = graph_traffic(workload, 16, stack, load_noc(), occupancy, line)
    flits = {tuple(link): load for link, load in zip(link_ends(4, 4).tolist(), found.flits[0], strict=True) if load}
    # Each of 4 parts is 128 / 4 values x 16 bits = 4 flits. b's parts are at 1.25, 1.75 (PE 1), 2.25 and 2.75 (PE 2).
    # a to b: 4 parts over 0 -> 1, two of them on over 1 -> 2; the gradients the same way back.
    # b to c at (3, 0) of tier 1: two parts from 1, two from 2, along x first, then up; back: down at x, no: x first.
    expected = {
        (0, 1): 16.0,
        (1, 0): 16.0,
        (1, 2): 8.0 + 8.0,
        (2, 1): 8.0,
        (2, 3): 16.0,
        (3, 19): 16.0,
        # Back from c on tier 1: along x there, then down at b's PEs.
        (19, 18): 16.0,
        (18, 17): 8.0,
        (18, 2): 8.0,
        (17, 1): 8.0,
    }
    # To tier 3 and back, in flits: activations 128 x 16 / 128 = 16 for a and b, 2 for c; weights of a 32 x 32 / 2 / 128
    # = 4, of b 64 x 32 / 2 / 128 = 8, of c 2048 x 32 / 2 / 128 = 256. b lies half on PE 1 and half on PE 2.
    for column, tier, up, down in ((0, 0, 16, 20), (1, 0, 8, 12), (2, 0, 8, 12), (3, 1, 2, 258)):
        for below in range(tier, 3):
            onward = (16 * below + column, 16 * below + 16 + column)
            expected[onward] = expected.get(onward, 0.0) + up
            expected[onward[::-1]] = expected.get(onward[::-1], 0.0) + down
    assert flits == expected
    # Packets of 4 flits: 16 flits each way between a and b, and between b and c; all that is sent to tier 3 and back.
    assert found.packets.tolist() == [(4 * 16 + (16 + 20) + (16 + 24) + (2 + 258)) / 4]


def test_neighbours_in_the_graph_on_one_pe_send_nothing_over_the_network():
    layers = [
        Layer("a", "conv", (IMAGE,), 4, 8, size_in=(4, 4), size_out=(4, 4)),
        Layer("b", "conv", (0,), 8, 8, size_in=(4, 4), size_out=(4, 4)),
    ]
    workload, stack = make_workload("small", "none", 2, layers), load_stack()
    occupancy, line = one_design(stack, 1, [0, 0], [5, 5.5], [0.5, 0.5])
    found = graph_traffic(workload, 16, stack, load_noc(), occupancy, line)
    # Only tier 1 above PE 5 of the snake, node 6, is talked to.
    used = link_ends(4, 4)[found.flits[0] > 0].tolist()
    assert used == [[6, 22], [22, 6]]


def test_four_parts_are_enough(monkeypatch):
    model, rng = idealised_model(load_workload("ResNet34")), np.random.default_rng(1)
    tiers, genes = rng.integers(0, 3, (256, 4)), rng.integers(0, 48, (256, 37))
    tiers[:, 3] = 0
    occupancy = occupy(model, tiers, genes)
    line = steady_state(model, tiers, genes, occupancy).line
    total, busiest = {}, {}
    for parts in (1, 4, 32):
        monkeypatch.setattr("moopim.hardware.stack.traffic.PARTS", parts)
        flits = graph_traffic(model.workload, 16, model.stack, load_noc(), occupancy, line).flits
        total[parts], busiest[parts] = flits.sum(axis=1), flits.max(axis=1)
    assert total[4].mean() == pytest.approx(total[32].mean(), rel=3e-4)
    assert (busiest[4] / busiest[32]).mean() == pytest.approx(1.0, abs=0.03)
    assert (busiest[1] / busiest[32]).mean() > 1.25
