"""SEMO, checked against the paper's own problem, brute force and its definition."""

import numpy as np
import pytest
from toys import Blocks, Buffers, Impossible

import moopim
from moopim import ConfigError, DesignProblem, Genome, Index, Objective
from moopim.algorithms import SEMO


class LeadingOnesTrailingZeros(DesignProblem):
    """LOTZ of the paper: 11 designs 1..1 0..0 make the front of 10 bits."""

    genome = Genome(Index("bit", 2, repeat=10))
    objectives = (Objective("ones", sense="max"), Objective("zeros", sense="max"))

    def evaluate_designs(self, designs):
        ones = np.cumprod(designs.bit, axis=1).sum(axis=1)
        return {"ones": ones, "zeros": np.cumprod(1 - designs.bit[:, ::-1], axis=1).sum(axis=1)}


def start(problem, seed=1, **options):
    algorithm = SEMO(**options)
    algorithm.setup(problem, termination=("n_gen", 500), seed=seed)
    algorithm.next()
    return algorithm


@pytest.mark.parametrize("prob_crossover", [0.0, 0.5])
def test_the_whole_front_of_lotz_is_found(prob_crossover):
    own = SEMO(batch_size=5, prob_crossover=prob_crossover)
    result = moopim.run(LeadingOnesTrailingZeros(), own, evaluations=700, seed=1)
    returned = result.front[result.front["returned"]]
    assert sorted(returned["ones"]) == list(range(11))
    assert (returned["ones"] + returned["zeros"] == 10).all()


def test_the_archive_holds_the_earliest_of_all_designs_that_none_dominates():
    algorithm = start(LeadingOnesTrailingZeros())
    everything = [algorithm.off]
    for _ in range(8):
        algorithm.next()
        everything.append(algorithm.off)
    X, F = (np.concatenate([pop.get(name) for pop in everything]) for name in "XF")
    dominated = (F[:, None] <= F).all(axis=2) & (F[:, None] < F).any(axis=2)
    front = np.flatnonzero(~dominated.any(axis=0))
    first = front[np.sort(np.unique(F[front], axis=0, return_index=True)[1])]
    assert sorted(algorithm.opt.get("X").tolist()) == sorted(X[first].tolist())


def test_without_crossover_children_differ_from_a_member_in_one_gene():
    algorithm = start(Buffers(), prob_crossover=0.0)
    members = algorithm.pop.get("X")
    differing = (algorithm._children(60)[:, None] != members).sum(axis=2)
    assert (differing.min(axis=1) == 1).all()


def test_the_archive_is_bounded_and_no_design_is_proposed_twice():
    algorithm = start(Blocks(), limit=5)
    rows = [algorithm.off.get("X")]
    for _ in range(20):
        algorithm.next()
        rows.append(algorithm.off.get("X"))
        assert len(algorithm.opt) <= 5
    X = np.concatenate(rows)
    assert len(np.unique(X, axis=0)) == len(X)


def test_without_feasible_designs_the_least_violating_one_is_improved():
    algorithm = start(Impossible())
    violation = [algorithm.opt.get("CV")[0, 0]]
    for _ in range(30):
        algorithm.next()
        violation.append(algorithm.opt.get("CV")[0, 0])
    assert violation == sorted(violation, reverse=True)
    assert violation[-1] == 1000 - 3 * 49  # the least that there is


@pytest.mark.parametrize(
    ("options", "message"),
    [({"limit": 0}, "limit"), ({"batch_size": 0}, "batch_size"), ({"prob_crossover": 1.5}, "prob_crossover")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        SEMO(**options)
