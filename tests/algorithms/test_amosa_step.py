"""One step of AMOSA: every case of the decision on hand-made archives, with probabilities worked out by hand."""

import math

import numpy as np
import pytest
from amosa_toys import Identity
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population

from moopim.algorithms.amosa import AMOSA

EPS = 1e-12


def judge(archive, current, proposal, draw, temperature=0.1, **options):
    """Lets one chain decide on one proposal; returns where it goes and the archive, sorted."""
    start = np.array(archive, float)
    algorithm = AMOSA(hill_climb=0, t_max=temperature, t_min=temperature / 10, sampling=start, **options)
    problem = Identity(n_obj=start.shape[1])
    algorithm.setup(problem, seed=1)
    algorithm.tell(Evaluator().eval(problem, algorithm.ask()))
    algorithm.ask()
    assert sorted(algorithm.opt.get("F").tolist()) == sorted(start.tolist())
    algorithm._state.X[0], algorithm._state.planes[:-1, 0] = current, current
    algorithm._state.draws = np.array([draw])
    algorithm.tell(Evaluator().eval(problem, Population.new("X", np.array([proposal], float))))
    return algorithm._state.planes[:-1, 0].tolist(), sorted(algorithm.opt.get("F").tolist())


def assert_threshold(probability, otherwise, archive, current, proposal, **options):
    """The chain goes to the proposal exactly when the draw is below the probability; the archive never changes."""
    for draw, goes_to in (
        (probability - EPS, proposal),
        (probability + EPS, otherwise),
        (0.0, proposal),
        (0.999, otherwise),
    ):
        moved, members = judge(archive, current, proposal, draw, **options)
        assert moved == list(goes_to)
        assert members == sorted(list(map(float, member)) for member in archive)


def p(amount, temperature=0.1):
    return 1 / (1 + math.exp(amount / temperature))


ARCHIVE = [(0, 4), (2, 2), (4, 0)]


def test_case_1_current_is_a_member_and_counts_once():
    # Both ranges are 4: (2, 2) dominates (3, 3) by 1/4 * 1/4.
    assert_threshold(p(1 / 16), (2, 2), ARCHIVE, (2, 2), (3, 3))


def test_case_1_current_is_no_member_and_counts_beside_the_members():
    # 1/16 by (2, 2), 1/8 * 1/8 by (2.5, 2.5).
    assert_threshold(p((1 / 16 + 1 / 64) / 2), (2.5, 2.5), ARCHIVE, (2.5, 2.5), (3, 3))


def test_case_1_without_a_dominating_member():
    # Only the current (1.5, 1.5) dominates (2, 3): by 0.5/4 * 1.5/4.
    assert_threshold(p(3 / 64), (1.5, 1.5), [(0, 4), (4, 0)], (1.5, 1.5), (2, 3))


def test_case_1_ranges_cover_current_and_proposal():
    # (5, 9) widens the ranges to 5 and 9: 3/5 * 7/9 by (2, 2), 1/5 * 5/9 by (4, 4).
    # (0, 4) dominates it as well, by 5/5 * 5/9, and (4, 0) by 1/5 * 9/9.
    amounts = (3 / 5 * 7 / 9 + 1 / 5 * 5 / 9 + 5 / 9 + 1 / 5) / 4
    assert_threshold(p(amounts), (4, 4), ARCHIVE, (4, 4), (5, 9))


def test_case_1_ties_are_skipped():
    # (2, 2) and (2, 3) tie in the first objective: 1/4 from the second alone.
    assert_threshold(p(1 / 4), (2, 2), ARCHIVE, (2, 2), (2, 3))


def test_case_2a_mean_over_the_dominating_members():
    # (1, 2.5) by 2/4 * 1/4, (2, 2) by 1/4 * 1.5/4; neither of (0, 4) and (3, 3.5) dominates the other.
    archive = [(0, 4), (1, 2.5), (2, 2), (4, 0)]
    assert_threshold(p((1 / 8 + 3 / 32) / 2), (0, 4), archive, (0, 4), (3, 3.5))


def test_case_2b_proposal_joins_the_archive():
    moved, members = judge(ARCHIVE, (2, 2), (1, 3), draw=0.999)
    assert moved == [1, 3]
    assert members == [[0, 4], [1, 3], [2, 2], [4, 0]]


def test_case_2c_proposal_replaces_the_members_it_dominates():
    moved, members = judge(ARCHIVE, (0, 4), (1, 1), draw=0.999)
    assert moved == [1, 1]
    assert members == [[0, 4], [1, 1], [4, 0]]


def test_case_3a_chain_may_go_to_the_member_that_dominates_least():
    # (1, 2.5) by 1/8, (2, 2) by 3/32, the least.
    archive = [(0, 4), (1, 2.5), (2, 2), (4, 0)]
    probability = 1 / (1 + math.exp(-3 / 32))
    assert judge(archive, (3.9, 3.9), (3, 3.5), probability - EPS)[0] == [2, 2]
    assert judge(archive, (3.9, 3.9), (3, 3.5), probability + EPS)[0] == [3, 3.5]
    assert judge(archive, (3.9, 3.9), (3, 3.5), 0.0)[1] == sorted(map(list, archive))


@pytest.mark.parametrize("temperature", [1e-6, 1e3])
def test_case_3a_does_not_depend_on_the_temperature(temperature):
    probability = 1 / (1 + math.exp(-1 / 64))
    assert judge(ARCHIVE, (3, 3), (2.5, 2.5), probability - EPS, temperature)[0] == [2, 2]
    assert judge(ARCHIVE, (3, 3), (2.5, 2.5), probability + EPS, temperature)[0] == [2.5, 2.5]


def test_case_3b_proposal_joins_the_archive():
    moved, members = judge([(0, 4), (4, 0)], (3, 3), (2, 2), draw=0.999)
    assert moved == [2, 2]
    assert members == [[0, 4], [2, 2], [4, 0]]


def test_case_3b_current_leaves_the_archive():
    moved, members = judge(ARCHIVE, (2, 2), (2, 1.5), draw=0.999)
    assert moved == [2, 1.5]
    assert members == [[0, 4], [2, 1.5], [4, 0]]


def test_case_3c_proposal_replaces_the_members_it_dominates():
    moved, members = judge(ARCHIVE, (2.5, 2.5), (-1, 1), draw=0.999)
    assert moved == [-1, 1]
    assert members == [[-1, 1], [4, 0]]


def test_equal_to_current_or_to_a_member_is_accepted_and_not_added():
    assert judge(ARCHIVE, (3, 3), (3, 3), draw=0.999) == ([3, 3], [[0, 4], [2, 2], [4, 0]])
    assert judge(ARCHIVE, (0, 4), (2, 2), draw=0.999) == ([2, 2], [[0, 4], [2, 2], [4, 0]])
    assert judge(ARCHIVE, (3, 3), (2, 2), draw=0.999) == ([2, 2], [[0, 4], [2, 2], [4, 0]])


def test_multiplied_exponent():
    assert_threshold(1 / (1 + math.exp(5 / 16)), (2, 2), ARCHIVE, (2, 2), (3, 3), temperature=5.0, exponent="multiply")


def test_geometric_amount():
    # The square root of 1/16.
    assert_threshold(p(1 / 4), (2, 2), ARCHIVE, (2, 2), (3, 3), amount="geometric")


def test_insertion_above_the_soft_limit_truncates_to_the_hard_limit():
    # (3.5, 0.5) shares a cluster with the extreme (4, 0), which stays.
    moved, members = judge(ARCHIVE, (0, 4), (3.5, 0.5), draw=0.999, hard_limit=3, soft_limit=3)
    assert moved == [3.5, 0.5]
    assert members == [[0, 4], [2, 2], [4, 0]]
    assert len(judge(ARCHIVE, (0, 4), (3.5, 0.5), draw=0.999, hard_limit=3, soft_limit=4)[1]) == 4


def test_later_proposals_meet_what_earlier_ones_left():
    start = np.array([(0.0, 4.0), (2.0, 2.0), (4.0, 0.0)])
    problem = Identity()
    algorithm = AMOSA(chains=3, hill_climb=0, sampling=start)
    algorithm.setup(problem, seed=1)
    algorithm.tell(Evaluator().eval(problem, algorithm.ask()))
    algorithm.ask()
    algorithm._state.X[:] = start
    algorithm._state.planes[:-1] = start.T
    algorithm._state.draws = np.full(3, 0.999)
    # (1, 1) removes (2, 2); it dominates (1.5, 1.5), which may not enter any more; (1, 1) is not added twice.
    proposals = np.array([(1.0, 1.0), (1.5, 1.5), (1.0, 1.0)])
    algorithm.tell(Evaluator().eval(problem, Population.new("X", proposals)))
    assert algorithm._state.planes[:-1].T.tolist() == [[1, 1], [1.5, 1.5], [1, 1]]
    assert sorted(algorithm.opt.get("F").tolist()) == [[0, 4], [1, 1], [4, 0]]
