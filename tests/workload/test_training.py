"""HuNT's training workloads: layers against the reference tables; transfers of networks worked out by hand."""

import json
from pathlib import Path

import pytest

from moopim import ConfigError
from moopim.workload import IMAGE, INPUTS, WORKLOADS, Layer, LayerKind, Transfer, load_workload, make_workload

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "hunt" / "workloads.json").read_text())


@pytest.mark.parametrize("dataset", INPUTS)
@pytest.mark.parametrize("network", WORKLOADS)
def test_every_entry_of_the_layer_table(network, dataset):
    expected = REFERENCE[dataset][network]
    workload = load_workload(network, dataset)
    columns = {
        "name": workload.names,
        # The reference has a type of its own for 1x1 convolutions; here the kernel says it.
        "type": [
            "conv1x1" if kind == LayerKind.CONV and k == 1 else LayerKind(kind).name.lower()
            for kind, k in zip(workload.column("kind"), workload.column("kernel_h"), strict=True)
        ],
        "cin": workload.column("c_in"),
        "cout": workload.c_out,
        "k": workload.column("kernel_h"),
        "stride": workload.column("stride_h"),
        "h_in": workload.column("h_in"),
        "h_out": workload.column("h_out"),
        "weights": workload.weights,
        "act_in": workload.column("c_in") * workload.column("h_in") ** 2,
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


def transfers(layers):
    return make_workload("mine", "none", 1, layers).transfers


def conv(name, inputs, c_in, c_out, size):
    return Layer(name, "conv", inputs, c_in, c_out, size_in=(size, size), size_out=(size, size))


def test_a_pool_makes_what_is_sent_smaller():
    layers = [
        conv("a", (IMAGE,), 3, 8, 4),
        Layer("pool", "pool", (0,), 8, 8, kernel=(2, 2), stride=(2, 2), size_in=(4, 4), size_out=(2, 2)),
        conv("b", (1,), 8, 5, 2),
        Layer("fc", "fc", (2,), 20, 10),
    ]
    assert transfers(layers) == (Transfer(0, 8 * 4, (1,)), Transfer(1, 5 * 4, (2,)))


def test_an_identity_shortcut_goes_to_the_block_and_to_where_the_sum_is():
    layers = [
        conv("stem", (IMAGE,), 3, 4, 2),
        conv("a", (0,), 4, 4, 2),
        conv("b", (1,), 4, 4, 2),
        Layer("sum", "sum", (2, 0), 4, 4, size_in=(2, 2), size_out=(2, 2)),
        conv("next", (3,), 4, 4, 2),
    ]
    # The sum is computed at b, which made the last of its inputs; its result goes on from there.
    assert transfers(layers) == (Transfer(0, 16, (1, 2)), Transfer(1, 16, (2,)), Transfer(2, 16, (3,)))


def test_a_projection_takes_the_sum_to_itself():
    layers = [
        conv("stem", (IMAGE,), 3, 4, 2),
        conv("a", (0,), 4, 8, 2),
        conv("b", (1,), 8, 8, 2),
        conv("projection", (0,), 4, 8, 2),
        Layer("sum", "sum", (3, 2), 8, 8, size_in=(2, 2), size_out=(2, 2)),
        Layer("fc", "fc", (4,), 32, 10),
    ]
    expected = (Transfer(0, 16, (1, 3)), Transfer(1, 32, (2,)), Transfer(2, 32, (3,)), Transfer(3, 32, (4,)))
    assert transfers(layers) == expected


def test_what_is_concatenated_is_sent_once_to_all_its_readers():
    layers = [
        conv("stem", (IMAGE,), 3, 6, 2),
        conv("l1", (0,), 6, 2, 2),
        conv("l2", (0, 1), 8, 2, 2),
        conv("l3", (0, 1, 2), 10, 2, 2),
    ]
    assert transfers(layers) == (Transfer(0, 24, (1, 2, 3)), Transfer(1, 8, (2, 3)), Transfer(2, 8, (3,)))


def test_what_only_the_image_goes_into_is_sent_by_nobody():
    layers = [
        Layer("shrink", "pool", (IMAGE,), 3, 3, kernel=(2, 2), stride=(2, 2), size_in=(4, 4), size_out=(2, 2)),
        conv("a", (0,), 3, 3, 2),
        Layer("sum", "sum", (1, 0), 3, 3, size_in=(2, 2), size_out=(2, 2)),
        Layer("mixed", "product", (2, IMAGE), 3, 3, size_in=(2, 2), size_out=(2, 2)),
        conv("b", (3, IMAGE), 6, 3, 2),
    ]
    assert transfers(layers) == (Transfer(0, 12, (1,)),)


def test_products_of_activations_are_computed_where_their_last_input_is_made():
    layers = [
        conv("query", (IMAGE,), 3, 4, 2),
        conv("key", (IMAGE,), 3, 4, 2),
        conv("value", (IMAGE,), 3, 4, 2),
        Layer("scores", "matmul", (0, 1), 4, 4, size_in=(2, 2), size_out=(2, 2)),
        Layer("mix", "matmul", (3, 2), 4, 4, size_in=(2, 2), size_out=(2, 2)),
        conv("out", (4,), 4, 4, 2),
    ]
    # The scores are made at the key; mixing them with the value reads the scores last in the table.
    assert transfers(layers) == (Transfer(0, 16, (1,)), Transfer(2, 16, (1,)), Transfer(1, 16, (3,)))


@pytest.mark.parametrize(
    ("network", "transfers", "deliveries"),
    [
        # A chain: every layer but the last sends to the next.
        ("VGG11", 10, 10),
        ("VGG16", 15, 15),
        # Every layer but the last sends once. Besides the chain of n blocks and the FC layer, each of n - 1 sums and
        # the stem have a second reader, the sum of the next block or its projection; one more for each projection,
        # which gets what the block made.
        ("ResNet18", 20, 8 + 8 + 1 + 8 + 3),
        ("ResNet34", 36, 16 + 16 + 1 + 16 + 3),
        # Blocks of 12: the input is read by 12 layers and the transition, layer l by the 12 - l after it and the
        # transition; in the last block the average is computed at layer 12 and goes on to the FC layer.
        ("DenseNet40", 39, 2 * (13 + sum(range(1, 13))) + (12 + sum(range(1, 12)) + 1)),
    ],
)
def test_counts_of_the_networks(network, transfers, deliveries):
    found = load_workload(network).transfers
    assert len(found) == transfers
    assert sum(len(transfer.consumers) for transfer in found) == deliveries


@pytest.mark.parametrize("network", WORKLOADS)
def test_every_layer_reads_something_and_no_more_than_it_computes_on(network):
    workload = load_workload(network)
    got = [0] * len(workload)
    for transfer in workload.transfers:
        assert transfer.producer not in transfer.consumers
        assert transfer.volume <= workload.activations_out[transfer.producer]
        for consumer in transfer.consumers:
            got[consumer] += transfer.volume
    # But for sums, which stand at a layer, and for the average of the last dense block.
    if network.startswith("VGG"):
        assert got[1:] == (workload.column("c_in") * workload.column("h_in") ** 2)[1:].tolist()
    assert got[0] == 0
    assert all(got[1:])


def test_a_layer_that_reads_a_later_one_is_refused():
    with pytest.raises(ConfigError, match=r"layer 0 \(a\) reads layer 1; expected -1"):
        make_workload("mine", "none", 4, [conv("a", (1,), 3, 3, 2), conv("b", (0,), 3, 3, 2)])
