"""Networks put on crossbars in one step."""

import torch
from small_nets import Chain, Residual, seeded

from moopim.network.crossbar.circuit import Circuit
from moopim.network.crossbar.convert import convert
from moopim.network.crossbar.inference import crossbar_layers, on_crossbars
from moopim.network.mixed_precision import set_bits
from moopim.network.quantisation import calibrate, quantise_module

IDEAL = Circuit(rows=64, adc_bits=16, adc_range="unit")


def test_the_error_of_a_network_on_good_crossbars_is_that_of_its_quantisation():
    net, images = seeded(Residual(), 2, 8, 8)
    expected = net(images).detach()
    errors = [
        float(
            (convert(net, IDEAL, images, weight_bits=bits, activation_bits=bits)(images) - expected)
            .detach()
            .abs()
            .max()
        )
        for bits in (5, 7, 9)
    ]
    # Two bits more make steps four times as fine.
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02 * float(expected.abs().max())


def test_it_is_the_steps_one_by_one():
    net, images = seeded(Chain(), 1, 8, 8)
    circuit = Circuit(rows=32, adc_bits=4, adc_range="calibrated")
    quantised = quantise_module(net, (1, 8, 8), input_bits=6)
    set_bits(quantised, {"a": 5}, (4, 8, 7))
    calibrate(quantised, images)
    expected = on_crossbars(quantised, circuit, images)(images)
    found = convert(net, circuit, images, weight_bits={"a": 5}, activation_bits=(4, 8, 7), input_bits=6)
    assert torch.equal(found(images), expected)
    assert [layer.weight_bits for layer in crossbar_layers(found).values()] == [5, 9, 9]
