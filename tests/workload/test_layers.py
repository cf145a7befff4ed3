"""Layer tables: what they refuse, how widths go through a network, how tables are stacked."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim.errors import ConfigError
from moopim.workload import IMAGE, Layer, LayerKind, make_table, network_table, stack_tables

CONV = Layer("a", "conv", (IMAGE,), 3, 8, (3, 3), (1, 1), (1, 1), (8, 8), (8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cnov"}, "unknown kind of layer 0 (a) 'cnov' (did you mean 'conv'?)"),
        ({"c_in": 0}, "c_in of layer 0 (a) is 0; expected whole numbers, 1 .. 1000000"),
        ({"c_out": 8.5}, "c_out of layer 0 (a) is 8.5; expected whole numbers, 1 .. 1000000"),
        ({"c_out": True}, "c_out of layer 0 (a) is True"),
        ({"kernel": (3, 0)}, "kernel of layer 0 (a) is (3, 0); expected whole numbers, 1 .. 1000000"),
        ({"padding": (-1, 0)}, "padding of layer 0 (a) is (-1, 0); expected whole numbers, 0 .. 1000000"),
        ({"size_out": (8, 10**9)}, "size_out of layer 0 (a) is (8, 1000000000)"),
        ({"weight_bits": 65}, "weight_bits of layer 0 (a) is 65; expected whole numbers, 0 .. 64"),
        ({"output_bits": 0}, "output_bits of layer 0 (a) is 0; expected whole numbers, 1 .. 64"),
        ({"groups": 2}, "layer 0 (a): 2 groups do not divide 3 input and 8 output channels"),
        ({"inputs": ()}, "layer 0 (a) has 0 inputs; expected at least 1"),
        ({"inputs": (0,)}, "layer 0 (a) reads layer 0; expected -1 (the image) or a layer before it"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_table([CONV._replace(**changes)])


def test_no_layers_no_tables_and_one_name_for_two_layers_are_refused():
    with pytest.raises(ConfigError, match="a network without layers is not allowed"):
        make_table([])
    with pytest.raises(ConfigError, match="no layer tables to stack"):
        stack_tables([])
    with pytest.raises(ConfigError, match="2 layers have the name 'a'"):
        make_table([CONV, CONV._replace(inputs=(0,), c_in=8)])


@pytest.mark.parametrize(
    ("weights", "activations", "image", "message"),
    [
        (0, 9, 9, "bits of weights are 0; expected whole numbers, 1 .. 64"),
        (9, 65, 9, "bits of activations are 65"),
        (9.5, 9, 9, "bits of weights are 9.5"),
        (9, 9, 0, "bits of the image is 0"),
    ],
)
def test_widths_out_of_range_are_refused(weights, activations, image, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_table([CONV]).with_bits(np.full((1, 1), weights), np.full((1, 1), activations), image)


@given(st.data())
def test_every_layer_reads_in_the_width_that_its_first_input_writes(data):
    table = network_table(data.draw(st.sampled_from(["alexnet", "resnet18"])))
    shape = (2, table.layers)
    widths = [data.draw(st.lists(st.integers(1, 16), min_size=2 * shape[1], max_size=2 * shape[1])) for _ in range(2)]
    weights, activations = (np.array(values).reshape(shape) for values in widths)
    found = table.with_bits(weights, activations, image=8)
    for network in range(2):
        for layer in range(table.layers):
            first = table.inputs[0, layer, 0]
            read = 8 if first == IMAGE else found.output_bits[network, first]
            assert found.input_bits[network, layer] == read
            held = table.kind[0, layer] in {LayerKind.CONV, LayerKind.FC}
            assert found.output_bits[network, layer] == (activations[network, layer] if held else read)
            assert found.weight_bits[network, layer] == (weights[network, layer] if held else 0)


def test_stacked_tables_hold_each_network_in_front_of_its_padding():
    tables = [network_table("alexnet"), network_table("resnet18"), network_table("vgg11")]
    stacked = stack_tables(tables)
    assert (len(stacked), stacked.layers, stacked.names) == (3, 31, ())
    for i, table in enumerate(tables):
        part = stacked.take(np.array([i]))
        assert (part.kind[0, table.layers :] == LayerKind.NONE).all()
        for column in ("kind", "c_in", "c_out", "h_out", "macs", "parameters", "activations", "last"):
            assert (getattr(part, column)[0, : table.layers] == getattr(table, column)[0]).all(), column
    assert stack_tables([tables[0]] * 2).names == tables[0].names
