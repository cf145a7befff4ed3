"""The search for an architecture: what it says of designs, in runs and in its log."""

import numpy as np
import pytest
import torch

from moopim import resume, run
from moopim.errors import ConfigError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.network.accuracy import subnet_accuracies
from moopim.network.datasets import load_data
from moopim.network.network_files import load_supernet, save_supernet
from moopim.network.subnets import network_layers
from moopim.network.supernet import Supernet
from moopim.problems.crossnas import ArchitectureSearch
from moopim.problems.crossnas.accuracies import InheritedAccuracy
from moopim.problems.crossnas.space import subnets

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("supernet") / "supernet.safetensors"
    save_supernet(Supernet((1, 8, 8), 10, max_blocks=2, channels=(4, 8), strides=(1, 2), seed=3), path)
    return str(path)


@pytest.fixture(scope="module")
def problem(file):
    return ArchitectureSearch(file, calibration=64)


def test_the_genes_are_those_that_the_supernet_has_a_choice_of(problem):
    assert [group.name for group in problem.genome.groups] == ["depth", "block", "channels", "stride"]
    assert problem.genome.group("channels").values.tolist() == [4, 8]
    assert problem.space.max_blocks == 2


def test_accuracy_and_figures_are_those_of_the_networks_one_by_one(problem, file):
    X = problem.repair_designs(problem.genome.sample(20, np.random.default_rng(1)))
    designs = problem.genome.decode(X)
    found = problem.evaluate_designs(designs)
    supernet, data = load_supernet(file), load_data("digits")
    chip = make_chip("paper", crossbar=128, adc_bits=8, dac_bits=1)
    for i, subnet in enumerate(subnets(designs)):
        assert supernet.canonical(subnet) == subnet
        assert found["accuracy"][i] == subnet_accuracies(supernet, [subnet], data, calibration=64)[0]
        alone = evaluate_planar(network_layers(subnet, (1, 8, 8), 10), chip)
        for name in ("edp", "energy", "latency", "area", "power", "tiles", "violation"):
            assert found[name][i] == pytest.approx(alone[name][0], rel=1e-12), name
    assert len(set(found["accuracy"])) > 5


def test_a_design_is_plotted_as_its_network_and_its_breakdown(problem):
    designs = problem.genome.decode(problem.repaired(problem.genome.sample(1, np.random.default_rng(2))))
    figures = problem.plot_design(designs, "design 1")
    assert list(figures) == ["network", "breakdown"]
    texts = [text.get_text() for text in figures["network"].axes[0].texts]
    blocks = [f"{kind} {channels}" for kind, channels in zip(designs.block[0], designs.channels[0], strict=True)]
    assert set(blocks[: designs.depth[0]]) <= set(texts)


def test_a_pooling_without_room_is_left_out_where_it_has_not_been_repaired(tmp_path):
    path = tmp_path / "deep.safetensors"
    save_supernet(Supernet((1, 8, 8), 10, max_blocks=4, channels=(4, 8)), path)
    deep = ArchitectureSearch(str(path), calibration=64)
    X = np.zeros((1, deep.genome.n_genes), dtype=np.int64)  # VGG each
    X[:, deep.genome.slices["depth"]] = 3  # four of them: 8x8 becomes 1x1 behind the third
    X = np.concatenate([X, deep.repair_designs(X)])
    assert (X[0] != X[1]).any()
    for values in deep.evaluate_designs(deep.genome.decode(X)).values():
        assert values[0] == values[1]


def test_a_network_that_does_not_fit_has_no_accuracy(problem, monkeypatch):
    designs = problem.genome.decode(problem.genome.sample(3, np.random.default_rng(1)))
    name = "moopim.problems.crossnas.simulators.evaluate_planar"

    def too_large(table, chip):
        return evaluate_planar(table, chip) | {"violation": np.array([0.5, -0.5, 0.0])}

    monkeypatch.setattr(name, too_large)
    assert np.isnan(problem.evaluate_designs(designs)["accuracy"]).tolist() == [True, False, False]


@pytest.mark.parametrize("algorithm", ["topk", "amosa", "nsga2"])
def test_accuracies_in_the_log_are_not_found_again(problem, tmp_path, monkeypatch, algorithm):
    whole = run(problem, algorithm, evaluations=60, seed=1, output=tmp_path, progress=False)
    assert whole.evaluations["accuracy"].between(0, 1).all()

    def refuse(accuracy, designs):
        pytest.fail(f"{len(designs)} designs were evaluated again")

    monkeypatch.setattr(InheritedAccuracy, "__call__", refuse)
    again = resume(tmp_path, progress=False)
    assert again.front.equals(whole.front)


def test_other_weights_make_another_fingerprint(file, problem, tmp_path):
    supernet = load_supernet(file)
    with torch.no_grad():
        supernet.head.weight[0, 0] += 0.5
    save_supernet(supernet, file)
    changed = ArchitectureSearch(file, calibration=64)
    assert changed.identity()["images"] == problem.identity()["images"]
    assert changed.identity()["supernet"] != problem.identity()["supernet"]
    assert changed.fingerprint() != problem.fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"supernet": "none.safetensors"}, "'none.safetensors' does not exist"),
        ({"data": "shapes32"}, "have the shape (3, 32, 32); expected the supernet's (1, 8, 8)"),
        ({"calibration": 5000}, "calibration 5000 is not allowed; expected 1 .. 1000"),
        ({"adc_bits": 7}, "adc_bits is 7; expected one of 1, 4, 6, 8, 10"),
        ({"device": "cuda:7"}, "device 'cuda:7' cannot be used"),
        ({"bits": 0}, "weight_bits_a 0 of the CrossNAS space is not allowed"),
    ],
)
def test_bad_input_is_refused_before_anything_is_searched(file, changes, message):
    with pytest.raises(ConfigError) as error:
        ArchitectureSearch(**{"supernet": file} | changes)
    assert message in str(error.value)
