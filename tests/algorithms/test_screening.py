"""Screening: same bits, resumable, of use where there is something to learn, given up where there is not."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from pymoo.algorithms.moo.moead import MOEAD
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.util.ref_dirs import get_reference_directions
from scipy.stats import spearmanr
from toys import Buffers, Chunky, Impossible, Tiny

import moopim
from moopim import ConfigError, DesignProblem, EvaluationError, Genome, Index, Objective
from moopim.algorithms import surrogate
from moopim.algorithms.registry import ALGORITHMS, make_algorithm
from moopim.algorithms.screening import Screen, prepare
from moopim.algorithms.surrogate import Surrogate, coded_genes, rank_correlations
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.operators import HashedDuplicateElimination, RandomSampling, ResetMutation, UniformCrossover
from moopim.pareto import hypervolume
from moopim.problems.benchmarks import Knapsack, MnkLandscape

pytestmark = pytest.mark.filterwarnings("ignore:.*evaluations leave each of:UserWarning")


class Hashed(DesignProblem):
    """Objectives that are hashes of the genes: nothing can be learned."""

    genome = Genome(Index("gene", 5, repeat=10))
    objectives = (Objective("a"), Objective("b"))

    def evaluate_designs(self, designs):
        digests = [hashlib.sha256(genes.astype(np.uint8).tobytes()).digest() for genes in designs.genes]
        a, b = (np.array([digest[i] * 256 + digest[i + 1] for digest in digests]) / 65536 for i in (0, 2))
        return {"a": a, "b": b}


class Parity(DesignProblem):
    """Objectives of sums modulo 7, which genes do not show and a feature does."""

    genome = Genome(Index("gene", 50, repeat=12))
    objectives = (Objective("a"), Objective("b"))

    def __init__(self, features: bool = True):
        super().__init__()
        self.features = features

    def remainders(self, designs):
        return np.stack([designs.gene[:, :6].sum(axis=1) % 7, designs.gene[:, 6:].sum(axis=1) % 7], axis=1)

    def evaluate_designs(self, designs):
        a, b = self.remainders(designs).T
        return {"a": a + 0.1 * b, "b": 6 - a + b}

    def surrogate_features(self, designs):
        return self.remainders(designs) if self.features else np.empty((len(designs), 0))


def own_nsga2(pop_size=40):
    return NSGA2(
        pop_size=pop_size,
        sampling=RandomSampling(),
        crossover=UniformCrossover(),
        mutation=ResetMutation(),
        eliminate_duplicates=HashedDuplicateElimination(),
    )


def screened(problem, algorithm, evaluations, seed=1):
    """The screen of a run and its evaluations, objectives to be minimised."""
    evaluator, screen = Evaluator(problem), Screen(problem, seed)
    optimiser = make_algorithm(algorithm, problem, evaluations)
    prepare(optimiser, problem, evaluations, algorithm)
    optimise(evaluator, optimiser, evaluations, seed, lambda *_: None, screen)
    return screen, problem.objective_values(np.concatenate([batch.table for batch in evaluator.batches]))


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_optimiser_is_screened_with_the_exact_budget_and_no_repeats(name):
    result = moopim.run(Buffers(), name, evaluations=130, seed=3, screen=True)
    assert len(result.evaluations) == 130
    assert "screened " in result.message
    assert "rank correlation on held-out designs energy" in result.message


@pytest.mark.parametrize("algorithm", ["semo", "nsga2", "amosa"])
def test_interrupted_and_resumed_on_two_processes_gives_the_same_bits(algorithm, tmp_path, monkeypatch):
    whole = moopim.run(Chunky(), algorithm, evaluations=320, seed=2, screen=True, output=tmp_path / "whole")
    calls, evaluate_designs = 0, Chunky.evaluate_designs

    def failing(self, designs):
        nonlocal calls
        calls += 1
        if calls == 40:
            raise EvaluationError("the simulator gave up")
        return evaluate_designs(self, designs)

    with monkeypatch.context() as patch:
        patch.setattr(Chunky, "evaluate_designs", failing)
        with pytest.raises(EvaluationError, match="gave up"):
            moopim.run(Chunky(), algorithm, evaluations=320, seed=2, screen=True, output=tmp_path / "run")
    resumed = moopim.resume(tmp_path / "run", jobs=2)
    assert resumed.evaluations.equals(whole.evaluations)
    assert resumed.front.equals(whole.front)
    assert resumed.message == whole.message
    table = (tmp_path / "run" / "screening.csv").read_bytes()
    assert table == (tmp_path / "whole" / "screening.csv").read_bytes()


def test_the_directory_tells_of_the_screening(tmp_path):
    result = moopim.run(Buffers(), "semo", evaluations=200, screen=True, output=tmp_path / "run")
    manifest = moopim.experiment.manifest.read_manifest(tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "screening.csv")
    assert manifest.screen
    assert list(manifest.rank_correlations) == ["energy", "latency", "hit_rate"]
    assert manifest.n_screened == 10 * table["screened"].sum()
    assert table["evaluations"].tolist() == list(range(50, 200, 10))
    for name, value in manifest.rank_correlations.items():
        assert f"{name} {value:.2f}" in moopim.load_run(tmp_path / "run").message == result.message


def test_hashes_are_not_screened():
    screen, F = screened(Hashed(), "semo", 400)
    assert len(F) == 400
    assert abs(screen.correlation) < 0.3
    assert screen.n_screened <= 120
    assert "not screened" in screen.state()


def test_screening_returns_when_it_is_of_use_again():
    screen = Screen(Hashed(), 1)
    random_state = np.random.default_rng(1)
    found = random_state.random((80, 2))
    screen._surrogate = object()
    screen._hold_out(random_state.random((2, 80, 2)), found)
    assert not screen.useful
    screen._hold_out(np.stack([random_state.random((60, 2)), found[:60] ** 3]), found[:60])
    assert screen.useful
    assert screen.correlations == pytest.approx([1, 1])


def test_screening_finds_more_with_the_same_evaluations():
    problem, reference = Knapsack(n=60), np.zeros(2)
    for algorithm in ("semo", "nsga2"):
        gained = []
        for seed in (1, 2, 3):
            plain = moopim.run(problem, algorithm, evaluations=300, seed=seed).evaluations[["profit1", "profit2"]]
            _, F = screened(problem, algorithm, 300, seed)
            gained.append(hypervolume(F, reference) / hypervolume(-plain.to_numpy(float), reference))
        assert min(gained) > 1


def test_features_of_a_problem_are_learned():
    without, with_features = (screened(Parity(features), "semo", 200)[0] for features in (False, True))
    assert without.correlation < 0.5
    assert with_features.correlation > 0.9


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (lambda self, designs: np.zeros(len(designs)), r"returned shape \(2,\)"),
        (lambda self, designs: np.full((len(designs), 2), np.nan), "not finite"),
        (lambda self, designs: np.full((len(designs), 2), 1e300), r"up to 1e\+38"),
        (lambda self, designs: designs.nothing, "surrogate_features raised"),
    ],
)
def test_wrong_features_are_named_before_it_begins(features, message, tmp_path, monkeypatch):
    monkeypatch.setattr(Buffers, "surrogate_features", features)
    with pytest.raises(EvaluationError, match=message):
        moopim.run(Buffers(), "semo", evaluations=200, screen=True, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_changing_number_of_features_is_named_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(Buffers, "surrogate_features", lambda self, designs: np.zeros((len(designs), len(designs) % 7)))
    with pytest.raises(EvaluationError, match=r"features for some designs, .* 50 evaluated designs kept"):
        moopim.run(Buffers(), "semo", evaluations=200, screen=True, output=tmp_path / "run")


def test_infinite_violations_and_single_objectives_are_learned():
    """Without a warning, which fails a test."""
    problem = Buffers()
    random_state = np.random.default_rng(1)
    X = problem.repaired(problem.genome.sample(60, random_state))
    violation = np.where(X[:, 0] > 1, np.inf, 0.0)
    predictions = Surrogate(problem, X, random_state.random((60, 1)), violation, 1).predict(X, np.zeros(1, np.int64))
    assert np.array_equal(predictions.violation > 0.5, violation > 0)
    assert np.isfinite(predictions.violation).all()


def test_held_out_correlations_are_those_of_scipy():
    random_state = np.random.default_rng(3)
    found = random_state.integers(0, 9, (40, 3)).astype(float)  # with ties
    predicted = found + random_state.normal(0, [[1.0, 3.0, 9.0]], (2, 40, 3))
    correlations = rank_correlations(predicted, found)
    expected = [[spearmanr(model[:, j], found[:, j]).statistic for j in range(3)] for model in predicted]
    assert correlations == pytest.approx(np.array(expected))
    assert np.isnan(rank_correlations(np.ones((5, 1)), found[:5, :1]))


def test_batches_are_predicted_before_they_are_evaluated():
    problem = MnkLandscape(n=20, k=1)
    screen, F = screened(problem, "semo", 200)
    # The last surrogate was made of all designs but the last batch.
    known = screen._known
    learned = slice(0, 190)
    last = Surrogate(problem, known.X[learned], F[learned], known.violation[learned], 1 + 190)
    assert np.array_equal(screen._predicted[:, -10:], last.predict_each(known.X[190:]))
    assert np.array_equal(screen._found[-10:], F[190:])


def test_without_feasible_designs_the_violation_falls():
    results = [moopim.run(Impossible(), "nsga2", evaluations=200, seed=1, screen=screen) for screen in (False, True)]
    plain, with_screen = (result.evaluations["need"].max() for result in results)
    assert with_screen >= plain


def test_genes_without_order_get_a_column_for_each_value():
    problem = Buffers()
    X = problem.genome.sample(4, np.random.default_rng(1))
    assert np.array_equal(coded_genes(problem, X, 8), X / [4, 4, 4, 4, 4, 4, 2])  # numbers in order
    hashed = Hashed()
    X = hashed.genome.sample(4, np.random.default_rng(1))
    assert np.array_equal(coded_genes(hashed, X, 8).reshape(4, 10, 5).argmax(axis=2), X)
    assert np.array_equal(coded_genes(hashed, X, 4), X / 4)


def test_an_algorithm_of_the_user_is_screened_and_resumed_from_its_script(tmp_path):
    own = own_nsga2()
    result = moopim.run(Buffers(), own, evaluations=200, seed=1, screen=True, output=tmp_path / "run")
    assert result.evaluations.equals(moopim.run(Buffers(), own, evaluations=200, seed=1, screen=True).evaluations)


def test_a_space_with_fewer_designs_than_a_surrogate_needs_is_exhausted():
    result = moopim.run(Tiny(), "nsga2", evaluations=100, screen=True)
    assert "all 9 designs were evaluated" in result.message
    assert "nothing screened, less than 50 different designs to learn from" in result.message


def test_what_cannot_be_screened_is_refused_before_it_begins(tmp_path, monkeypatch):
    sequential = MOEAD(
        get_reference_directions("das-dennis", 2, n_partitions=9),
        sampling=RandomSampling(),
        crossover=UniformCrossover(),
        mutation=ResetMutation(),
    )
    with pytest.raises(ConfigError, match="algorithm 'custom' cannot be screened: it is a loop"):
        moopim.run(Hashed(), sequential, evaluations=200, screen=True, output=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"evaluations=99 is not allowed with screen.*expected 100, 101"):
        moopim.run(Buffers(), "nsga2", evaluations=99, screen=True, output=tmp_path / "run")
    with pytest.raises(ConfigError, match="evaluations=99 is not allowed with screen"):
        moopim.compare(Buffers(), ["nsga2"], evaluations=99, screen=True, output=tmp_path / "run")
    monkeypatch.setattr(surrogate, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=r"screen needs scikit-learn.*moopim\[screen\]"):
        moopim.run(Buffers(), "nsga2", evaluations=200, screen=True, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_comparison_is_screened_or_not(tmp_path):
    [result] = moopim.compare(Buffers(), ["semo"], seeds=1, evaluations=120, screen=True, output=tmp_path)
    assert "screened" in result.message
    with pytest.raises(ConfigError, match="has screen=True, not False"):
        moopim.compare(Buffers(), ["semo"], seeds=1, evaluations=120, output=tmp_path)
