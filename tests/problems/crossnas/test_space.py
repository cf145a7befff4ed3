"""The CrossNAS space: its size, its layer tables against MNSIM's designs, and one form for equal designs."""

import csv
import gzip
import itertools
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.problems.crossnas import CrossNasSpace
from moopim.workload import IMAGE, LayerKind

REFERENCE = Path(__file__).parents[2] / "reference" / "hardware"
PARTS = ("a", "b", "shortcut")


def reference_designs(classes):
    """Designs of the reference files that lie in the space: bits handed on along the chain, a head of one layer."""
    designs = []
    for name in ("designs_public.csv.gz", "designs_public_paper.csv.gz"):
        with gzip.open(REFERENCE / name, "rt", newline="") as file:
            designs += [json.loads(row["design"]) for row in csv.DictReader(file)]
    return [d for d in designs if d["classes"] == classes and d["ab_mode"] == "chain" and not d["head"]["hidden"]]


def columns_of(space, designs):
    """The columns of reference designs; genes that a design does not have get their first value."""
    rows = []
    for design in designs:
        blocks = design["blocks"]
        row = {
            "depth": len(blocks),
            "block": [block["type"] for block in blocks],
            "channels": [block["ch"] for block in blocks],
            "stride": [block["stride"] for block in blocks],
            "weight_bits_head": design["head"]["wb"][0],
            "activation_bits_head": design["head"]["ab"][0],
            "crossbar": design["hw"]["xbar"],
            "adc_bits": design["hw"]["adc_bits"],
            "dac_bits": design["hw"]["dac_bits"],
        }
        for place, part in enumerate(PARTS):
            for name, short in (("weight_bits", "wb"), ("activation_bits", "ab")):
                row[f"{name}_{part}"] = [block[short][place] if place < len(block[short]) else 5 for block in blocks]
        if not space.genome.slices.get("stride"):
            assert set(row.pop("stride")) == {1}
        for name, value in row.items():
            if isinstance(value, list):
                value.extend([space.genome.group(name).values[0]] * (space.max_blocks - len(blocks)))
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def layers_of(table, row):
    """The layers of one network as the reference writes them: without gaps, and 0 where there is no window."""
    places = np.flatnonzero(table.kind[row] != LayerKind.NONE).tolist()
    number = {IMAGE: IMAGE, **{place: i for i, place in enumerate(places)}}

    def entry(column, place):
        return int(np.broadcast_to(column, table.kind.shape)[row, place])

    layers = []
    for place in places:
        kind = LayerKind(entry(table.kind, place)).name.lower()
        window = kind in {"conv", "pool"}
        layers.append({
            "type": kind,
            "in": [number[int(p)] for p in table.inputs[row, place] if p >= IMAGE],
            "cin": entry(table.c_in, place),
            "cout": entry(table.c_out, place),
            "k": entry(table.kernel_h, place) if window else 0,
            "s": entry(table.stride_h, place) if window else 0,
            "p": entry(table.padding_h, place) if window else 0,
            "h": entry(table.h_in, place),
            "w": entry(table.w_in, place),
            "oh": entry(table.h_out, place),
            "ow": entry(table.w_out, place),
            "ib": entry(table.input_bits, place),
            "wb": entry(table.weight_bits, place),
            "ob": entry(table.output_bits, place),
        })  # fmt: skip
    return layers


def flat(table):
    """All entries of each network, 0 where there is no layer; shape ``(networks, entries)``."""
    used = table.kind != LayerKind.NONE
    columns = [getattr(table, field.name) for field in fields(table) if field.name not in {"names", "inputs"}]
    columns += [table.inputs[..., i] for i in range(table.inputs.shape[2])]
    return np.concatenate([np.where(used, column, 0) for column in columns], axis=1)


def hardware_of(space, designs, row):
    return {name: int(values[row]) for name, values in space.chip_parameters(designs).items()}


@pytest.mark.parametrize(("classes", "least"), [(10, 50), (100, 100)])
def test_the_tables_of_mnsims_designs_entry_by_entry(classes, least):
    space = CrossNasSpace(classes)
    expected = reference_designs(classes)
    assert len(expected) >= least
    X = space.genome.encode(columns_of(space, expected))
    designs = space.genome.decode(X)
    table = space.layer_table(designs)
    for row, design in enumerate(expected):
        assert layers_of(table, row) == design["layers"]
        names = {"crossbar": "xbar", "adc_bits": "adc_bits", "dac_bits": "dac_bits"}
        assert hardware_of(space, designs, row) == {name: design["hw"][short] for name, short in names.items()}
    # The designs are written in the canonical form.
    assert np.array_equal(space.canonical(X), X)


def test_the_space_is_that_of_table_1():
    space = CrossNasSpace()
    # Each block: three types, three widths, six bit widths; the head two bit widths; 4 x 4 x 2 circuits.
    assert space.genome.size == sum((3 * 3 * 3**6) ** depth for depth in range(1, 9)) * 3**2 * 32
    assert CrossNasSpace(100).genome.size == sum((3 * 3 * 2 * 3**6) ** depth for depth in range(1, 9)) * 3**2 * 32


def test_chains_of_one_res_block_by_hand():
    space = CrossNasSpace(100, max_blocks=2)
    values = {name: [[5, 5]] for name in (f"{kind}_bits_{part}" for kind in ("weight", "activation") for part in PARTS)}
    values |= {"weight_bits_b": [[7, 5]], "activation_bits_a": [[7, 5]], "activation_bits_shortcut": [[9, 5]]}
    values |= {"depth": [1], "block": [["RES", "VGG"]], "channels": [[64, 32]], "stride": [[2, 1]]}
    values |= {"weight_bits_head": [9], "activation_bits_head": [7], "crossbar": [64], "adc_bits": [4], "dac_bits": [2]}
    table = space.layer_table(space.genome.decode(space.genome.encode(values)))
    names = dict(zip(table.names, range(table.layers), strict=True))
    a, b, shortcut, join = (names[f"block1.{part}"] for part in (*PARTS, "join"))
    assert table.inputs[0, [a, b, shortcut, join]].tolist() == [[-1, -2], [a, -2], [-1, -2], [shortcut, b]]
    assert table.inputs[0, [names["average"], names["head"]]].tolist() == [[join, -2], [names["average"], -2]]
    assert table.macs[0].sum() == 16 * 16 * (27 * 64 + 576 * 64 + 3 * 64) + 64 * 100
    assert table.input_bits[0, [a, b, shortcut, join]].tolist() == [9, 7, 9, 9]
    assert table.output_bits[0, [a, b, shortcut, join, names["head"]]].tolist() == [7, 5, 9, 9, 7]
    assert table.kernel_h[0, names["average"]] == 16


def test_designs_with_one_table_have_one_canonical_form_and_others_do_not():
    # Feature maps of 2x2, 1x1 and 1x1 make every case: all designs of two blocks, one circuit.
    space = CrossNasSpace(
        100, 2, (8,), weight_bits=(5,), activation_bits=(5, 9), crossbar=(64,), adc_bits=(4,), dac_bits=(1,), size=2
    )
    X = np.array(list(itertools.product(*(range(n) for n in space.genome.n_values))))
    table = space.layer_table(space.genome.decode(X))
    tables, rows = flat(table), space.canonical(X)
    distinct = [len(np.unique(entries, axis=0)) for entries in (tables, rows, np.hstack([tables, rows]))]
    assert len(set(distinct)) == 1
    assert distinct[0] < len(X) / 3


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 32]))
def test_the_canonical_form_keeps_the_network_and_itself(seed, size):
    space = CrossNasSpace(100, size=size)
    X = space.genome.sample(8, np.random.default_rng(seed))
    canonical = space.canonical(X)
    assert np.array_equal(space.canonical(canonical), canonical)
    before, after = (space.layer_table(space.genome.decode(rows)) for rows in (X, canonical))
    assert np.array_equal(flat(before), flat(after))


@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 32]))
def test_layers_fit_their_producers_and_bits_run_along_the_chain(seed, size):
    space = CrossNasSpace(100, size=size)
    designs = space.genome.decode(space.genome.sample(8, np.random.default_rng(seed)))
    table = space.layer_table(designs)
    chained = table.with_bits(table.weight_bits, table.output_bits)
    used = table.kind != LayerKind.NONE
    for name in ("input_bits", "weight_bits", "output_bits"):
        assert np.array_equal(getattr(chained, name)[used], getattr(table, name)[used]), name
    kernel, stride, padding = table.kernel_h, table.stride_h, table.padding_h
    assert np.array_equal(((table.h_in + 2 * padding - kernel) // stride + 1)[used], table.h_out[used])
    for row in range(len(designs)):
        for place in np.flatnonzero(used[row]):
            for producer in table.inputs[row, place]:
                if producer < 0:
                    continue
                assert used[row, producer]
                assert producer < place
                assert table.c_out[row, producer] == table.c_in[row, place]
                assert table.h_out[row, producer] == table.h_in[row, place]


@given(st.integers(0, 2**32 - 1))
def test_a_batch_is_its_designs_one_at_a_time(seed):
    space = CrossNasSpace(10)
    X = space.genome.sample(5, np.random.default_rng(seed))
    alone = [space.layer_table(space.genome.decode(row[None])) for row in X]
    assert np.array_equal(flat(space.layer_table(space.genome.decode(X))), np.concatenate(list(map(flat, alone))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes 1 of the CrossNAS space is not allowed; expected whole numbers >= 2"),
        ({"max_blocks": 0}, "max_blocks 0 of the CrossNAS space is not allowed; expected whole numbers >= 1"),
        ({"weight_bits": (5, 0)}, "weight_bits_a 0 of the CrossNAS space is not allowed"),
        ({"channels": (32, 2.5)}, "channels 2.5 of the CrossNAS space is not allowed"),
        ({"crossbar": ()}, "gene group 'crossbar' has no allowed values"),
        ({"strides": (1, 1)}, "gene group 'stride' has a repeated value"),
    ],
)
def test_what_is_not_allowed_is_refused(arguments, message):
    with pytest.raises(ConfigError) as error:
        CrossNasSpace(**arguments)
    assert message in str(error.value)
