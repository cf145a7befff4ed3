"""The HuNT mapping problem: space, repair, and its whole true front on a small instance."""

import itertools
from typing import get_args, get_type_hints

import numpy as np
import pytest
from refusals import check_refused

import moopim
from moopim import ConfigError
from moopim.algorithms.registry import make_algorithm
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.hardware.noc import MODES
from moopim.hardware.stack import BP_TIERS, TRAFFIC, WEAR, evaluate_idealised, evaluate_system
from moopim.hardware.stack.engine import precisions
from moopim.hardware.thermal import THERMAL_MODES
from moopim.pareto import non_dominated
from moopim.problems.hunt import HuntMapping
from moopim.problems.hunt.mapping import EQUATIONS
from moopim.workload import IMAGE, Layer, make_workload


class SmallHunt(HuntMapping):
    """Two layers on tiers of four PEs with eight levels of the pace: 81 x 12 x 12 x 8 designs."""

    def __init__(self):
        pace = "pace_levels=8,pace_first_ns=1000,pace_steps_per_octave=1"
        super().__init__("small", "none", override=f"mesh=2,noise_onset_K=0,{pace}", repair=False)

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
    assert size == problem.genome.size == 93_312
    assert len(front) >= 10
    evaluator = Evaluator(problem)
    optimise(evaluator, make_algorithm("amosa", problem, 20_000), 20_000, 1, lambda *_: None)
    table = np.concatenate([batch.table for batch in evaluator.batches])
    F = problem.objective_values(table)[problem.feasible(table)]
    assert {tuple(row) for row in F[non_dominated(F)]} == front


def test_the_genome_has_a_device_per_tier_a_place_per_layer_and_one_pace():
    problem = HuntMapping()
    assert problem.genome.size == 3**4 * 48**37 * 64
    assert problem.genome.columns[:5] == ("tier_0", "tier_1", "tier_2", "tier_3", "pe_0")
    assert problem.genome.columns[-2:] == ("pe_36", "pace")
    assert [q.column for q in problem.quantities][:4] == ["period_ns", "area_mm2", "energy_pJ", "err"]
    for equations in ("idealised", "paper"):
        assert HuntMapping(equations=equations).genome.columns == problem.genome.columns[:-1]


@pytest.mark.parametrize("options", [{}, {"equations": "idealised", "factors": "calibrated"}])
def test_values_are_those_of_the_model(options, rng):
    problem = HuntMapping("vgg11", **options)
    X = problem.genome.sample(20, rng)
    if options:
        expected = evaluate_idealised(problem.model, X[:, :4], X[:, 4:])
    else:
        expected = evaluate_system(problem.model, X[:, :4], X[:, 4:-1], X[:, -1])
        for name in ("copies", "levels", "tiles"):  # arrays by layer or tier, which are no quantities
            del expected[name]
    assert {quantity.name for quantity in problem.quantities} == set(expected)
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
    assert (repaired[:, 4:-1] != X[:, 4:-1]).any()
    assert (repaired[:, -1] == X[:, -1]).all()


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


@pytest.mark.parametrize("equations", EQUATIONS)
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
    assert problem.genome.n_values.tolist() == [3] * tiers + [slots] * 21 + [64]
    table = problem.tabulate(problem.repair_designs(problem.genome.sample(64, rng)))
    assert problem.feasible(table).all()
    front = moopim.run(problem, "amosa", evaluations=400, seed=1).front
    assert (front["area_mm2"] <= 1.6 * tiers * mesh**2).all()


def test_a_layer_that_fits_nowhere_is_named_before_a_search():
    with pytest.raises(ConfigError, match=r"layer 'conv6' of VGG11 takes 2.92 tiers of the device that holds it best"):
        HuntMapping("vgg11", devices="S", override="mesh=1")
    with pytest.raises(ConfigError, match="devices R,F: none can serve back-propagation; expected one that can"):
        HuntMapping("vgg11", devices="R,F")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workload": "resnet99"}, "unknown workload 'resnet99'"),
        ({"dataset": "imagenet"}, "unknown dataset 'imagenet'"),
        ({"factors": "ideal"}, "unknown factor set 'ideal'"),
        ({"traffic": "mesh", "equations": "paper"}, "unknown traffic 'mesh'"),
        ({"thermal": "cold"}, "unknown thermal mode 'cold'"),
        ({"equations": "own"}, "unknown equations 'own'; allowed: system, idealised, paper"),
        ({"bp_tier": "near"}, "unknown bp_tier 'near'; allowed: free, farthest"),
        ({"devices": "S,Q"}, "unknown device 'Q'"),
        ({"override": "kapa=4"}, "unknown parameter to override 'kapa'"),
        ({"stack": "none.toml"}, "cannot read none.toml"),
        ({"goals": "period,heat"}, "unknown objective 'heat'"),
        ({"goals": "period", "equations": "paper"}, "unknown objective 'period'"),
        ({"max": "peak=300"}, "max 'peak=300' is not allowed; expected a number above 300"),
        ({"max": "peak=310", "override": "ambient_K=310"}, "expected a number above 310"),
        ({"min": "trainings=0"}, "min 'trainings=0' is not allowed; expected a number above 0"),
        ({"traffic": "chain", "noc": "paper", "equations": "paper"}, "noc 'paper' is given with traffic 'chain'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    check_refused(lambda: HuntMapping(**options), message)


@pytest.mark.parametrize(
    ("equations", "options", "message"),
    [
        (
            "system",
            {"factors": "calibrated"},
            "factors 'calibrated' were fitted to equations 'idealised'; expected",
        ),
        ("system", {"traffic": "chain"}, "traffic 'chain' is given with equations 'system'; expected 'idealised' or"),
        ("system", {"noc": "paper"}, "noc 'paper' is given with equations 'system'; expected 'idealised' or 'paper'"),
        ("idealised", {"precision": "fp32"}, "precision 'fp32' is given with equations 'idealised'; expected 'system'"),
        ("paper", {"wear": "tier"}, "wear 'tier' is given with equations 'paper'; expected 'system'"),
    ],
)
def test_options_of_other_equations_are_refused(equations, options, message):
    check_refused(lambda: HuntMapping("vgg11", equations=equations, **options), message)


def test_goals_are_objectives_and_all_else_is_metrics(rng):
    plain, chosen = HuntMapping("vgg11"), HuntMapping("vgg11", goals="power,lifetime")
    assert [(goal.name, goal.sense) for goal in chosen.objectives] == [("power", "min"), ("lifetime", "max")]
    assert {q.name for q in chosen.quantities} == {q.name for q in plain.quantities}
    designs = plain.genome.decode(plain.repair_designs(plain.genome.sample(50, rng)))
    before, after = plain.evaluate_designs(designs), chosen.evaluate_designs(designs)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    F, _ = chosen.evaluate(plain.repair_designs(plain.genome.sample(5, np.random.default_rng(2))))
    assert (F[:, 1] < 0).all()  # minimised


def test_limits_are_violated_by_their_relative_excess(rng):
    free = HuntMapping("resnet34", repair=False)
    limited = HuntMapping("resnet34", max="peak=304,power=3", min="trainings=0.5,period=30000", repair=False)
    designs = free.genome.decode(free.genome.sample(300, rng))
    before, after = free.evaluate_designs(designs), limited.evaluate_designs(designs)
    missed = np.zeros(4, dtype=int)
    for i, (own, found) in enumerate(zip(before["violation"], after["violation"], strict=True)):
        value = {name: values[i] for name, values in before.items()}
        excess = [(value["peak"] - 300) / 4 - 1, value["power"] / 3 - 1]  # peak counts as the rise over ambient
        excess += [1 - value["trainings"] / 0.5, 1 - value["period"] / 30_000]
        total = sum(max(0.0, part) for part in excess)
        missed += own == 0 and np.array(excess) > 0
        expected = own if own > 0 else max(total, 1e-3) if total > 0 else 0.0
        assert found == pytest.approx(expected, rel=1e-9)
    assert (missed > 5).all()
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before if name != "violation")


def test_a_search_keeps_its_limits():
    front = moopim.run(HuntMapping("vgg11", max="peak=305", min="trainings=1"), "nsga2", evaluations=800).front
    assert (front["peak_K"] <= 305).all()
    assert (front["trainings"] >= 1).all()


def test_a_search_names_a_limit_that_no_design_keeps():
    result = moopim.run(HuntMapping("vgg11", max="energy=1,power=1000"), "random", evaluations=40)
    least = result.evaluations["energy_pJ"].min()
    assert f"no feasible design: none has energy <= 1 pJ, the least is {least:g}" in result.message
    assert (result.evaluations["violation"] > 1e6).all()


def test_precision_and_wear_change_what_they_name(rng):
    problems = [HuntMapping("vgg11", **options) for options in ({}, {"precision": "fp32"}, {"wear": "tier"})]
    X = problems[0].repair_designs(problems[0].genome.sample(30, rng))
    plain, exact, levelled = (problem.evaluate_designs(problem.genome.decode(X)) for problem in problems)
    assert (exact["gradient_pJ"] > 9 * plain["gradient_pJ"]).all()
    assert (exact["period"] > plain["period"]).all()
    assert np.array_equal(exact["lifetime"], plain["lifetime"])
    assert {name for name in plain if not np.array_equal(plain[name], levelled[name])} == {"lifetime", "trainings"}
    assert (levelled["lifetime"] >= plain["lifetime"]).all()


@pytest.mark.parametrize(
    ("override", "device", "value"),
    [
        ("R.read=parallel", 1, {"read": "parallel"}),
        ("F.nonvolatile=0,R.nonvolatile=False", 2, {"nonvolatile": False}),
        ("R.serves_back_propagation=true", 1, {"serves_back_propagation": True}),
        ("F.noise=exponential", 2, {"noise": "exponential"}),
    ],
)
def test_words_and_truth_values_are_overridden(override, device, value):
    found = vars(HuntMapping("vgg11", override=override).model.devices[device])
    assert {name: found[name] for name in value} == value


def test_heat_path_and_routers_are_overridden(rng):
    plain = HuntMapping("vgg11")
    X = plain.repair_designs(plain.genome.sample(30, rng))

    def found(override, equations="system"):
        problem = HuntMapping("vgg11", equations=equations, override=override)
        return problem.evaluate_designs(problem.genome.decode(X if equations == "system" else X[:, :-1]))

    before = found("")
    assert found("ambient_K=320")["peak"] == pytest.approx(before["peak"] + 20, rel=1e-12)
    assert (found("sink_thickness_mm=1,sink_side_mm=30")["peak"] > before["peak"]).all()
    # Packets wait in the idealised model only; flits are but a unit of traffic in the other one.
    assert found("flit_bits=256")["period"].tolist() == before["period"].tolist()
    routers = "packet_flits=8,flit_bits=256"
    assert (found(routers, "idealised")["period"] != found("", "idealised")["period"]).all()


@pytest.mark.parametrize(
    ("equations", "override"),
    [
        *(("system", name) for name in ("packet_flits=8", "phi_HX=0.5", "S.gradient_speedup=5", "R.gradient_pJ=3")),
        *(("idealised", name) for name in ("noise_onset_K=2", "engine_share=0.3", "R.endurance=5", "F.nonvolatile=0")),
        ("paper", "epochs=3"),
    ],
)
def test_overrides_without_effect_are_refused(equations, override):
    name = override.partition("=")[0]
    with pytest.raises(ConfigError, match=f"override of '{name}' has no effect in this model"):
        HuntMapping("vgg11", equations=equations, override=override)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": "S,R,G", "goals": "period,lifetime"}, "goal 'lifetime' may be infinite on devices that are not"),
        (
            {"devices": "S,G", "goals": "gradient_store"},
            "goal 'gradient_store' is not known for devices without memory",
        ),
    ],
)
def test_goals_that_designs_may_not_have_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        HuntMapping("vgg11", **options)


def test_fingerprint_follows_options_and_data():
    problems = [HuntMapping(), HuntMapping("vgg11"), HuntMapping(wear="tier"), HuntMapping(repair=False)]
    problems += [HuntMapping(equations="idealised", factors=name) for name in ("physical", "calibrated")]
    assert len({problem.fingerprint() for problem in problems}) == 6
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
    with pytest.raises(ConfigError, match=r"VGG11 takes at least 2.28 tiers; expected at most 1, the forward tiers"):
        HuntMapping("vgg11", override="mesh=1,tiers=2")


def test_the_options_are_the_names_that_the_model_knows():
    hints = get_type_hints(HuntMapping.__init__)
    known = {"traffic": TRAFFIC, "noc": MODES, "thermal": THERMAL_MODES, "equations": EQUATIONS, "bp_tier": BP_TIERS}
    known |= {"precision": precisions()[::-1], "wear": WEAR}
    for name, names in known.items():
        assert get_args(hints[name]) == tuple(names), name
