"""Every algorithm of pymoo: one seed one result, in one process and after an interruption."""

import importlib
import inspect
import pkgutil

import numpy as np
import pymoo.algorithms
import pytest
from pymoo.core.algorithm import Algorithm
from pymoo.util.ref_dirs import get_reference_directions

import moopim
from moopim import Constraint, DesignProblem, EvaluationError, Genome, Integer, Objective
from moopim.operators import HashedDuplicateElimination, RandomSampling, ResetMutation, UniformCrossover

# What cannot run, and why.
LEFT_OUT = {
    "BracketSearch": "a base class that proposes nothing",
    "ExponentialSearch": "searches one real variable; ends without a word where a step of it rounds to nothing",
    "GeneticAlgorithm": "a base class without operators",
    "GoldenSectionSearch": "searches one real variable",
    "LineSearch": "a base class that proposes nothing",
    "LocalSearch": "a base class that proposes nothing",
    "MetaAlgorithm2": "a wrapper around another algorithm",
    "Optuna": "needs optuna, which is no dependency",
    "PINSGA2": "asks a person at the keyboard which of two designs is better",
    "QuadraticInterpolationSearch": "searches one real variable",
    "WolfeSearch": "needs the gradient of the objective",
}
UNCONSTRAINED = {"DNSGA2", "KGB", "MOEAD", "ParallelMOEAD"}
# The crowding of two nearest neighbours fails on fronts of two, which a constraint leaves now and then.
UNCONSTRAINED |= {"GDE32NN"}
# Compiled anew in every process.
SLOW = {"AGEMOEA", "AGEMOEA2"}
# A multiple of the population: those of the family of differential evolution fail on a part of a generation.
BUDGET = 96


def every_algorithm():
    found = {}
    for module in pkgutil.walk_packages(pymoo.algorithms.__path__, "pymoo.algorithms."):
        if module.name.endswith(".optuna"):  # raises where optuna is not installed
            continue
        names = vars(importlib.import_module(module.name))
        classes = (value for value in names.values() if inspect.isclass(value) and value.__module__ == module.name)
        found |= {value.__name__: value for value in classes if issubclass(value, Algorithm)}
    return {name: value for name, value in sorted(found.items()) if name not in LEFT_OUT}


ALGORITHMS = every_algorithm()


class Ties(DesignProblem):
    """Objectives that tie often, and a bound that some or all designs violate by the same amount."""

    genome = Genome(Integer("x", 0, 9, repeat=6))
    objectives = (Objective("f0"), Objective("f1"))
    constraints = (Constraint("c", upper=0.0),)
    fails_at = -1
    calls = 0

    def __init__(self, least_sum: int = 30):
        super().__init__()
        self.least_sum = least_sum

    def evaluate_designs(self, designs):
        type(self).calls += 1
        if type(self).calls == type(self).fails_at:
            raise EvaluationError("the simulator gave up")
        np.random.rand(), np.random.default_rng()  # noqa: NPY002 (a replay skips these draws, as it skips the model)
        x = designs.x
        values = {f"f{i}": (x[:, i] - 3) * (9.0 - x[:, i + 2]) + x[:, 4] for i in range(2)}
        values |= {"c": (x.sum(axis=1) < self.least_sum) * 1.0}
        return {quantity.name: values[quantity.name] for quantity in self.quantities}


class Free(Ties):
    constraints = ()


class Single(Ties):
    objectives = (Objective("f0"),)


def kind_of(name):
    if ".soo." in ALGORITHMS[name].__module__:
        return Single
    return Free if name in UNCONSTRAINED else Ties


OPERATORS = {"sampling", "crossover", "mutation", "eliminate_duplicates"}
# Parameters that algorithms pass on without naming them.
PASSED_ON = {
    "BGA": {"pop_size"},
    "DNSGA2": {"pop_size", *OPERATORS},
    "KGB": {"pop_size", *OPERATORS},
    "RNSGA2": {"pop_size", *OPERATORS},
    "RNSGA3": {"crossover", "mutation"},
    "UNSGA3": OPERATORS,
}


def make(name):
    """The algorithm with integer operators where it takes operators; others round what they propose."""
    offered = {
        "ref_dirs": get_reference_directions("das-dennis", 2, n_partitions=11),
        "ref_points": np.array([[0.0, 0.0], [3.0, 3.0]]),
        "pop_per_ref_point": 6,
        "pop_size": 12,
        "sampling": RandomSampling(),
        "crossover": UniformCrossover(),
        "mutation": ResetMutation(),
        "eliminate_duplicates": HashedDuplicateElimination(),
        "n_points_per_iteration": 12,
    }
    if name == "BRKGA":
        offered |= {"n_elites": 4, "n_offsprings": 12, "n_mutants": 2}
    taken = {*inspect.signature(ALGORITHMS[name]).parameters, *PASSED_ON.get(name, ())}
    taken -= {"pop_size"} if "ref_dirs" in taken else set()
    return ALGORITHMS[name](**{key: value for key, value in offered.items() if key in taken})


@pytest.mark.parametrize("least_sum", [30, 1000], ids=["some infeasible", "all infeasible"])
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ALGORITHMS])
def test_one_seed_gives_one_result_also_after_an_interruption(name, least_sum, tmp_path):
    kind, own = kind_of(name), make(name)
    if not kind.constraints and least_sum > 30:
        pytest.skip("takes no constraints")
    kind.calls, kind.fails_at = 0, -1
    whole = moopim.run(kind(least_sum), own, evaluations=BUDGET, seed=1)
    kind.calls, kind.fails_at = 0, 1 + kind.calls // 2
    with pytest.raises(EvaluationError, match="gave up"):
        moopim.run(kind(least_sum), own, evaluations=BUDGET, seed=1, output=tmp_path / "run")
    resumed = moopim.resume(tmp_path / "run", problem=kind(least_sum), algorithm=own)
    assert resumed.evaluations.equals(whole.evaluations)
    assert resumed.front.equals(whole.front)
