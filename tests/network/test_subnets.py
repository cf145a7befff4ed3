"""Subnets as data: their layer tables against CrossNAS's own and against traced modules."""

import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.network.subnets import Block, canonical, check_blocks, network_layers
from moopim.problems.crossnas import CrossNasSpace
from moopim.workload import LayerKind
from moopim.workload.layers import NO_INPUT

CHANNELS = (4, 8, 16)
BLOCKS = st.builds(
    lambda kind, channels, stride: Block(kind, channels, stride if kind == "RES" else 1),
    st.sampled_from(["VGG", "MVGG", "RES"]),
    st.sampled_from(CHANNELS),
    st.sampled_from([1, 2]),
)
SUBNETS = st.lists(BLOCKS, min_size=1, max_size=6).map(tuple)


def rows(table, *, without=()):
    """The layers of a network as dictionaries, places without a layer left out."""
    places = np.flatnonzero(table.kind[0] != LayerKind.NONE).tolist()
    number = {place: i for i, place in enumerate(places)}
    names = [field.name for field in fields(table) if field.name not in {"names", "inputs", *without}]
    return [
        {name: getattr(table, name)[0, place].item() for name in names}
        | {"inputs": [number.get(i, i) for i in table.inputs[0, place].tolist() if i != NO_INPUT]}
        for place in places
    ]


@given(SUBNETS, st.integers(1, 33))
def test_layers_equal_those_of_the_crossnas_space(subnet, size):
    space = CrossNasSpace(6, 6, CHANNELS, (1, 2), (9,), (9,), (32,), (4,), (1,), size)
    genome = space.genome
    filled = [*subnet, *[Block("VGG", 4)] * (6 - len(subnet))]
    designs = genome.decode(np.zeros((1, genome.n_genes), dtype=np.int64))
    columns = {group.name: designs[group.name] for group in genome.groups}
    columns["depth"] = np.array([len(subnet)])
    for gene, field in (("block", "kind"), ("channels", "channels"), ("stride", "stride")):
        columns[gene] = np.array([[getattr(block, field) for block in filled]])
    designs = genome.decode(genome.encode(columns))
    ours, theirs = network_layers(canonical(subnet, (size, size)), (3, size, size), 6), space.layer_table(designs)
    assert rows(ours) == rows(theirs)
    names = [theirs.names[place] for place in np.flatnonzero(theirs.kind[0] != LayerKind.NONE)]
    # The place behind a block's convolutions holds its sum in one design, its pooling in another.
    assert [re.sub("[.](sum|pool)$", ".join", name) for name in ours.names] == names


@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_layers_equal_those_of_the_traced_module(size):
    pytest.importorskip("torch")
    from moopim.network.blocks import make_network
    from moopim.workload.tracing import trace

    subnet = (Block("RES", 8, 2), Block("VGG", 4), Block("MVGG", 8), Block("RES", 4, 1))
    table, traced = network_layers(subnet, (2, *size), 3), trace(make_network(subnet, (2, *size), 3), (2, *size))
    # The stride of a pooling with one position has no meaning; tracing makes it the kernel.
    without = ("stride_h", "stride_w")
    assert rows(table, without=without) == rows(traced, without=without)
    assert table.names == traced.names


def test_an_average_of_one_position_is_a_layer_as_in_the_crossnas_space_but_none_when_traced():
    pytest.importorskip("torch")
    from moopim.network.blocks import make_network
    from moopim.workload.tracing import trace

    subnet, shape = (Block("VGG", 4), Block("RES", 8, 2)), (3, 4, 4)
    table, traced = network_layers(subnet, shape, 3), trace(make_network(subnet, shape, 3), shape)
    assert table.names == (*traced.names[:-1], "average", "head")
    assert rows(table)[:-2] == rows(traced)[:-1]


@given(SUBNETS, st.integers(1, 9), st.integers(1, 9))
def test_the_canonical_form_is_its_own_and_is_allowed(subnet, height, width):
    once = canonical(subnet, (height, width))
    assert canonical(once, (height, width)) == once
    check_blocks(once, (height, width))
    sizes = network_layers(once, (3, height, width), 2)
    assert min(sizes.h_out.min(), sizes.w_out.min()) == 1
    if [block.kind for block in once] != [block.kind for block in subnet]:
        with pytest.raises(ConfigError, match="cannot halve"):
            check_blocks(subnet, (height, width))
    else:
        assert rows(network_layers(subnet, (3, height, width), 2), without=("stride_h", "stride_w")) == rows(
            sizes, without=("stride_h", "stride_w")
        )


def test_the_canonical_form_by_hand():
    subnet = (Block("VGG", 4), Block("RES", 8, 2), Block("VGG", 4), Block("VGG", 4), Block("RES", 8, 2))
    # 6x6 -> 3x3 -> 2x2 -> 1x1, where nothing shrinks.
    assert canonical(subnet, (6, 6)) == (*subnet[:3], Block("MVGG", 4), Block("RES", 8, 1))
    # A strip of one row cannot be halved, but a stride of 2 shortens it.
    assert canonical((Block("VGG", 4), Block("RES", 4, 2)), (1, 4)) == (Block("MVGG", 4), Block("RES", 4, 2))


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ((), "a subnet without blocks is not allowed; expected at least one block"),
        ((Block("RESS", 4),), "unknown kind of block 1 'RESS' .did you mean 'RES'.*; allowed: VGG, MVGG, RES"),
        ((Block("VGG", 4), Block("VGG", 0)), "channels 0 of block 2 is not allowed; expected a whole number >= 1"),
        ((Block("RES", 4, 1.5),), "stride 1.5 of block 1 is not allowed; expected a whole number >= 1"),
        ((Block("VGG", 4, 2),), r"stride 2 of block 1 \(VGG\) is not allowed; expected 1"),
        (
            (Block("VGG", 4), Block("VGG", 4)),
            r"block 2 \(VGG\) cannot halve a feature map of 1x3",
        ),
    ],
)
def test_what_is_no_subnet_is_refused(subnet, message):
    with pytest.raises(ConfigError, match=message):
        check_blocks(subnet, (3, 7))


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((3, 8), 10, r"image_shape \(3, 8\) is not allowed; expected channels, height and width >= 1"),
        ((3, 0, 8), 10, r"image_shape \(3, 0, 8\) is not allowed"),
        ((3, 8, 8), 1, "classes 1 is not allowed; expected a whole number >= 2"),
    ],
)
def test_images_and_classes_that_cannot_be_are_refused(shape, classes, message):
    with pytest.raises(ConfigError, match=message):
        network_layers((Block("VGG", 4),), shape, classes)
