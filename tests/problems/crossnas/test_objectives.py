"""Objectives of CrossNAS's searches: equation 4 by hand, its reference EDP, and hard limits."""

import itertools

import numpy as np
import pytest

from moopim.errors import ConfigError, EvaluationError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.network.subnets import Block, network_layers
from moopim.problems.crossnas import CrossNasSpace
from moopim.problems.crossnas.objectives import MEDIAN, fitness, make_objectives, reference_edp
from moopim.problems.crossnas.simulators import PlanarSimulator

# Table 2 of the paper: accuracy and EDP (mJ ms) of its networks for two weights of the accuracy.
TABLE_2 = {0.99: (0.9127, 0.28), 0.8: (0.8809, 0.073)}


@pytest.fixture(scope="module")
def planar():
    return PlanarSimulator("paper")


def test_fitness_is_equation_4():
    objectives = make_objectives("accuracy,edp", 0.8, 0.4, "", "")
    assert [(o.name, o.sense) for o in objectives.goals.objectives] == [("fitness", "max")]
    # 0.8 x 0.9 - 0.2 x 0.1 / 0.4 and 0.8 x 0.5 - 0.2 x 0.8 / 0.4
    values = fitness(np.array([0.9, 0.5]), np.array([0.1, 0.8]), 0.8, 0.4)
    assert values == pytest.approx([0.67, 0.0], abs=1e-15)
    for w_acc, expected in ((1, 0.9), (0, -0.25)):
        assert fitness(np.array([0.9]), np.array([0.1]), w_acc, 0.4) == pytest.approx([expected])


def test_objectives_without_a_weight_have_no_fitness():
    objectives = make_objectives("accuracy,energy", None, 1.0, "", "")
    assert [(o.name, o.sense) for o in objectives.goals.objectives] == [("accuracy", "max"), ("energy", "min")]
    assert "fitness" not in objectives.evaluate(hardware(), lambda within: np.ones(within.sum()))


def test_each_network_of_the_paper_wins_under_its_own_weight(planar):
    reference = reference_edp("alexnet", 10, planar)
    assert round(reference, 2) == 0.38  # Table 3
    accuracy, edp = np.array(list(TABLE_2.values())).T
    for place, w_acc in enumerate(TABLE_2):
        assert fitness(accuracy, edp, w_acc, reference).argmax() == place


def test_the_median_is_that_of_the_networks_one_by_one(planar):
    """With one block of one width, three networks are as probable as each other."""
    chip = make_chip("paper", crossbar=128, adc_bits=6, dac_bits=2)
    one = CrossNasSpace(max_blocks=1, channels=(4,), size=8, image_channels=1)
    edps = [
        float(evaluate_planar(network_layers((Block(kind, 4),), (1, 8, 8), 10), chip)["edp"][0])
        for kind in ("VGG", "MVGG", "RES")
    ]
    assert reference_edp(MEDIAN, 10, planar, one) == pytest.approx(sorted(edps)[1], rel=1e-12)


def test_the_median_of_random_networks_is_near_that_of_all(planar):
    """All networks of two blocks: half have one block, half two."""
    chip = make_chip("paper", crossbar=128, adc_bits=6, dac_bits=2)
    space = CrossNasSpace(max_blocks=2, channels=(4, 16), size=8, image_channels=1)
    blocks = [Block(kind, width) for kind in ("VGG", "MVGG", "RES") for width in (4, 16)]
    chains = [(block,) for block in blocks] * len(blocks) + list(itertools.product(blocks, repeat=2))
    edps = np.array([evaluate_planar(network_layers(chain, (1, 8, 8), 10), chip)["edp"][0] for chain in chains])
    low, high = np.quantile(edps, [0.44, 0.56])  # four standard errors of a share of 1,000 draws
    found = reference_edp(MEDIAN, 10, planar, space)
    assert low <= found <= high
    assert found == reference_edp(MEDIAN, 10, planar, space)


@pytest.mark.parametrize("reference", ["0", "-1", "nan", "inf"])
def test_a_reference_that_is_not_above_0_is_refused(planar, reference):
    with pytest.raises(ConfigError, match=f"reference={reference} is not allowed; expected an EDP above 0"):
        reference_edp(reference, 10, planar)


def test_a_reference_may_be_a_number_or_a_network_that_there_is(planar):
    assert reference_edp("0.25", 10, planar) == 0.25
    assert reference_edp("resnet18", 10, planar) > reference_edp("alexnet", 10, planar)
    with pytest.raises(ConfigError, match="unknown network 'lenet'"):
        reference_edp("lenet", 10, planar)
    with pytest.raises(ConfigError, match="needs a space of networks"):
        reference_edp(MEDIAN, 10, planar)


def hardware(**changes):
    energy, latency = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0, 0.5])
    found = {"energy": energy, "latency": latency, "edp": energy * latency, "violation": np.zeros(4)}
    return found | {name: np.full(4, np.nan) for name in ("power", "area", "edap", "tiles")} | changes


def test_only_designs_within_hard_limits_are_asked_for_accuracies():
    objectives = make_objectives("accuracy,edp", 0.5, 1.0, "energy=3, edp=2.5", "latency=0.6")
    asked = []

    def accuracy(within):
        asked.append(within.tolist())
        return np.full(within.sum(), 0.7)

    found = objectives.evaluate(hardware(violation=np.array([0.0, 0.1, 0.0, 0.0])), accuracy)
    assert asked == [[True, False, False, False]]  # does not fit; EDP 3; energy 4 and latency 0.5
    assert found["accuracy"].tolist()[0] == 0.7
    assert np.isnan(found["accuracy"][1:]).all()
    assert found["fitness"][0] == pytest.approx(0.5 * 0.7 - 0.5 * 1.0)
    # EDP 3 of 2.5 is 0.2 too much; energy 4 of 3 a third, latency 0.5 a sixth of 0.6 too little
    assert found["violation"] == pytest.approx([0, 0.1, 0.2, 1 / 3 + 1 / 6])
    assert found["edp"].tolist() == [1, 2, 3, 2]  # results stay


def test_a_limit_of_the_accuracy_itself_is_no_reason_not_to_ask():
    objectives = make_objectives("edp", None, 1.0, "energy=3", "accuracy=0.9")
    found = objectives.evaluate(hardware(), lambda within: np.array([0.8, 0.9, 0.95]))
    assert found["accuracy"].tolist()[:3] == [0.8, 0.9, 0.95]
    assert np.isnan(found["accuracy"][3])
    assert found["violation"] == pytest.approx([1 / 9, 0, 0, 1 / 3])


def test_a_limit_on_what_the_simulator_does_not_compute_is_refused():
    objectives = make_objectives("edp", None, 1.0, "area=3", "")
    with pytest.raises(EvaluationError, match="the simulator returned no 'area', which is limited to <= 3"):
        objectives.evaluate(hardware(), lambda within: np.ones(within.sum()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("accuracy,speed", None, "", ""), "unknown objective 'speed'"),
        (("edp", 1.01, "", ""), "w_acc=1.01 is not allowed"),
        (("edp", float("nan"), "", ""), "w_acc=nan is not allowed"),
        (("edp", None, "area", ""), "max 'area' is not allowed; expected NAME=NUMBER"),
        (("edp", None, "", "fitness=1"), "unknown min of 'fitness'"),
    ],
)
def test_objectives_that_are_not_known_are_refused(options, message):
    objectives, w_acc, largest, least = options
    with pytest.raises(ConfigError, match=message):
        make_objectives(objectives, w_acc, 1.0, largest, least)
