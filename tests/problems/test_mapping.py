"""The HuNT mapping problem: space, repair, and its whole true front on a small instance."""

import itertools

import numpy as np
import pytest

import moopim
from moopim import ConfigError, Genome, Index
from moopim.algorithms.registry import make_algorithm
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.genome import Choice
from moopim.hardware.stack.system import evaluate_system, system_model
from moopim.pareto import non_dominated
from moopim.problem import DesignProblem
from moopim.problems.hunt import HuntMapping
from moopim.workload import IMAGE, Layer, make_workload


class SmallHunt(HuntMapping):
    """Two layers on HuNT's stack: 81 x 48 x 48 designs."""

    def __init__(self):
        layers = [
            Layer("a", "conv", (IMAGE,), 16, 32, kernel=(3, 3), size_in=(16, 16), size_out=(16, 16)),
            Layer("b", "fc", (0,), 256, 512),
        ]
        self.workload, self.dataset, self.factors, self.traffic, self.repair = (
            "small",
            "none",
            "physical",
            "chain",
            False,
        )
        self.model = system_model(make_workload("small", "none", 16, layers))
        self.genome = Genome(Choice("tier", ("S", "R", "F"), repeat=4), Index("pe", 48, repeat=2))
        DesignProblem.__init__(self)


@pytest.fixture(scope="module")
def small():
    """The small problem and its whole true front, by evaluating every design."""
    problem = SmallHunt()
    X = np.array(list(itertools.product(*(range(n) for n in problem.genome.n_values))))
    F, G = problem.evaluate(X)
    F = F[(G <= 0).all(axis=1)]
    return problem, len(X), {tuple(row) for row in F[non_dominated(F)]}


def test_amosa_finds_the_whole_true_front_of_a_small_instance(small):
    problem, size, front = small
    assert size == problem.genome.size == 186_624
    assert len(front) >= 10
    evaluator = Evaluator(problem)
    optimise(evaluator, make_algorithm("amosa", problem, 20_000), 20_000, 1, lambda *_: None)
    table = np.concatenate([batch.table for batch in evaluator.batches])
    F = problem.objective_values(table)[problem.feasible(table)]
    assert {tuple(row) for row in F[non_dominated(F)]} == front


def test_the_genome_has_a_device_per_tier_and_a_place_per_layer():
    problem = HuntMapping()
    assert problem.genome.size == 3**4 * 48**37
    assert problem.genome.columns[:5] == ("tier_0", "tier_1", "tier_2", "tier_3", "pe_0")
    assert [q.column for q in problem.quantities][:4] == ["period_ns", "area_mm2", "power_W", "err"]


def test_values_are_those_of_the_system_model(rng):
    problem = HuntMapping("vgg11", factors="calibrated")
    X = problem.genome.sample(20, rng)
    expected = evaluate_system(problem.model, X[:, :4], X[:, 4:])
    table = problem.tabulate(X)
    for i, quantity in enumerate(problem.quantities):
        assert np.array_equal(table[:, i], expected[quantity.name], equal_nan=True)


@pytest.mark.parametrize("workload", ["vgg11", "densenet40"])
def test_repair_makes_random_designs_feasible_and_leaves_feasible_ones(workload, rng):
    problem = HuntMapping(workload, dataset="tinyimagenet")
    X = problem.genome.sample(3000, rng)
    before = X.copy()
    repaired = problem.repair_designs(X)
    assert np.array_equal(X, before)
    feasible = problem.feasible(problem.tabulate(X))
    assert 0.5 < feasible.mean() < 0.9
    assert np.array_equal(repaired[feasible], X[feasible])
    assert problem.feasible(problem.tabulate(repaired)).all()
    assert np.array_equal(problem.repair_designs(repaired), repaired)


def test_repair_moves_layers_out_of_an_overfull_tier():
    problem = HuntMapping("vgg16", dataset="tinyimagenet")
    X = np.zeros((1, problem.n_var), dtype=np.int64)  # SRAM everywhere, all layers on the tier at the sink
    assert not problem.feasible(problem.tabulate(X))[0]
    repaired = problem.repair_designs(X)
    assert problem.feasible(problem.tabulate(repaired))[0]
    assert (repaired[:, :4] == 0).all()
    assert (repaired[:, 4:] != X[:, 4:]).any()


def test_without_repair_designs_stay_as_they_are(rng):
    problem = HuntMapping("vgg11", repair=False)
    X = problem.genome.sample(200, rng)
    assert problem.repair_designs(X) is X
    result = moopim.run(problem, "random", evaluations=300)
    assert 0.6 < result.evaluations["feasible"].mean() < 0.95


def test_optimisers_see_repaired_designs_only():
    result = moopim.run(HuntMapping("vgg11"), "nsga2", evaluations=500)
    assert result.evaluations["feasible"].all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "resnet99"}, "unknown workload 'resnet99'"),
        ({"dataset": "imagenet"}, "unknown dataset 'imagenet'"),
        ({"factors": "ideal"}, "unknown factor set 'ideal'"),
        ({"traffic": "mesh"}, "unknown traffic 'mesh'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        HuntMapping(**options)


def test_fingerprint_follows_options_and_data():
    problems = [HuntMapping(), HuntMapping("vgg11"), HuntMapping(factors="calibrated"), HuntMapping(repair=False)]
    assert len({problem.fingerprint() for problem in problems}) == 4
    assert HuntMapping().fingerprint() == problems[0].fingerprint()
