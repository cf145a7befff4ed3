"""The HuNT mapping problem: space, repair, and its whole true front on a small instance."""

import itertools
from typing import get_args, get_type_hints

import numpy as np
import pytest

import moopim
from moopim import ConfigError
from moopim.algorithms.registry import make_algorithm
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.hardware.noc import MODES
from moopim.hardware.stack import evaluate_system
from moopim.hardware.stack.model import BP_TIERS, TRAFFIC
from moopim.hardware.thermal import THERMAL_MODES
from moopim.pareto import non_dominated
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.mapping import EQUATIONS
from moopim.workload import IMAGE, Layer, make_workload


class SmallHunt(HuntMapping):
    """Two layers on HuNT's stack: 81 x 48 x 48 designs."""

    def __init__(self):
        super().__init__("small", "none", repair=False)

    def load_workload(self):
        layers = [
            Layer("a", "conv", (IMAGE,), 16, 32, kernel=(3, 3), size_in=(16, 16), size_out=(16, 16)),
            Layer("b", "fc", (0,), 256, 512),
        ]
        return make_workload("small", "none", 16, layers)


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
    shared = [(i, quantity.name) for i, quantity in enumerate(problem.quantities) if quantity.name in expected]
    assert {name for _, name in shared} >= {"period", "area", "power", "err", "violation", "link_util"}
    for i, name in shared:
        assert np.array_equal(table[:, i], expected[name], equal_nan=True)


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


OWN_DEVICE = """
[X]
like = "R"
name = "Ours"
vector_pJ = { value = 1, unit = "pJ", kind = "measured", source = "our chip" }
static_mW = 0
"""


def test_a_search_uses_a_device_of_ones_own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN_DEVICE)
    problem = HuntMapping("vgg11", devices=f"S,R,{path}")
    assert problem.genome.groups[0].values.tolist() == ["S", "R", "X"]
    front = moopim.run(problem, "nsga2", evaluations=600, seed=1).front
    # As ReRAM but for its energy: the best design has no use for ReRAM.
    best = front.loc[front["energy_pJ"].idxmin(), [f"tier_{z}" for z in range(4)]].tolist()
    assert "X" in best
    assert "R" not in best


@pytest.mark.parametrize("algorithm", ["amosa", "nsga2", "random"])
def test_the_papers_surrogates_are_objectives_for_every_optimiser(algorithm):
    problem = HuntMapping("vgg11", equations="paper")
    assert [objective.column for objective in problem.objectives] == ["latency_ns", "pes", "power_W", "err"]
    front = moopim.run(problem, algorithm, evaluations=400, seed=1).front
    assert len(front) > 3
    assert np.isfinite(front[["latency_ns", "pes", "power_W", "err", "peak_K"]]).all(axis=None)


@pytest.mark.parametrize("equations", ["system", "paper"])
def test_the_farthest_tier_serves_back_propagation_if_asked(equations, rng):
    problem = HuntMapping("vgg11", bp_tier="farthest", equations=equations, repair=False)
    X = problem.genome.sample(300, rng)
    table = problem.tabulate(X)
    last_is_sram = X[:, 3] == 0
    assert not problem.feasible(table)[~last_is_sram].any()
    assert problem.feasible(table)[last_is_sram].any()
    # Where the farthest tier is SRAM nothing changes; elsewhere a repair makes it so.
    free = HuntMapping("vgg11", equations=equations)
    assert np.array_equal(free.tabulate(X)[last_is_sram], table[last_is_sram], equal_nan=True)
    repaired = HuntMapping("vgg11", bp_tier="farthest", equations=equations).repair_designs(X)
    assert (repaired[:, 3] == 0).all()


@pytest.mark.parametrize(("tiers", "mesh"), [(3, 6), (8, 8)])
def test_other_stacks_are_searched_alike(tiers, mesh, rng):
    problem = HuntMapping("resnet18", override=f"tiers={tiers},mesh={mesh}")
    slots = (tiers - 1) * mesh**2
    assert problem.genome.n_values.tolist() == [3] * tiers + [slots] * 21
    table = problem.tabulate(problem.repair_designs(problem.genome.sample(64, rng)))
    assert problem.feasible(table).all()
    front = moopim.run(problem, "amosa", evaluations=400, seed=1).front
    assert (front["area_mm2"] <= 1.6 * tiers * mesh**2).all()


def test_a_layer_that_fits_nowhere_is_named_before_a_search():
    with pytest.raises(ConfigError, match=r"layer 'conv6' of VGG11 takes 2.91 tiers of the device that holds it best"):
        HuntMapping("vgg11", devices="S", override="mesh=1")
    with pytest.raises(ConfigError, match="devices R,F: none can serve back-propagation; expected one that can"):
        HuntMapping("vgg11", devices="R,F")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "resnet99"}, "unknown workload 'resnet99'"),
        ({"dataset": "imagenet"}, "unknown dataset 'imagenet'"),
        ({"factors": "ideal"}, "unknown factor set 'ideal'"),
        ({"traffic": "mesh"}, "unknown traffic 'mesh'"),
        ({"thermal": "cold"}, "unknown thermal mode 'cold'"),
        ({"equations": "own"}, "unknown equations 'own'; allowed: system, paper"),
        ({"bp_tier": "near"}, "unknown bp_tier 'near'; allowed: free, farthest"),
        ({"devices": "S,Q"}, "unknown device 'Q'"),
        ({"override": "kapa=4"}, "unknown parameter to override 'kapa'"),
        ({"stack": "none.toml"}, "cannot read none.toml"),
        ({"traffic": "chain", "noc": "paper"}, "noc 'paper' is given with traffic 'chain'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        HuntMapping(**options)


def test_fingerprint_follows_options_and_data():
    problems = [HuntMapping(), HuntMapping("vgg11"), HuntMapping(factors="calibrated"), HuntMapping(repair=False)]
    assert len({problem.fingerprint() for problem in problems}) == 4
    assert HuntMapping().fingerprint() == problems[0].fingerprint()


def test_fingerprint_follows_the_contents_of_a_users_files(tmp_path):
    stack, device = tmp_path / "stack.txt", tmp_path / "own.toml"
    device.write_text(OWN_DEVICE)
    seen = set()
    for area in (1.6, 2.5):
        stack.write_text(f"[stack]\npe_area_mm2 = {area}\n")
        seen.add(HuntMapping("vgg11", stack=str(stack), devices=f"S,{device}").fingerprint())
    device.write_text(OWN_DEVICE.replace("static_mW = 0", "static_mW = 1"))
    seen.add(HuntMapping("vgg11", stack=str(stack), devices=f"S,{device}").fingerprint())
    assert len(seen) == 3


def test_a_stack_of_many_tiers_has_numbers_for_all_nodes(rng):
    problem = HuntMapping("vgg11", override="tiers=128,mesh=1")
    table = problem.tabulate(problem.repair_designs(problem.genome.sample(4, rng)))
    assert problem.feasible(table).any()


def test_a_network_that_fits_nowhere_as_a_whole_is_refused():
    with pytest.raises(ConfigError, match=r"VGG11 takes at least 2.26 tiers; expected at most 1, the forward tiers"):
        HuntMapping("vgg11", override="mesh=1,tiers=2")


def test_the_options_are_the_names_that_the_model_knows():
    hints = get_type_hints(HuntMapping.__init__)
    known = {"traffic": TRAFFIC, "noc": MODES, "thermal": THERMAL_MODES, "equations": EQUATIONS, "bp_tier": BP_TIERS}
    for name, names in known.items():
        assert get_args(hints[name]) == tuple(names), name
