"""Latency of packets: queues by hand, literal walks, and BookSim2."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from moopim import ConfigError
from moopim.constants import read_table
from moopim.hardware.noc import evaluate_traffic, link_ends, load_noc, routing_matrix, waiting_cycles

REFERENCE = Path(__file__).parents[2] / "reference" / "hunt"
PAGE = (Path(__file__).parents[3] / "docs" / "noc.md").read_text(encoding="utf-8")
NOC = load_noc()
# Near saturation, where runs of BookSim2 scatter.
SCATTERED = "P02"


def evaluate(flows, tiers=4, mesh=4, mode="queue"):
    """Flows as rows (case, source, target, packets per cycle)."""
    case, source, target = np.array([flow[:3] for flow in flows]).T
    return evaluate_traffic(tiers, mesh, case, source, target, np.array([flow[3] for flow in flows]), NOC, mode)


@pytest.fixture(scope="module")
def booksim():
    """The public cases: BookSim2's figures, and ours beside them."""
    flows = pd.read_csv(REFERENCE / "booksim_public_traffic.csv")
    cases = pd.read_csv(REFERENCE / "booksim_public.csv", index_col="case")
    number = cases.index.get_indexer(flows["case"])
    columns = (flows[name].to_numpy() for name in ("src", "dst", "packets_per_cycle"))
    found = evaluate_traffic(4, 4, number, *columns, NOC)
    packets = flows.groupby("case")["packets_per_cycle"].sum()
    return cases.assign(ours=found.latency, our_hops=found.hops, load=found.highest, flit_hops=4 * found.hops * packets)


def test_latency_is_within_8_per_cent_of_booksim_and_ranks_cases_alike(booksim):
    cases = booksim.drop(SCATTERED)
    error = (cases["ours"] / cases["packet_latency_cycles"] - 1).abs()
    assert error.mean() <= 0.08
    assert spearmanr(cases["ours"], cases["packet_latency_cycles"]).statistic >= 0.9


def test_the_documentation_states_the_figures_of_every_case(booksim):
    stated = re.findall(r"^\| (P[0-9]+) \| \S+ \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in stated] == booksim.index.tolist()
    for (_, load, simulated, ours, difference), (_, case) in zip(stated, booksim.iterrows(), strict=True):
        assert float(load) == pytest.approx(case["load"], abs=0.0051)
        assert float(simulated) == pytest.approx(case["packet_latency_cycles"], abs=0.0051)
        assert float(ours) == pytest.approx(case["ours"], abs=0.0051)
        assert float(difference) == pytest.approx(100 * (case["ours"] / case["packet_latency_cycles"] - 1), abs=0.051)


def test_hops_are_those_of_booksim(booksim):
    assert booksim["our_hops"].to_numpy() == pytest.approx(booksim["mean_manhattan"], abs=1e-4)
    # BookSim counts routers, one more than hops, of the packets that it happened to send.
    assert booksim["our_hops"].to_numpy() == pytest.approx(booksim["hops"] - 1, abs=0.16)


def test_communication_power_is_linear_in_flits_times_hops(booksim):
    assert pearsonr(booksim["flit_hops"], booksim["total_power_booksim_units"]).statistic >= 0.99
    below = booksim.drop(SCATTERED)
    assert pearsonr(below["flit_hops"], below["total_power_booksim_units"]).statistic >= 0.99


def test_waiting_by_hand():
    # u = .5: 4 x .5 / (2 x .5) = 2 cycles.
    assert waiting_cycles(np.array([0.0, 0.5, 0.75]), 4.0).tolist() == [0.0, 2.0, 6.0]


def test_two_flows_that_share_a_link_by_hand():
    # 0 -> 2 and 1 -> 3 along a row share the link 1 -> 2, with 4 x (.05 + .075) = .5 flits per cycle.
    found = evaluate([(0, 0, 2, 0.05), (0, 1, 3, 0.075)])
    load = dict(zip(map(tuple, link_ends(4, 4).tolist()), found.utilisation[0].tolist(), strict=True))
    assert load[0, 1] == pytest.approx(0.2)
    assert load[1, 2] == pytest.approx(0.5)
    assert load[2, 3] == pytest.approx(0.3)
    assert sum(load.values()) == pytest.approx(1.0)
    waits = {0.2: 4 * 0.2 / 1.6, 0.5: 2.0, 0.3: 4 * 0.3 / 1.4}
    first, second = waits[0.2] + waits[0.5], waits[0.5] + waits[0.3]
    expected = 8.53 + 4.08 * 2 + (0.05 * first + 0.075 * second) / 0.125
    assert found.latency[0] == pytest.approx(expected, rel=1e-14)
    assert found.hops[0] == pytest.approx(2.0)
    assert found.highest[0] == pytest.approx(0.5)
    assert not found.saturated[0]


def test_random_traffic_walked_packet_by_packet(rng):
    tiers, mesh, nodes = 3, 2, 12
    flows = [(int(c), int(s), int(t), r) for c, s, t, r in zip(
        rng.integers(0, 3, 60), rng.integers(0, nodes, 60), rng.integers(0, nodes, 60), rng.uniform(0, 0.01, 60),
        strict=True,
    )]  # fmt: skip
    found = evaluate(flows, tiers, mesh)
    paths = routing_matrix(tiers, mesh).toarray().astype(bool)
    for case in range(3):
        own = [flow for flow in flows if flow[0] == case]
        load = 4 * sum(paths[nodes * s + t] * rate for _, s, t, rate in own)
        total = sum(rate for *_, rate in own)
        latency = 0.0
        for _, s, t, rate in own:
            way = load[paths[nodes * s + t]]
            latency += rate * (8.53 + 4.08 * len(way) + (4 * way / (2 * (1 - way))).sum())
        assert found.latency[case] == pytest.approx(latency / total, rel=1e-13)
        assert found.utilisation[case] == pytest.approx(load, rel=1e-13)


def test_paper_is_the_distance_alone():
    flows = [(0, 0, 63, 0.1), (0, 5, 5, 0.3)]
    assert evaluate(flows, mode="paper").latency[0] == pytest.approx(8.53 + 4.08 * (0.1 * 9) / 0.4, rel=1e-14)


@pytest.mark.parametrize("mode", ["queue", "paper"])
def test_beyond_saturation_there_is_a_flag_and_no_latency(mode):
    # 4 x .25 flits per cycle fill a link; the second case is just below, the third has no packets.
    found = evaluate([(0, 0, 1, 0.25), (0, 8, 9, 0.01), (1, 0, 1, 0.2499), (2, 3, 4, 0.0)], mode=mode)
    assert found.saturated.tolist() == [True, False, False]
    assert np.isnan(found.latency).tolist() == [True, False, True]
    assert found.highest.tolist() == pytest.approx([1.0, 0.9996, 0.0])
    assert found.hops[0] == pytest.approx(1.0)
    assert np.isnan(found.hops[2])


def test_latency_grows_with_load_up_to_saturation(rng):
    source, target = rng.integers(0, 64, (2, 200))
    heavy = np.bincount(routing_matrix(4, 4)[64 * source + target].indices).max()
    rates = np.linspace(0.01, 0.99, 20) / (4 * heavy)
    case = np.repeat(np.arange(20), 200)
    found = evaluate_traffic(4, 4, case, np.tile(source, 20), np.tile(target, 20), np.repeat(rates, 200), NOC)
    assert found.highest == pytest.approx(np.linspace(0.01, 0.99, 20))
    assert (np.diff(found.latency) > 0).all()
    assert found.latency[0] == pytest.approx(8.53 + 4.08 * found.hops[0], rel=0.01)


def test_unknown_modes_and_huge_meshes_are_refused():
    with pytest.raises(ConfigError, match="unknown mode 'queues' \\(did you mean 'queue'\\?\\)"):
        evaluate([(0, 0, 1, 0.1)], mode="queues")
    with pytest.raises(ConfigError, match="a mesh of 40 x 40 x 1 has too many nodes; expected at most 1024"):
        evaluate([(0, 0, 1, 0.1)], 1, 40)


@pytest.mark.parametrize(("name", "entry"), read_table("moopim.hardware", "noc.toml").items())
def test_every_figure_says_where_it_comes_from(name, entry):
    assert entry["unit"]
    assert entry["kind"] in {"measured", "assumption"}
    assert len(entry["source"]) > 20, name
