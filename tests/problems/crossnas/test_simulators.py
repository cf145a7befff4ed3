"""Other PIM simulators: what they are asked, what follows from their answers, and wrong answers in one line."""

import math
import sys

import numpy as np
import pytest
from crossnas_toys import SIMULATOR

from moopim.errors import ConfigError, EvaluationError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.network.network_files import save_supernet
from moopim.network.supernet import Supernet
from moopim.problems.crossnas import ArchitectureSearch
from moopim.problems.crossnas.simulators import (
    AccuracySimulator,
    hardware_metrics,
    load_simulator,
    simulated_accuracies,
    simulator_identity,
)
from moopim.workload import network_table

CIRCUIT = {"crossbar": np.array([64, 128, 256]), "adc_bits": np.array([6, 8, 8]), "dac_bits": np.array([1, 2, 1])}
TABLE = network_table("alexnet", 10)


class Fixed:
    """Answers what it is told to."""

    def __init__(self, **answers):
        self.answers = answers

    def hardware(self, table, circuit):
        return self.answers

    def accuracies(self, net, designs, split, calibration):
        return self.answers["accuracies"]


@pytest.fixture
def file(tmp_path, request):
    """A file with simulators, of a name of its own."""
    path = tmp_path / f"simulators_{abs(hash(request.node.name))}.py"
    path.write_text(SIMULATOR)
    yield path
    sys.modules.pop(path.stem, None)


def test_the_built_in_one_is_the_planar_chip():
    found = hardware_metrics(load_simulator(None, "paper"), TABLE, CIRCUIT)
    for i in range(3):
        chip = make_chip("paper", **{name: int(values[i]) for name, values in CIRCUIT.items()})
        alone = evaluate_planar(TABLE, chip)
        for name in ("energy", "latency", "area", "power", "edp", "tiles", "violation"):
            assert found[name][i] == pytest.approx(float(alone[name][0]), rel=1e-12), name
        assert found["edap"][i] == pytest.approx(found["edp"][i] * found["area"][i], rel=1e-12)


def test_what_a_simulator_does_not_know_follows_or_is_unknown():
    energy, latency = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    found = hardware_metrics(Fixed(energy=energy, latency=latency), TABLE, CIRCUIT)
    assert found["edp"].tolist() == [0.5, 2.0, 6.0]
    assert found["power"].tolist() == [2.0, 2.0, 1.5]  # mJ / ms is W
    assert found["violation"].tolist() == [0, 0, 0]
    assert all(np.isnan(found[name]).all() for name in ("area", "edap", "tiles"))
    told = Fixed(energy=energy, latency=latency, power=np.ones(3), area=np.full(3, 2.0))
    assert hardware_metrics(told, TABLE, CIRCUIT)["power"].tolist() == [1, 1, 1]
    assert hardware_metrics(told, TABLE, CIRCUIT)["edap"].tolist() == [1.0, 4.0, 12.0]


def test_designs_that_do_not_fit_need_no_figures():
    energy, violation = np.array([1.0, np.nan, 0.0]), np.array([0.0, 1.0, 0.5])
    found = hardware_metrics(Fixed(energy=energy, latency=energy, violation=violation), TABLE, CIRCUIT)
    assert found["edp"][0] == 1
    assert found["violation"].tolist() == violation.tolist()


ONES = np.ones(3)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"energy": ONES}, "Fixed.hardware did not return 'latency'; expected energy, latency"),
        ({"energy": ONES, "latency": ONES, "edp": ONES}, "returned unknown name 'edp'; expected energy, latency, area"),
        ({"energy": ONES, "latency": 1.0}, r"returned 'latency' with shape \(\); expected \(3,\)"),
        ({"energy": ONES, "latency": ONES[:2]}, r"returned 'latency' with shape \(2,\); expected \(3,\)"),
        ({"energy": ["1", "2", "3"], "latency": ONES}, "returned 'energy' as <U1; expected real numbers"),
        ({"energy": ONES, "latency": 0 * ONES}, "returned 'latency' 0 for a design that fits; expected it above 0"),
        ({"energy": np.nan * ONES, "latency": ONES}, "returned 'energy' nan for a design that fits"),
    ],
)
def test_wrong_figures_are_refused(answers, message):
    with pytest.raises(EvaluationError, match=message):
        hardware_metrics(Fixed(**answers), TABLE, CIRCUIT)


def test_a_simulator_that_fails_is_named_with_its_line():
    class Failing:
        def hardware(self, table, circuit):
            return circuit["rows"]

    with pytest.raises(EvaluationError, match=r"Failing.hardware raised KeyError: 'rows' \(test_simulators.py, line"):
        hardware_metrics(Failing(), TABLE, CIRCUIT)
    with pytest.raises(EvaluationError, match="returned list; expected a dict of arrays by name"):
        hardware_metrics(type("List", (), {"hardware": lambda self, table, circuit: []})(), TABLE, CIRCUIT)


@pytest.mark.parametrize(
    ("accuracies", "message"),
    [
        ([0.5], r"Fixed.accuracies returned accuracies with shape \(1,\); expected \(2,\)"),
        ([0.5, 93.0], "returned 93; expected fractions from 0 to 1"),
        ([0.5, np.nan], "returned nan; expected fractions from 0 to 1"),
    ],
)
def test_wrong_accuracies_are_refused(accuracies, message):
    with pytest.raises(EvaluationError, match=message):
        simulated_accuracies(Fixed(accuracies=np.array(accuracies)), None, [None, None], None, None)


def test_a_file_brings_a_simulator(file):
    ruler, oracle = (load_simulator(f"{file}:{name}", "paper") for name in ("Ruler", "Oracle"))
    assert not isinstance(ruler, AccuracySimulator)
    assert isinstance(oracle, AccuracySimulator)
    assert hardware_metrics(ruler, TABLE, CIRCUIT)["energy"] == pytest.approx([1e-9 * bit_sums(TABLE)] * 3)
    assert hardware_metrics(ruler, TABLE, CIRCUIT)["latency"].tolist() == [1.0, 0.5, 1.0]


def bit_sums(table):
    names = ("c_in", "c_out", "kernel_h", "kernel_w", "h_out", "w_out", "weight_bits")
    return sum(math.prod(int(getattr(table, name)[0, i]) for name in names) for i in range(table.layers))


def test_a_change_of_the_file_makes_another_fingerprint(file, tmp_path):
    path = tmp_path / "supernet.safetensors"
    save_supernet(Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8)), path)
    options = {"supernet": str(path), "calibration": 32, "reference": "1", "simulator": f"{file}:Ruler"}
    first = ArchitectureSearch(**options)
    designs = first.genome.decode(first.genome.sample(5, np.random.default_rng(1)))
    assert first.evaluate_designs(designs)["latency"].tolist() == [1.0] * 5
    assert first.identity()["Ruler"] == simulator_identity(load_simulator(f"{file}:Ruler", "paper"))["Ruler"]
    before = first.fingerprint()
    file.write_text(SIMULATOR + "# other figures\n")
    assert ArchitectureSearch(**options).fingerprint() == before  # what was imported is still what is used
    sys.modules.pop(file.stem)
    assert ArchitectureSearch(**options).fingerprint() != first.fingerprint()
    assert ArchitectureSearch(**options | {"simulator": None}).fingerprint() != first.fingerprint()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{file}", "names no class; expected FILE.py:Class or package.module:Class"),
        ("{file}:Rulers", "unknown simulator in .* 'Rulers' .did you mean 'Ruler'"),
        ("none.py:Ruler", "none.py' does not exist"),
        ("no_such_module:Ruler", "module 'no_such_module' cannot be imported"),
        ("fractions:Fraction", "has no method 'hardware'; expected hardware"),
        ("operator:itemgetter", "cannot be made without arguments"),
    ],
)
def test_specs_that_name_no_simulator_are_refused(file, spec, message):
    with pytest.raises(ConfigError, match=message):
        load_simulator(spec.format(file=file), "paper")
