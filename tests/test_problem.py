"""Design problems: what the author returns is checked, what pymoo gets is right."""

import importlib

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize
from toys import Blocks, Buffers, Impossible, Limited

import moopim
from moopim import Choice, ConfigError, Constraint, DesignProblem, EvaluationError, Genome, Integer, Metric, Objective


class Plain(DesignProblem):
    """Returns what a test tells it to."""

    genome = Genome(Choice("a", (1, 2, 4)))
    objectives = (Objective("f", "1"),)
    constraints = (Constraint("g", "1", lower=1.0, upper=3.0),)
    metrics = (Metric("m", "1"),)

    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def evaluate_designs(self, designs):
        return self.returned


GOOD = {"f": np.array([1.0, 2.0]), "g": np.array([2.0, 4.0]), "m": np.array([0.0, np.nan])}
TWO = np.array([[0], [1]])


def test_values_and_both_bounds_reach_pymoo():
    out = Plain(GOOD).evaluate(TWO, return_as_dictionary=True)
    assert out["F"].tolist() == [[1.0], [2.0]]
    assert out["G"].tolist() == [[-1.0, -1.0], [1.0, -3.0]]  # upper, then lower


def test_maximised_objectives_are_minimised_with_their_sign_changed():
    problem = Buffers()
    designs = problem.genome.encode({"buffer_kb": [[2, 2, 2, 2, 2, 2]], "clock_mhz": [400]})
    # By hand: 12 kB in all; energy .02 * 2 * 21 + .4; hit rate 1 - exp(-.3); area .36 of 2 mm2.
    F, G = problem.evaluate(designs)
    hit = 1 - np.exp(-0.3)
    assert F[0] == pytest.approx([1.24, 2.25 * (2 - hit), -hit], rel=1e-14)
    assert G[0] == pytest.approx([0.36 - 2.0], rel=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f": None}, "did not return 'f'"),
        ({"z": np.zeros(2)}, "unknown name 'z'; expected f, g, m"),
        ({"f": np.zeros((2, 1))}, "'f' with shape (2, 1); expected (2,)"),
        ({"f": 1.0}, "'f' with shape (); expected (2,)"),
        ({"f": np.array([np.nan, 1.0])}, "returned nan for objective 'f' of the design a=1, which is feasible"),
        ({"f": np.array([np.inf, 1.0])}, "returned inf for objective 'f' of the design a=1, which is feasible"),
        ({"g": np.array([2.0, np.nan])}, "returned nan for constraint 'g' of the design a=2"),
        ({"f": [1.0, [2.0, 3.0]]}, "'f', which is not an array (ValueError: "),
        ({"f": np.ma.array([1.0, 2.0], mask=[False, True])}, "'f' with masked values"),
        ({"f": np.array(["1", "2"])}, "expected real numbers"),
        ({"f": np.array([1j, 2j])}, "expected real numbers"),
    ],
)
def test_unusable_results_are_named(change, message):
    returned = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(EvaluationError) as error:
        Plain(returned).evaluate(TWO)
    assert message in str(error.value)


def test_something_else_than_a_dict_is_refused():
    with pytest.raises(EvaluationError, match="returned ndarray; expected a dict"):
        Plain(np.zeros(2)).evaluate(TWO)


def test_an_infeasible_design_may_have_no_objectives():
    out = Plain(GOOD | {"f": np.array([1.0, np.nan])}).evaluate(TWO, return_as_dictionary=True)
    assert out["F"].tolist() == [[1.0], [np.inf]]


@pytest.mark.parametrize("problem", [Buffers(), Blocks(), Impossible()], ids=lambda problem: type(problem).__name__)
def test_a_design_has_the_same_value_in_any_batch(problem, rng):
    X = problem.genome.sample(600, rng)
    whole = problem.tabulate(X)
    rows = np.concatenate([problem.tabulate(X[i : i + 1]) for i in range(len(X))])
    assert np.array_equal(whole, rows, equal_nan=True)


def test_stock_pymoo_with_real_valued_operators_works():
    problem = Buffers()
    result = minimize(problem, NSGA2(pop_size=40), ("n_gen", 15), seed=1)
    X = problem.genome.repair(result.X)
    assert np.array_equal(problem.objective_values(problem.tabulate(X)), result.F)
    assert (result.G <= 0).all()


def test_parameters_are_the_constructors():
    assert Buffers(traffic=2).parameters() == {"traffic": 2}
    assert repr(Buffers(traffic=2.0)) == "Buffers(traffic=2.0)"

    class Forgetful(Buffers):
        def __init__(self, speed: float = 1.0):
            super().__init__()

    with pytest.raises(ConfigError, match="must store its parameter 'speed'"):
        Forgetful().parameters()


def test_fingerprint_follows_parameters_and_quantities():
    class Wider(Buffers):
        metrics = (Metric("words", "kB"),)

    assert Buffers(2).fingerprint() == Buffers(2.0).fingerprint()
    assert len({Buffers(1.0).fingerprint(), Buffers(2.0).fingerprint(), Wider(1.0).fingerprint()}) == 3


def test_fingerprint_follows_identity():
    class Fed(Buffers):
        def identity(self):
            return {"data": "abc"}

    class Unfed(Buffers):
        pass

    Unfed.__qualname__ = Fed.__qualname__
    assert Fed().fingerprint() != Unfed().fingerprint()


def test_a_bounded_objective_is_one_quantity():
    class Both(Plain):
        objectives = (Objective("f", "1"), Objective("g", "1"))

    assert [quantity.name for quantity in Both(GOOD).quantities] == ["f", "g", "m"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"genome": None}, "has no genome"),
        ({"objectives": ()}, "has no objectives"),
        ({"metrics": (Metric("m"), Metric("m"))}, "'m' is declared twice"),
        ({"metrics": (Metric("f", "mJ"),)}, "'f' is declared twice"),
        ({"metrics": (Metric("a"),)}, "column 'a' of quantity 'a' is used twice"),
        ({"metrics": (Metric("feasible"),)}, "column 'feasible'"),
        ({"limits": (Constraint("m", "mJ", upper=1.0),)}, "limit 'm (mJ)' is on no objective or metric; expected f, m"),
        ({"limits": (Constraint("m", upper=1.0),)}, "has limits but no constraint 'violation'"),
        ({"genome": Genome(Choice("generation", (1, 2)))}, "gene 'generation' has the name of a column"),
    ],
)
def test_bad_declarations_are_refused(attributes, message):
    cls = type("Bad", (Plain,), attributes)
    with pytest.raises(ConfigError) as error:
        cls(GOOD)
    assert message in str(error.value)


def test_html_shows_quantities_and_genome():
    assert "<td>limit</td><td>power (W)</td><td>&lt;= 0.2</td>" in Limited(max="power=0.2")._repr_html_()
    html = Buffers()._repr_html_()
    assert "hit rate" in html
    assert "&lt;= 2" in html
    assert "buffer_kb" in html


def test_a_failing_method_is_named_with_its_place():
    class Broken(Buffers):
        def evaluate_designs(self, designs):
            return {"energy": 1 / 0}

    with pytest.raises(
        EvaluationError, match=r"Broken\.evaluate_designs raised ZeroDivisionError.*test_problem\.py, line"
    ):
        Broken().tabulate(Broken().genome.sample(1, np.random.default_rng(0)))


def test_a_model_that_ends_the_process_is_named():
    class Leaving(Buffers):
        def evaluate_designs(self, designs):
            raise SystemExit(3)

    with pytest.raises(
        EvaluationError, match=r"Leaving\.evaluate_designs raised SystemExit: 3.*test_problem\.py, line"
    ):
        moopim.run(Leaving(), "random", evaluations=50)


@pytest.mark.parametrize("method", ["repair_designs", "identity"])
def test_other_failing_methods_are_named_with_their_place(method):
    def fail(self, *_):
        return 1 / 0

    broken = type("Broken", (Buffers,), {method: fail})
    with pytest.raises(EvaluationError, match=rf"Broken\.{method} raised ZeroDivisionError.*test_problem\.py, line"):
        moopim.run(broken(), "random", evaluations=50)


def test_a_repair_keeps_the_number_of_designs():
    class Dropping(Buffers):
        def repair_designs(self, X):
            return X[1:]

    with pytest.raises(EvaluationError, match=r"repair_designs returned shape \(49, 7\); expected \(50, 7\)"):
        moopim.run(Dropping(), "random", evaluations=50)


class Cache:
    """As many values as are counted before each number of looks."""

    def __init__(self, *counts):
        self.counts = list(counts)

    def count(self):
        return self.counts.pop(0) if self.counts else 1 // 0


def with_cache(*counts):
    return type("Cached", (Buffers,), {"metric_caches": {"area": Cache(*counts)}})()


def test_a_run_says_how_many_values_a_cache_knew_before():
    result = moopim.run(with_cache(7, 37), "random", evaluations=50)
    asked = int((~result.evaluations.cached).sum())
    assert f"; {asked - 30} of {asked} areas were known before" in result.message


def test_a_failing_cache_is_named_with_its_place():
    with pytest.raises(
        EvaluationError, match=r"Cached\.metric_caches raised ZeroDivisionError.*test_problem\.py, line"
    ):
        moopim.run(with_cache(), "random", evaluations=50)


def test_a_cache_that_fails_at_the_end_costs_no_result():
    with pytest.warns(UserWarning, match=r"Cached\.metric_caches raised ZeroDivisionError"):
        assert len(moopim.run(with_cache(7), "random", evaluations=50).evaluations) == 50


def test_designs_are_read_only():
    class Writing(Buffers):
        def evaluate_designs(self, designs):
            designs.genes[:] = 0
            return {}

    with pytest.raises(EvaluationError, match="read-only"):
        Writing().tabulate(Writing().genome.sample(1, np.random.default_rng(0)))


def test_fingerprint_follows_bases_and_neighbour_files(tmp_path, monkeypatch):
    (tmp_path / "neighbour_a.py").write_text("COST = 1\n")
    (tmp_path / "neighbour_b.py").write_text(
        "import neighbour_a\nfrom toys import Buffers\nclass Base(Buffers):\n    pass\n"
    )
    (tmp_path / "neighbour_c.py").write_text("from neighbour_b import Base\nclass Derived(Base):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    problem = importlib.import_module("neighbour_c").Derived()
    before = problem.fingerprint()
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    assert problem.fingerprint() == before
    (tmp_path / "neighbour_a.py").write_text("COST = 2\n")
    assert problem.fingerprint() != before


def test_fingerprint_follows_imports_within_a_package(tmp_path, monkeypatch):
    package = tmp_path / "packed"
    (package / "models").mkdir(parents=True)
    modules = {"costs": "COST = 1\n", "units": "MJ = 1e-3\n", "sizes": "KB = 1024\n"}
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    imports = "from packed.costs import COST\nfrom ..units import MJ\nfrom .. import sizes\nfrom toys import Buffers\n"
    (package / "models" / "chip.py").write_text(f"{imports}class Chip(Buffers):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    problem = importlib.import_module("packed.models.chip").Chip()
    seen = {problem.fingerprint()}
    for name in modules:
        (package / f"{name}.py").write_text("COST = MJ = KB = 2\n")
        seen.add(problem.fingerprint())
    assert len(seen) == 4


@pytest.mark.parametrize("change", [("3.0", "4.0"), ("WEIGHT = 2", "WEIGHT = 1"), ("a - 1", "a + 1"), ("+ b", "- b")])
def test_fingerprint_follows_code_without_a_file(change):
    text = """
from toys import Buffers
WEIGHT = 2
def helper(a):
    return WEIGHT * (a - 1)
class Cell(Buffers):
    @classmethod
    def inner(cls, a):
        return sum(3.0 * b for b in a)
    def evaluate_designs(self, designs):
        return (lambda b: helper(b) + b)(designs) + self.inner(designs)
"""
    classes = []
    for source in (text, text, text.replace(*change)):
        scope = {"__name__": "no_file"}
        exec(source, scope)  # noqa: S102
        classes.append(scope["Cell"])
    first, same, other = (cell().fingerprint() for cell in classes)
    assert first == same != other


def test_parameters_may_be_called_as_what_pymoo_keeps_but_not_as_what_it_needs():
    class Named(DesignProblem):
        genome = Genome(Choice("a", (1, 2)))
        objectives = (Objective("f"),)

        def __init__(self, data="digits", n_var=3):
            self.data = data
            self.n_var = n_var
            super().__init__()

        def evaluate_designs(self, designs):
            return {"f": designs.a}

    with pytest.raises(
        ConfigError, match=r"parameter 'n_var' of Named has the name of an attribute of pymoo's Problem"
    ):
        Named()

    class Data(Named):
        def __init__(self, data="digits"):
            self.data = data
            DesignProblem.__init__(self)

    assert Data("cifar10").parameters() == {"data": "cifar10"}


class Picky(DesignProblem):
    """Raises for some designs only, as a table look-up does."""

    genome = Genome(Integer("x", 0, 99), Choice("mode", ("a", "b")))
    objectives = (Objective("f"),)

    def __init__(self, wrong: int):
        super().__init__()
        self.wrong = wrong

    def evaluate_designs(self, designs):
        if (designs.x == self.wrong).any():
            raise KeyError("no such entry")
        return {"f": designs.x}


@pytest.mark.parametrize("wrong", [0, 41, 99])
def test_the_design_at_which_a_model_fails_is_named(wrong):
    problem = Picky(wrong)
    X = problem.genome.encode({"x": np.arange(100), "mode": np.full(100, "b")})
    with pytest.raises(EvaluationError, match=rf"raised KeyError: .* line \d+\), for the design x={wrong}, mode=b"):
        problem.tabulate(X)


def test_a_model_that_fails_for_designs_together_only_is_told_apart():
    class Crowded(Picky):
        def evaluate_designs(self, designs):
            if len(designs) == 100:
                raise MemoryError
            return super().evaluate_designs(designs)

    problem = Crowded(-1)
    with pytest.raises(EvaluationError, match=r"raised MemoryError .*, for 100 designs together"):
        problem.tabulate(problem.genome.encode({"x": np.arange(100), "mode": np.full(100, "b")}))
