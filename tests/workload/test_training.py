"""HuNT's training workloads against the reference tables, entry by entry."""

import json
from pathlib import Path

import pytest

from moopim import ConfigError
from moopim.workload import DATASETS, IMAGE, WORKLOADS, Layer, load_workload, make_workload

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "hunt" / "workloads.json").read_text())


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("network", WORKLOADS)
def test_every_entry_of_the_layer_table(network, dataset):
    expected = REFERENCE[dataset][network]
    workload = load_workload(network, dataset)
    columns = {
        "name": workload.names,
        # The reference has a type of its own for 1x1 convolutions; here the kernel says it.
        "type": [
            f"{kind}1x1" if kind == "conv" and k == 1 else kind
            for kind, k in zip(workload.kinds, workload.kernel, strict=True)
        ],
        "cin": workload.c_in,
        "cout": workload.c_out,
        "k": workload.kernel,
        "stride": workload.stride,
        "h_in": workload.h_in,
        "h_out": workload.h_out,
        "weights": workload.weights,
        "act_in": workload.activations_in,
        "act_out": workload.activations_out,
        "macs": workload.macs,
    }
    assert len(workload) == len(expected["layers"])
    for name, column in columns.items():
        assert list(column) == [layer[name] for layer in expected["layers"]], name
    assert workload.weights.sum() == expected["weights"]


def test_names_are_found_in_any_case_and_batches_are_those_of_table_3():
    assert load_workload("RESNET34").network == "ResNet34"
    assert [load_workload(name).batch for name in WORKLOADS] == [64, 64, 128, 128, 128]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet35",), "unknown workload 'resnet35' (did you mean 'resnet34'?)"),
        (("vgg11", "cifar"), "unknown dataset 'cifar'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ConfigError) as error:
        load_workload(*arguments)
    assert message in str(error.value)


def test_only_layers_with_weights_count():
    layers = [
        Layer("conv", "conv", (IMAGE,), 3, 8, kernel=(3, 3), padding=(1, 1), size_in=(8, 8), size_out=(8, 8)),
        Layer("pool", "pool", (0,), 8, 8, kernel=(2, 2), stride=(2, 2), size_in=(8, 8), size_out=(4, 4)),
        Layer("fc", "fc", (1,), 128, 10),
    ]
    workload = make_workload("small", "none", 4, layers)
    assert workload.names == ("conv", "fc")
    assert workload.weights.tolist() == [3 * 9 * 8, 1280]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Layer("wide", "conv", (IMAGE,), 3, 8, kernel=(1, 3))], "layer 'wide' of 'mine' has groups or is not square"),
        ([Layer("deep", "conv", (IMAGE,), 4, 4, groups=4)], "layer 'deep' of 'mine' has groups or is not square"),
        ([Layer("pool", "pool", (IMAGE,), 3, 3)], "network 'mine' has no layer of kind conv or fc"),
    ],
)
def test_layers_that_hunt_has_no_model_for_are_refused(layers, message):
    with pytest.raises(ConfigError) as error:
        make_workload("mine", "none", 4, layers)
    assert message in str(error.value)
