"""The built-in networks against the reference tables, entry by entry."""

import json
from pathlib import Path

import pytest

from moopim import ConfigError
from moopim.workload import DATASETS, NETWORKS, load_workload

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "hunt" / "workloads.json").read_text())


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("network", NETWORKS)
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
    assert [load_workload(name).batch for name in NETWORKS] == [64, 64, 128, 128, 128]


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
