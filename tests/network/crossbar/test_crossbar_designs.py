"""Accuracies of many designs at once: those of each alone, and no layer computed twice."""

import numpy as np
import pytest
import torch
from small_nets import Chain, seeded

from moopim.errors import ConfigError
from moopim.network.accuracy import accuracy
from moopim.network.calibration import recalibrate
from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies, inference, on_crossbars
from moopim.network.datasets import Split
from moopim.network.quantisation import calibrate, quantise_module, quantised_layers, set_bits

LAYERS = 3
CIRCUITS = [Circuit(rows=64, adc_bits=4), Circuit(rows=16, adc_bits=3, dac_bits=2, adc_range="calibrated")]


@pytest.fixture(scope="module")
def case():
    """A network, images for its accuracy, and others for its calibration."""
    model, images = seeded(Chain(), 1, 8, 8, images=400)
    recalibrate(model, images)
    net = quantise_module(model, (1, 8, 8))
    calibrate(net, images[:64])
    labels = model(images).argmax(1)
    return net, Split(images[:300], labels[:300]), images[300:]


def designs(count, circuits=CIRCUITS, seed=1):
    rng = np.random.default_rng(seed)
    draws = rng.choice([3, 5, 7], (count, 2, LAYERS)).tolist()
    return [CrossbarDesign(tuple(w), tuple(a), circuits[i % len(circuits)]) for i, (w, a) in enumerate(draws)]


def alone(net, design, split, images):
    """The same by the steps that a user takes."""
    mine = quantise_module(Chain(), (1, 8, 8))
    mine.load_state_dict(net.state_dict())
    set_bits(mine, design.weights, design.activations)
    recalibrate(mine, images)
    return accuracy(on_crossbars(mine, design.circuit, images, engine="torch"), split)


def test_each_design_has_the_accuracy_that_it_has_alone(case):
    net, split, images = case
    some = designs(8)
    found = crossbar_accuracies(net, some, split, images)
    assert len(set(found)) > 4
    assert found.tolist() == [alone(net, design, split, images) for design in some]
    assert np.array_equal(crossbar_accuracies(net, some[::-1] + some[:2], split, images), [*found[::-1], *found[:2]])


def test_without_images_batch_norms_stay_as_they_are(case):
    net, split, _ = case
    design = designs(1)[0]
    found = crossbar_accuracies(net, [design], split)
    set_bits(net, design.weights, design.activations)
    assert found == accuracy(on_crossbars(net, design.circuit), split)
    set_bits(net, 9, 9)


def test_layers_with_the_same_inputs_widths_and_circuit_are_computed_once(case, monkeypatch):
    net, split, _ = case
    computed = []
    layer_sums = inference.layer_sums
    monkeypatch.setattr(inference, "layer_sums", lambda *args, **kw: computed.append(1) or layer_sums(*args, **kw))
    fine, coarse = Circuit(rows=64, adc_bits=8), Circuit(rows=64, adc_bits=4)
    narrow = CrossbarDesign((5,) * LAYERS, (5,) * LAYERS, fine)
    last = narrow._replace(weights=(5, 5, 7))
    other = last._replace(circuit=coarse)
    # Two chunks of images; the second design computes the head only, the third all.
    crossbar_accuracies(net, [narrow, other, last, narrow], split)
    assert len(computed) == 2 * (LAYERS + 1 + LAYERS)


def test_cells_of_all_designs_are_those_of_one_chip(case):
    net, split, _ = case

    def half(path, cells, circuit):
        return cells._replace(positive=cells.positive // 2)

    design = designs(1)[0]
    found = crossbar_accuracies(net, [design], split, program=half)
    set_bits(net, design.weights, design.activations)
    assert found == accuracy(on_crossbars(net, design.circuit, program=half), split)
    set_bits(net, 9, 9)


def test_the_network_stays_as_it_is(case):
    net, split, images = case
    before = {name: value.clone() for name, value in net.state_dict().items()}
    crossbar_accuracies(net, designs(2), split, images)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert {widths.weights for widths in quantised_layers(net).values()} == {9}


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (CrossbarDesign((5,) * 4, (5,) * LAYERS, CIRCUITS[0]), "4 widths of weights for 3 layers"),
        (CrossbarDesign((5,) * LAYERS, (1,) * LAYERS, CIRCUITS[0]), r"layer 'a' \(activations\)"),
        (CrossbarDesign((5,) * LAYERS, (5,) * LAYERS, Circuit(rows=8, adc_bits=4)), r"layer 'a': .*8"),
        (designs(2)[1], "needs images for calibration"),
    ],
)
def test_designs_that_do_not_fit_are_refused(case, design, message):
    net, split, _ = case
    with pytest.raises(ConfigError, match=message):
        crossbar_accuracies(net, [design], split)
