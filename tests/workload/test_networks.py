"""The built-in networks against MNSIM's layer tables, entry by entry, and the literature's parameter counts."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from moopim import ConfigError
from moopim.workload import BUILT_IN_NETWORKS, LayerKind, load_workload, network_table

REFERENCE = Path(__file__).parents[1] / "reference" / "hardware" / "reference_nets.csv"


def reference_layers():
    """The layer tables of the file by network and classes; its rows are runs of the same tables on several chips."""
    tables = {}
    with REFERENCE.open(newline="") as file:
        for row in csv.DictReader(file):
            design = json.loads(row["design"])
            tables.setdefault((design["net"], design["classes"]), []).append(design["layers"])
    assert all(layers == tables[key][0] for key in tables for layers in tables[key])
    return {key: layers[0] for key, layers in tables.items()}


MNSIM = reference_layers()


def test_the_reference_has_three_networks_for_two_data_sets():
    assert set(MNSIM) == {(name, classes) for name in ("alexnet", "vgg16", "resnet18") for classes in (10, 100)}


@pytest.mark.parametrize(("network", "classes"), MNSIM)
def test_every_entry_of_the_layer_table(network, classes):
    layers = MNSIM[network, classes]
    table = network_table(network, classes)
    assert [LayerKind(kind).name.lower() for kind in table.kind[0]] == [layer["type"] for layer in layers]
    assert [[place for place in inputs if place >= -1] for inputs in table.inputs[0]] == [
        layer["in"] for layer in layers
    ]
    columns = {
        "cin": (table.c_in,),
        "cout": (table.c_out,),
        "k": (table.kernel_h, table.kernel_w),
        "s": (table.stride_h, table.stride_w),
        "p": (table.padding_h, table.padding_w),
        "h": (table.h_in,),
        "w": (table.w_in,),
        "oh": (table.h_out,),
        "ow": (table.w_out,),
        "ib": (table.input_bits,),
        "wb": (table.weight_bits,),
        "ob": (table.output_bits,),
    }
    for name, arrays in columns.items():
        expected = np.array([layer[name] for layer in layers])
        # Without a window MNSIM writes 0 where a window of one value is meant, and without weights any width.
        if name in {"k", "s"}:
            expected = np.maximum(expected, 1)
        if name == "wb":
            expected[~table.weighted[0]] = 0
        for array in arrays:
            assert array[0].tolist() == expected.tolist(), name


def test_densenet40_has_the_parameters_of_its_paper():
    # Huang et al. (CVPR 2017), Table 2: 1.0M; public implementations count 1,019,722. Batch normalisation, in front of
    # every convolution but the stem and in front of the classifier, has two parameters a channel; the classifier has a
    # bias.
    table = network_table("densenet40")
    normalised = table.c_in[table.kind == LayerKind.CONV][1:].sum() + table.c_in[0, -1]
    assert table.parameters.sum() + 2 * normalised + 10 == 1_019_722
    assert (table.kind[0] != LayerKind.POOL).sum() == 40


def test_lenet5_has_the_parameters_of_its_layers():
    # With one input channel, biases and full connections it has the 61,706 parameters that are usually counted.
    table = network_table("lenet5")
    biases = table.c_out[table.kind != LayerKind.POOL].sum()
    assert table.parameters.sum() - 2 * 25 * 6 + biases == 61_706
    assert table.h_out[0].tolist() == [28, 14, 10, 5, 1, 1, 1]
    assert load_workload("LeNet5", "tinyimagenet").c_out.tolist() == [6, 16, 120, 84, 200]


@pytest.mark.parametrize(("network", "small"), [("vgg11", "vgg16"), ("resnet34", "resnet18")])
def test_networks_of_one_style_differ_in_depth_only(network, small):
    table, reference = network_table(network), network_table(small)
    depth = {"vgg11": 8 + 1, "resnet34": 1 + 2 * 16 + 2}
    # Projections do not count as layers.
    main = table.weighted[0] & ~np.array([name.endswith("sc") for name in table.names])
    assert main.sum() == depth[network]
    assert set(table.c_out[0]) == set(reference.c_out[0])
    assert (table.kind == LayerKind.POOL).sum() == (reference.kind == LayerKind.POOL).sum()
    assert table.c_in[table.kind == LayerKind.FC].tolist() == reference.c_in[reference.kind == LayerKind.FC].tolist()


@pytest.mark.parametrize("size", [16, 33, 64])
@pytest.mark.parametrize("network", BUILT_IN_NETWORKS)
def test_what_a_layer_reads_is_what_its_producers_write(network, size):
    table = network_table(network, classes=7, size=size)
    assert table.c_out[0, -1] == 7
    assert (table.c_in[0, 0], table.h_in[0, 0]) == (3, size)
    for place in range(1, table.layers):
        producers = [producer for producer in table.inputs[0, place] if producer >= 0]
        values = sum(table.activations[0, producers])
        if table.kind[0, place] == LayerKind.SUM:
            values //= len(producers)
        assert table.c_in[0, place] * table.h_in[0, place] ** 2 == values
    # Every layer but the last is read by another one.
    assert set(table.inputs[0].ravel()) >= set(range(table.layers - 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet19"}, "unknown network 'resnet19' (did you mean 'resnet18'?)"),
        ({"name": "vgg16", "classes": 1}, "classes=1 of network 'vgg16' is not allowed; expected 2 .. 1000000"),
        ({"name": "vgg16", "size": 8}, "size=8 of network 'vgg16' is not allowed; expected 16 .. 4096"),
    ],
)
def test_what_is_not_allowed_is_refused(arguments, message):
    with pytest.raises(ConfigError) as error:
        network_table(**arguments)
    assert message in str(error.value)


def test_names_are_found_in_any_case():
    assert network_table("ResNet18").names == network_table("resnet18").names
