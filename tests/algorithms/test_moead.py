"""MOEA/D against the paper's update of neighbouring subproblems, worked by hand."""

import numpy as np
from pymoo.core.termination import NoTermination
from toys import Tiny

from moopim.algorithms.moead import MOEAD, replaced
from moopim.operators import RandomSampling, ResetMutation, UniformCrossover

DIRECTIONS = np.array([[1, 0], [0.5, 0.5], [0, 1]])


class Given:
    """A MOEA/D of three subproblems, two neighbours each, whose designs get objectives and violations by hand."""

    def __init__(self):
        self.search = MOEAD(
            DIRECTIONS, 2, sampling=RandomSampling(), crossover=UniformCrossover(), mutation=ResetMutation()
        )
        self.search.setup(Tiny(), seed=1, termination=NoTermination())

    def tell(self, F, violation=(0, 0, 0)):
        """Give the next designs, in the order of their subproblems, objectives ``(3, 2)`` and violations ``(3,)``."""
        asked = self.search.ask()
        order = np.arange(3) if self.search.indices is None else self.search.indices
        for individual, k in zip(asked, order, strict=True):
            individual.set("F", np.array(F[k], dtype=float))
            individual.set("G", np.array([violation[k]], dtype=float))
        self.search.tell(infills=asked)
        return self.search.pop.get("F").tolist()


def test_a_child_takes_the_place_of_neighbours_that_are_not_better():
    given = Given()
    given.tell([[0, 400], [20, 200], [40, 0]])
    # Scaled to the ranges (0, .75), (.25, .25) and (1, .5). The first is better than (0, 1) in the direction (1, 0), by
    # the small weight of f2; in the middle it has .375 against .25 of (.5, .5). (.25, .25) has .125 there.
    assert given.tell([[0, 300], [10, 100], [40, 200]]) == [[0, 300], [10, 100], [40, 0]]


def test_the_smaller_violation_comes_first():
    given = Given()
    given.tell([[0, 400], [20, 200], [40, 0]], violation=(0, 2, 1))
    held = given.tell([[0, 0], [39, 399], [0, 0]], violation=(3, 0, 2))
    assert held == [[0, 400], [39, 399], [40, 0]]


def test_children_compete_one_after_another():
    distances = np.array([[0.1, 0.9], [0.9, 0.5], [0.4, 0.4], [0.3, 0.6], [0.05, 0.4]])
    both = np.tile([0, 1], (3, 1))
    # .4 takes the second place; .6 is no better there; .05 takes the first, and the second as an equal.
    assert replaced(distances[:4], np.zeros(4), both[:2]).tolist() == [0, 2]
    assert replaced(distances, np.zeros(5), both).tolist() == [4, 4]
