"""The network in the period: against a root finder design by design, and by hand."""

import numpy as np
import pytest
from scipy.optimize import brentq

from moopim import ConfigError
from moopim.hardware.noc import LinkTraffic, load_noc, network_period

NOC = load_noc()
LINKS = 288


def traffic(rng, designs, scale):
    flits = rng.lognormal(0, 2, (designs, LINKS)) * (rng.random((designs, LINKS)) < 0.7) * scale
    return LinkTraffic(flits, flits.sum(axis=1) / 11)


@pytest.mark.parametrize("cycle", [1.0, 0.25])
@pytest.mark.parametrize("busy", [0.0, 10.0, 1e3, 1e6])
def test_the_period_is_the_root_that_a_root_finder_finds(rng, busy, cycle):
    work = traffic(rng, 30, 1.0)
    stages, rest = np.full(30, busy), rng.uniform(0, 0.01, 30)
    found = network_period(stages, rest, work, NOC, cycle)
    for i in range(30):
        time = cycle * work.flits[i]
        floor = max(busy, time.max()) + rest[i]
        fixed = (8.53 * cycle * work.packets[i] + 4.08 / 4 * time.sum()) / LINKS

        def excess(period, time=time, floor=floor, fixed=fixed):
            u = time / period
            return period - floor - fixed - (time * u / (2 * (1 - u))).sum() / LINKS

        root = brentq(excess, floor + fixed, 10 * (floor + fixed) + time.sum(), xtol=1e-300, rtol=1e-15)
        assert found.period[i] == pytest.approx(root, rel=1e-12)
        assert found.communication[i] == pytest.approx(root - floor, rel=1e-9)
        assert found.utilisation[i] == pytest.approx(time.max() / root, rel=1e-12)
        assert found.utilisation[i] < 1


def test_one_busy_link_by_hand():
    # One flow of 400 flits over one link, 100 packets; nothing else in the pipeline.
    flits = np.zeros((1, LINKS))
    flits[0, 7] = 400.0
    found = network_period(np.zeros(1), np.zeros(1), LinkTraffic(flits, np.array([100.0])), NOC, 0.5)
    time, fixed = 200.0, (8.53 * 0.5 * 100 + 1.02 * 200.0) / LINKS
    # T = 200 + fixed + 200^2 / (2 (T - 200) 288), a quadratic equation in T - 200.
    over = fixed / 2 + np.sqrt(fixed**2 / 4 + time**2 / (2 * LINKS))
    assert found.period[0] == pytest.approx(time + over, rel=1e-14)
    assert found.communication[0] == pytest.approx(over, rel=1e-12)


def test_paper_counts_flits_and_hops_only(rng):
    work = traffic(rng, 5, 1.0)
    found = network_period(np.full(5, 1e4), np.full(5, 3.0), work, NOC, 0.5, "paper")
    assert found.communication == pytest.approx(0.5 * work.flits.sum(axis=1) / LINKS, rel=1e-14)
    assert found.period == pytest.approx(1e4 + 3.0 + found.communication, rel=1e-15)


def test_the_busiest_link_is_a_stage_of_the_pipeline(rng):
    work = traffic(rng, 50, 1e3)
    for mode in ("queue", "paper"):
        found = network_period(np.full(50, 10.0), np.zeros(50), work, NOC, 1.0, mode)
        assert (found.period > work.flits.max(axis=1)).all()
        assert (found.utilisation < 1).all()


def test_waiting_vanishes_as_the_pipeline_slows_down(rng):
    work = traffic(rng, 5, 1.0)
    found = network_period(np.full(5, 1e12), np.zeros(5), work, NOC, 1.0)
    fixed = (8.53 * work.packets + 1.02 * work.flits.sum(axis=1)) / LINKS
    assert found.communication == pytest.approx(fixed, rel=1e-4)


def test_no_traffic_takes_no_time():
    idle = LinkTraffic(np.zeros((2, LINKS)), np.zeros(2))
    for mode in ("queue", "paper"):
        found = network_period(np.array([5.0, 0.0]), np.array([1.0, 0.0]), idle, NOC, 1.0, mode)
        assert found.period.tolist() == [6.0, 0.0]
        assert found.communication.tolist() == [0.0, 0.0]
        assert found.utilisation.tolist() == [0.0, 0.0]
    alone = LinkTraffic(np.zeros((1, 0)), np.zeros(1))  # a network of one node has no links
    assert network_period(np.ones(1), np.zeros(1), alone, NOC, 1.0).period.tolist() == [1.0]


def test_a_design_does_not_depend_on_the_others(rng):
    work = traffic(rng, 130, 1.0)
    busy, rest = rng.uniform(0, 100, 130), rng.uniform(0, 1, 130)
    together = network_period(busy, rest, work, NOC, 1.0)
    for i in (0, 51, 52, 129):
        one = slice(i, i + 1)
        alone = network_period(busy[one], rest[one], LinkTraffic(work.flits[one], work.packets[one]), NOC, 1.0)
        assert [values[0] for values in alone] == [values[i] for values in together]


def test_an_unknown_mode_is_refused(rng):
    with pytest.raises(ConfigError, match="unknown mode 'paper\\+'"):
        network_period(np.ones(1), np.ones(1), traffic(rng, 1, 1.0), NOC, 1.0, "paper+")
