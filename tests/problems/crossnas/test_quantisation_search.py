"""The search for widths and a circuit: what it says of designs, in runs and in its store of accuracies."""

import shutil
from collections import Counter

import numpy as np
import pytest

from moopim import run
from moopim.errors import ConfigError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.network.blocks import make_network
from moopim.network.calibration import calibration_images
from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies
from moopim.network.datasets import load_data
from moopim.network.network_files import load_network, save_network
from moopim.network.quantisation import calibrate, quantise_module, set_bits, table_with_bits
from moopim.network.subnets import Block
from moopim.network.training import fit
from moopim.problems.crossnas import QuantisationPimSearch
from moopim.problems.crossnas.accuracies import CrossbarAccuracy
from moopim.workload.tracing import trace

pytestmark = pytest.mark.usefixtures("one_thread")
SUBNET, SHAPE = (Block("RES", 4, 2), Block("VGG", 6)), (1, 8, 8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small network, trained for some steps and calibrated."""
    data = load_data("digits")
    net = make_network(SUBNET, SHAPE, 10)
    fit(net, data, "digits-float", epochs=3)
    quantised = quantise_module(net, SHAPE)
    calibrate(quantised, calibration_images(data, 64))
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    save_network(quantised, path, SUBNET, SHAPE, 10)
    return path


@pytest.fixture
def file(trained, tmp_path):
    """The network, of which no accuracy is known yet."""
    return str(shutil.copy(trained, tmp_path / "network.safetensors"))


def test_genes_are_widths_of_each_layer_and_the_circuit(file):
    problem = QuantisationPimSearch(file, calibration=64, dac_bits="2")
    assert [(group.name, group.repeat) for group in problem.genome.groups] == [
        ("weight_bits", 6), ("activation_bits", 6), ("crossbar", None), ("adc_bits", None), ("dac_bits", None)
    ]  # fmt: skip
    assert problem._accuracies.layers == ("block1.a", "block1.b", "block1.shortcut", "block2.a", "block2.b", "head")
    assert problem.mutation["weight_bits"] < problem.mutation["adc_bits"]


def test_quantities_are_those_of_the_designs_one_by_one(file):
    problem = QuantisationPimSearch(file, calibration=64)
    designs = problem.genome.decode(problem.genome.sample(6, np.random.default_rng(1)))
    found = problem.evaluate_designs(designs)
    stored, data = load_network(file), load_data("digits")
    table = trace(stored.net, SHAPE)
    for i in range(len(designs)):
        widths = designs.weight_bits[i].tolist(), designs.activation_bits[i].tolist()
        rows, adc, dac = (int(designs[name][i]) for name in ("crossbar", "adc_bits", "dac_bits"))
        set_bits(stored.net, *widths)
        chip = make_chip("paper", crossbar=rows, adc_bits=adc, dac_bits=dac)
        alone = evaluate_planar(table_with_bits(stored.net, table), chip)
        for name in ("edp", "energy", "latency", "area", "power", "tiles", "violation"):
            assert found[name][i] == pytest.approx(alone[name][0], rel=1e-12), name
        design = CrossbarDesign(*map(tuple, widths), Circuit(rows=rows, adc_bits=adc, dac_bits=dac, adc_range="output"))
        images = calibration_images(data, 64)
        assert found["accuracy"][i] == crossbar_accuracies(stored.net, [design], data.validation, images)[0]
    assert len(set(found["accuracy"])) > 3


def test_a_design_is_plotted_as_its_network_and_its_breakdown(file):
    problem = QuantisationPimSearch(file, calibration=64)
    designs = problem.genome.decode(problem.genome.sample(1, np.random.default_rng(1)))
    figures = problem.plot_design(designs, "design 3")
    assert list(figures) == ["network", "breakdown"]
    texts = [text.get_text() for text in figures["network"].axes[0].texts]
    assert {"design 3", "RES 4", "VGG 6", "FC"} <= set(texts)
    bits = Counter(map(str, [*designs.weight_bits[0], *designs.activation_bits[0]]))
    assert Counter(text for text in texts if text.isdigit()) == bits + Counter(bits.keys())  # and the legend
    chip = {name: designs[name] for name in ("crossbar", "adc_bits", "dac_bits")}
    energy = evaluate_planar(problem.layer_table(designs), make_chip("paper", **chip))["energy"][0]
    assert figures["breakdown"].legends[0].get_title().get_text().startswith(f"design 3: {energy:.4g} mJ")


def test_accuracies_are_paid_once_over_optimisers_and_goals(file, tmp_path, monkeypatch):
    asked = []
    answer = CrossbarAccuracy.__call__
    monkeypatch.setattr(
        CrossbarAccuracy, "__call__", lambda self, w, *rest: asked.append(len(w)) or answer(self, w, *rest)
    )
    options = {"calibration": 32, "weight_bits": "5", "activation_bits": "7", "crossbar": "32,64", "dac_bits": "2"}
    first = run(QuantisationPimSearch(file, **options), "topk", evaluations=8, progress=False)
    assert len(first.evaluations) == 8
    assert "0 of 8 accuracies were known before" in first.message
    second = run(QuantisationPimSearch(file, **options, w_acc=0.9), "topk", evaluations=8, progress=False)
    assert "8 of 8 accuracies were known before" in second.message
    merged = first.evaluations.merge(second.evaluations, on=["crossbar", "adc_bits"], suffixes=("", "_second"))
    assert (merged.accuracy == merged.accuracy_second).all()
    expected = 0.9 * merged.accuracy - 0.1 * merged.edp_mJ_ms / 0.37726830820941587  # AlexNet's, see Table 3
    assert merged.fitness.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-12)


def test_only_designs_within_bounds_have_an_accuracy(file):
    problem = QuantisationPimSearch(file, calibration=32, max="area=6", goals="accuracy,area,energy")
    designs = problem.genome.decode(problem.genome.sample(12, np.random.default_rng(1)))
    found = problem.evaluate_designs(designs)
    assert 0 < (found["area"] > 6).sum() < 12
    assert np.isnan(found["accuracy"]).tolist() == (found["area"] > 6).tolist()
    assert [objective.name for objective in problem.objectives] == ["accuracy", "area", "energy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"w_acc": 1.5}, r"w_acc=1\.5 is not allowed; expected a number from 0 to 1"),
        ({"goals": "accuracy,edb"}, "objective 'edb'"),
        ({"goals": "edp,edp"}, "'edp' is given twice"),
        ({"max": "area"}, "max 'area' is not allowed; expected NAME=NUMBER"),
        ({"max": "volume=3"}, "max of 'volume'"),
        ({"min": "accuracy=nan"}, "min 'accuracy=nan'"),
        ({"reference": "median"}, "needs a space"),
        ({"reference": "-1"}, "reference=-1 is not allowed"),
        ({"reference": "lenet"}, "lenet"),
        ({"weight_bits": "5,a"}, "weight_bits='5,a' is not allowed"),
        ({"weight_bits": "5,5"}, "has a value twice"),
        ({"weight_bits": "1"}, "weight_bits"),
        ({"adc_bits": "1"}, "adc_bits"),
        ({"crossbar": "8"}, "crossbar 8 is smaller than one kernel"),
        ({"calibration": 0}, "calibration 0"),
        ({"data": "shapes32"}, "has images of"),
        ({"network": "missing.safetensors"}, "does not exist"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_named(file, options, message):
    with pytest.raises(ConfigError, match=message):
        QuantisationPimSearch(**{"network": file, **options})


def test_a_network_that_is_not_quantised_is_refused(tmp_path):
    save_network(make_network(SUBNET, SHAPE, 10), tmp_path / "f.safetensors", SUBNET, SHAPE, 10)
    with pytest.raises(ConfigError, match=r"f\.safetensors' is not quantised"):
        QuantisationPimSearch(str(tmp_path / "f.safetensors"))
