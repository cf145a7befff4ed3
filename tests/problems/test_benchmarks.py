"""Test problems for optimisers: values read in plain loops, fronts of whole spaces, statistics of instances."""

import itertools
import math

import numpy as np
import pytest
from refusals import check_refused
from scipy.optimize import linear_sum_assignment

import moopim
from moopim.algorithms.registry import ALGORITHMS
from moopim.pareto import non_dominated
from moopim.problem import DesignProblem
from moopim.problems.benchmarks import Assignment, BufferSizing, DtlzGrid, Knapsack, MnkLandscape, ZdtGrid

SMALL = {
    "mnk": lambda: MnkLandscape(m=2, n=8, k=2),
    "assignment": lambda: Assignment(n=6),
    "knapsack": lambda: Knapsack(n=12),
    "zdt": lambda: ZdtGrid(n=4, levels=11),
    "dtlz": lambda: DtlzGrid(m=3, n=4, levels=11),
    "buffers": lambda: BufferSizing(layers=4),
}


def mnk_values(problem, genes):
    values = np.zeros((len(genes), problem.m))
    for row, design in enumerate(genes):
        for gene in range(problem.n):
            digits = [int(design[link]) for link in problem.links[gene]]
            number = int("".join(map(str, reversed(digits))), problem.q)
            for objective in range(problem.m):
                values[row, objective] += problem.contributions[gene, number, objective] / problem.n
    return values


def assignment_values(problem, genes):
    return [[sum(matrix[a][t] for a, t in enumerate(row)) for matrix in problem.costs] for row in genes]


def knapsack_values(problem, genes):
    tables = [*problem.profits, *problem.weights]
    return [[sum(table[i] for i, taken in enumerate(row) if taken) for table in tables] for row in genes]


def zdt_values(problem, genes):
    found = []
    for row in genes / (problem.levels - 1):
        f1, g = row[0], 1 + 9 * sum(row[1:]) / (problem.n - 1)
        wave = f1 / g * math.sin(10 * math.pi * f1) if problem.function == "zdt3" else 0
        found.append([f1, g * (1 - math.sqrt(f1 / g) - wave)])
    return found


def dtlz_values(problem, genes):
    found = []
    m = problem.m
    for row in genes / (problem.levels - 1):
        head, tail = row[: m - 1], row[m - 1 :]
        if problem.function == "dtlz7":
            g = 1 + 9 / len(tail) * sum(tail)
            h = m - sum(f / (1 + g) * (1 + math.sin(3 * math.pi * f)) for f in head)
            found.append([*head, (1 + g) * h])
            continue
        square = sum((x - 0.5) ** 2 for x in tail)
        if problem.function == "dtlz1":
            g = 100 * (len(tail) + square - sum(math.cos(20 * math.pi * (x - 0.5)) for x in tail))
            along, across, scale = list(head), [1 - x for x in head], 0.5 * (1 + g)
        else:
            angles = [x * math.pi / 2 for x in head]
            along, across, scale = [math.cos(a) for a in angles], [math.sin(a) for a in angles], 1 + square
        found.append([scale * math.prod(along[: m - 1 - i]) * (across[m - 1 - i] if i else 1) for i in range(m)])
    return found


def buffer_values(problem, genes):
    found = []
    for *buffers, clock in genes.tolist():
        sizes, clock_mhz = [2 ** (1 + buffer) for buffer in buffers], 200 * 2**clock
        traffic = [0.8**layer for layer in range(len(sizes))]
        misses = [share * math.exp(-size / 8 / problem.traffic) for share, size in zip(traffic, sizes, strict=True)]
        miss = sum(misses) / sum(traffic)
        found.append([sum(sizes) / 50 + clock_mhz / 1e3, 900 / clock_mhz * (1 + miss), 1 - miss, sum(sizes) * 0.03])
    return found


@pytest.mark.parametrize(
    ("problem", "values"),
    [
        (MnkLandscape(m=3, n=9, k=3, rho=0.4, q=2), mnk_values),
        (MnkLandscape(m=2, n=5, k=0, q=4), mnk_values),
        (MnkLandscape(m=2, n=4, k=3, rho=-1, q=3), mnk_values),
        (Assignment(m=3, n=7), assignment_values),
        (Knapsack(m=3, n=20), knapsack_values),
        (ZdtGrid("zdt1", n=5, levels=33), zdt_values),
        (ZdtGrid("zdt3", n=5, levels=33), zdt_values),
        (DtlzGrid("dtlz1", m=3, n=6, levels=33), dtlz_values),
        (DtlzGrid("dtlz2", m=4, n=6, levels=33), dtlz_values),
        (DtlzGrid("dtlz7", m=2, n=6, levels=33), dtlz_values),
        (BufferSizing(), buffer_values),
        (BufferSizing(layers=3, traffic=0.5), buffer_values),
    ],
    ids=lambda value: str(value) if isinstance(value, DesignProblem) else "",
)
def test_values_are_those_of_plain_loops(problem, values, rng):
    genes = problem.genome.sample(40, rng)
    assert problem.tabulate(genes) == pytest.approx(np.array(values(problem, genes), dtype=float), abs=1e-9)


def whole_space(problem):
    return np.array(list(itertools.product(*(range(n) for n in problem.genome.n_values))))


def front(problem, genes):
    """Feasible designs that no other dominates, with their objectives, to be minimised."""
    table = problem.tabulate(genes)
    genes, values = genes[problem.feasible(table)], problem.objective_values(table)[problem.feasible(table)]
    best = non_dominated(values)
    return genes[best], values[best]


@pytest.mark.parametrize("rho", [-0.7, -0.2, 0.0, 0.5, 0.9])
def test_contributions_are_uniform_and_correlated(rho):
    m = 2 if rho < -0.4 else 3
    found = MnkLandscape(m=m, n=200, k=8, rho=rho).contributions.reshape(-1, m)
    assert np.corrcoef(found.T)[np.triu_indices(m, 1)] == pytest.approx(rho, abs=0.015)
    assert np.histogram(found, 10, (0, 1))[0] / found.size == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.8])
def test_objectives_of_random_designs_are_correlated(rho, rng):
    problem = MnkLandscape(n=100, k=8, rho=rho)
    table = problem.tabulate(problem.genome.sample(4000, rng))
    assert np.corrcoef(table.T)[0, 1] == pytest.approx(rho, abs=0.1)


def test_equal_and_opposite_objectives():
    genes = whole_space(MnkLandscape(n=8, k=2))
    equal, opposite = (MnkLandscape(n=8, k=2, rho=rho) for rho in (1, -1))
    assert (np.ptp(equal.tabulate(genes), axis=1) == 0).all()
    assert opposite.tabulate(genes).sum(axis=1) == pytest.approx(1)
    assert len(front(equal, genes)[0]) == 1
    # Whatever one gains, the other loses.
    assert len(front(opposite, genes)[0]) >= 0.9 * len(genes)


def test_links_are_the_gene_itself_and_distinct_others():
    links = MnkLandscape(n=30, k=6).links
    assert (links[:, 0] == np.arange(30)).all()
    assert all(len(set(row)) == 7 for row in links.tolist())
    assert set(links[:, 1:].flat) == set(range(30))
    assert np.array_equal(np.sort(MnkLandscape(n=6, k=5).links), np.tile(np.arange(6), (6, 1)))


def test_without_links_every_gene_is_best_on_its_own():
    problem = MnkLandscape(n=8, k=0, q=3, rho=1.0)
    genes, _ = front(problem, whole_space(problem))
    assert np.array_equal(genes, problem.contributions[:, :, 0].argmax(axis=1)[None])


def test_supported_assignments_are_those_of_linear_programs():
    problem = Assignment(n=6)
    values = front(problem, np.array(list(itertools.permutations(range(6)))))[1]
    for share in np.linspace(0.05, 0.95, 19):
        weighted = share * problem.costs[0] + (1 - share) * problem.costs[1]
        best = weighted[linear_sum_assignment(weighted)].sum()
        assert (values @ [share, 1 - share]).min() == pytest.approx(best)


def test_knapsacks_are_half_of_all_and_repaired_greedily(rng):
    problem = Knapsack(m=3, n=40)
    assert (problem.capacities == problem.weights.sum(axis=1) // 2).all()
    assert min(problem.profits.min(), problem.weights.min()) >= 10
    assert max(problem.profits.max(), problem.weights.max()) <= 100
    ratios = [max(problem.profits[:, item] / problem.weights[:, item]) for item in range(40)]
    genes = (rng.random((60, 40)) < rng.random((60, 1))).astype(np.int64)
    expected = genes.copy()
    for row in expected:
        for item in sorted(range(40), key=lambda item: (ratios[item], -item)):
            if (problem.weights @ row > problem.capacities).any():
                row[item] = 0
    assert np.array_equal(problem.repair_designs(genes), expected)
    assert not np.array_equal(genes, expected)
    assert np.array_equal(Knapsack(m=3, n=40, repair=False).repair_designs(genes), genes)


def test_the_front_of_a_small_knapsack_fits_and_no_item_can_be_added():
    problem = Knapsack(n=12)
    genes, _ = front(problem, whole_space(problem))
    for row in genes:
        assert (problem.weights @ row <= problem.capacities).all()
        for item in np.flatnonzero(row == 0):
            assert (problem.weights @ row + problem.weights[:, item] > problem.capacities).any()


@pytest.mark.parametrize(
    ("problem", "optimum", "on_front"),
    [
        (ZdtGrid("zdt1", n=3, levels=21), 0, lambda f: f[:, 1] - 1 + np.sqrt(f[:, 0])),
        (
            ZdtGrid("zdt3", n=3, levels=21),
            0,
            lambda f: f[:, 1] - 1 + np.sqrt(f[:, 0]) + f[:, 0] * np.sin(10 * np.pi * f[:, 0]),
        ),
        (DtlzGrid("dtlz1", m=2, n=3, levels=21), 10, lambda f: f.sum(axis=1) - 0.5),
        (DtlzGrid("dtlz1", m=3, n=4, levels=11), 5, lambda f: f.sum(axis=1) - 0.5),
        (DtlzGrid("dtlz2", m=3, n=4, levels=11), 5, lambda f: (f**2).sum(axis=1) - 1),
        (
            DtlzGrid("dtlz7", m=2, n=3, levels=21),
            0,
            lambda f: f[:, 1] - 4 + f[:, 0] * (1 + np.sin(3 * np.pi * f[:, 0])),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, DesignProblem) else "",
)
def test_fronts_of_grids_are_the_analytic_ones(problem, optimum, on_front):
    genes, values = front(problem, whole_space(problem))
    free = problem.n_obj - 1
    assert (genes[:, free:] == optimum).all()
    assert on_front(values) == pytest.approx(0, abs=1e-12)
    if problem.function in ("zdt1", "dtlz2"):  # all of it, where it is connected
        assert len(np.unique(genes[:, 0])) == problem.levels


@pytest.mark.parametrize("kind", [MnkLandscape, Assignment, Knapsack])
def test_an_instance_is_always_the_same_and_others_differ(kind, rng):
    first, again, other = kind(n=20), kind(n=20), kind(n=20, instance=2)
    genes = first.genome.sample(10, rng)
    assert np.array_equal(first.tabulate(genes), again.tabulate(genes))
    assert not np.array_equal(first.tabulate(genes), other.tabulate(genes))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.parametrize("name", SMALL)
def test_every_optimiser_runs_on_every_problem(name, algorithm):
    result = moopim.run(SMALL[name](), algorithm, evaluations=150, seed=1)
    assert len(result.evaluations) == 150
    assert len(result.front) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MnkLandscape(m=1), "m is 1; expected 2 .. 100"),
        (lambda: MnkLandscape(n=5, k=5), "k is 5; expected 0 .. 4"),
        (lambda: MnkLandscape(rho=1.5), "rho is 1.5; expected a number from -1 to 1"),
        (lambda: MnkLandscape(m=3, rho=-0.5), "rho is -0.5; expected a number from -0.4825"),
        (lambda: MnkLandscape(q=1), "q is 1; expected 2, 3"),
        (lambda: MnkLandscape(k=30), r"k is 30 with m 2, n 64 and q 2: m n q\^\(k \+ 1\) is above 67,108,864"),
        (lambda: MnkLandscape(instance=-1), "instance is -1; expected 0, 1"),
        (lambda: Assignment(n=1), "n is 1; expected 2 .. 500"),
        (lambda: Knapsack(n=2.5), "n is 2.5; expected 2 .. 10000"),
        (lambda: ZdtGrid("zdt2"), "unknown function 'zdt2'.*allowed: zdt1, zdt3"),
        (lambda: ZdtGrid(levels=1), "levels is 1; expected 2 .. 65536"),
        (lambda: DtlzGrid("dtlz3"), "unknown function 'dtlz3'"),
        (lambda: BufferSizing(layers=0), "layers is 0; expected 1 .. 1000"),
        (lambda: BufferSizing(traffic=0), "traffic is 0; expected a number > 0"),
        (lambda: DtlzGrid(m=5, n=4), "n is 4; expected 5 .. 10000"),
    ],
)
def test_refused_parameters(make, message):
    check_refused(make, message)
