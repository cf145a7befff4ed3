"""The file of designs: what it says becomes columns, and what it may not say is named with its row."""

import copy
import csv
import gzip
import json
from pathlib import Path

import pytest
from designs import designs
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.csv_files import write_rows
from moopim.hardware.planar.designs import parse_design, read_designs
from moopim.workload.layers import NO_INPUT, LayerKind

REFERENCE = Path(__file__).parents[2] / "reference" / "hardware"
WEIGHTLESS = {"k": 0, "s": 0, "p": 0}
# conv 3x3 -> conv 1x1 -> sum of both -> pool -> fc
LAYERS = [
    {"type": "conv", "in": [-1], "cin": 3, "cout": 8, "k": 3, "s": 2, "p": 1, "h": 8, "w": 8, "oh": 4, "ow": 4}
    | {"ib": 9, "wb": 5, "ob": 7},
    {"type": "conv", "in": [0], "cin": 8, "cout": 8, "k": 1, "s": 1, "p": 0, "h": 4, "w": 4, "oh": 4, "ow": 4}
    | {"ib": 7, "wb": 9, "ob": 5},
    {"type": "sum", "in": [0, 1], "cin": 8, "cout": 8, **WEIGHTLESS, "h": 4, "w": 4, "oh": 4, "ow": 4}
    | {"ib": 7, "wb": 0, "ob": 7},
    {"type": "pool", "in": [2], "cin": 8, "cout": 8, "k": 2, "s": 2, "p": 0, "h": 4, "w": 4, "oh": 2, "ow": 2}
    | {"ib": 7, "wb": 9, "ob": 7},
    {"type": "fc", "in": [3], "cin": 32, "cout": 10, **WEIGHTLESS, "h": 1, "w": 1, "oh": 1, "ow": 1}
    | {"ib": 7, "wb": 7, "ob": 9},
]
HARDWARE = {
    "profile": "paper",
    "group_num": 2,
    "adc_num": 16,
    "dac_num": 32,
    "dev_area": 1.5,
    "drv": 3.0,
    "nm_t": 45,
    "rl": 2e3,
    "rh": 5e6,
    "v": 0.4,
    "t_dev": 2.5,
    "pe": 9,
    "side": 12,
    "noc": 30.0,
    "intra": 512.0,
    "xbar": 64,
    "adc_bits": 4,
    "adc_choice": 7,
    "dac_bits": 2,
    "dac_choice": 2,
}
DESIGN = {"schema": 1, "classes": 10, "blocks": "whatever", "layers": LAYERS, "hw": HARDWARE}


def changed(*path, to):
    """The design with one entry changed, or without it where `to` is None."""
    design = copy.deepcopy(DESIGN)
    place = design
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return design


def write(path, *designs):
    write_rows(path, ["design", "note", "id"], [[json.dumps(design), "x", f"d{i}"] for i, design in enumerate(designs)])
    return path


def test_a_design_becomes_columns(tmp_path):
    found = read_designs(write(tmp_path / "a.csv", DESIGN))
    table, chip = found.table, found.chip
    assert found.ids == ["d0"]
    assert table.kind.tolist() == [
        [LayerKind.CONV, LayerKind.CONV, LayerKind.SUM, LayerKind.POOL, LayerKind.FC],
    ]
    assert table.inputs[0].tolist() == [[-1, NO_INPUT], [0, NO_INPUT], [0, 1], [2, NO_INPUT], [3, NO_INPUT]]
    assert table.kernel_h.tolist() == table.kernel_w.tolist() == [[3, 1, 1, 2, 1]]
    assert table.stride_h.tolist() == [[2, 1, 1, 2, 1]]
    assert table.padding_w.tolist() == [[1, 0, 0, 0, 0]]
    assert table.weight_bits.tolist() == [[5, 9, 0, 0, 7]]
    assert table.macs.tolist() == [[27 * 8 * 16, 8 * 8 * 16, 0, 0, 320]]
    assert table.waits.tolist() == [[False] * 4 + [True]]
    columns = {
        "groups": 2,
        "adcs": 16,
        "dacs": 32,
        "cell_area_um2": 1.5,
        "driver_area_um2": 3.0,
        "mux_nm": 45,
        "resistance_low_ohm": 2e3,
        "resistance_high_ohm": 5e6,
        "read_low_V": 0.0,
        "read_high_V": 0.4,
        "read_ns": 2.5,
        "pes": 9,
        "grid": 12,
        "noc_bits_per_ns": 30.0,
        "tile_bits_per_ns": 512.0,
        "crossbar": 64,
        "adc_bits": 4,
        "adc_area_um2": 500.0,
        "adc_ns": 6.0,
        "dac_bits": 2,
        "dac_power_W": 7.8e-6,
        "cell_bits": 2,
        "polarity": 2,
        "digital_subtraction": False,
    }
    assert {name: getattr(chip, name).tolist() for name in columns} == {k: [v] for k, v in columns.items()}


def test_designs_of_several_depths_and_profiles_stand_below_each_other(tmp_path):
    short = {**DESIGN, "layers": LAYERS[:1], "hw": HARDWARE | {"profile": "cur", "xbar": 32}}
    found = read_designs(write(tmp_path / "a.csv", short, DESIGN))
    assert found.table.kind[0].tolist() == [LayerKind.CONV] + [LayerKind.NONE] * 4
    assert found.table.kind[1].all()
    assert found.chip.crossbar.tolist() == [32, 64]
    assert found.chip.cell_bits.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (changed("schema", to=2), "schema=2 is not allowed; expected 1"),
        (changed("hw", to=None), "hw is missing"),
        (changed("layers", to=[]), "layers=[] is not allowed; expected at least one"),
        (changed("layers", 1, "cin", to=None), "layers[1].cin is missing"),
        (changed("layers", 1, "cin", to=-3), "layers[1].cin=-3 is not allowed; expected at least 1"),
        (changed("layers", 1, "cin", to=2.5), "layers[1].cin=2.5 is not allowed; expected a valid integer"),
        (changed("layers", 1, "cin", to=True), "layers[1].cin=True is not allowed"),
        (changed("layers", 1, "cin", to="8"), "layers[1].cin='8' is not allowed"),
        (changed("layers", 0, "h", to=10**30), "layers[0].h=1000000000000000000000000000000 is not allowed"),
        (changed("layers", 0, "ib", to=0), "layers[0].ib=0 is not allowed; expected at least 1"),
        (changed("layers", 0, "wb", to=0), "layers[0].wb=0 is not allowed; expected at least 2, sign included"),
        (changed("layers", 1, "kernel", to=3), "unknown field 'layers[1].kernel'"),
        (changed("layers", 1, "type", to="gru"), "layers[1].type='gru' is not allowed; expected 'conv', 'pool', 'fc'"),
        (changed("layers", 0, "k", to=0), "layers[0].k=0 is not allowed in a conv; expected at least 1"),
        (changed("layers", 3, "s", to=0), "layers[3].s=0 is not allowed in a pool; expected at least 1"),
        (changed("hw", "xbar", to=8), "layers[0].k=3 is not allowed: 9 weights need as many rows"),
        (changed("hw", "adc_num", to=0), "hw.adc_num=0 is not allowed; expected at least 1"),
        (changed("hw", "adc_nm", to=4), "unknown field 'hw.adc_nm' (did you mean 'hw.adc_num'?)"),
        (changed("hw", "v", to=float("nan")), "hw.v=nan is not allowed; expected a finite number"),
        (changed("hw", "v", to=float("inf")), "hw.v=inf is not allowed; expected a finite number"),
        (changed("hw", "side", to=10**6), "hw.side=1000000 is not allowed; expected at most 65536"),
        (changed("layers", to=[LAYERS[3] | {"in": [-1]}]), "layers have no weights; expected at least one conv or fc"),
        (changed("hw", "drv", to=-1.0), "hw.drv=-1.0 is not allowed; expected at least 0"),
        (changed("hw", "rl", to=1e9), "hw.rl=1000000000.0 is not allowed; expected at most hw.rh=5000000.0"),
        (changed("hw", "profile", to="new"), "hw.profile='new' is not allowed; expected 'cur' or 'paper'"),
        (changed("hw", "profile", to=None), "hw.profile is missing; expected cur or paper, or one for all (--profile)"),
        (changed("hw", "adc", to="mine"), "hw.adc is not allowed: schema 1 has no parts by name; expected hw.adc_choi"),
        (changed("hw", "dac", to="mine"), "hw.dac is not allowed: schema 1 has no parts by name; expected hw.dac_choi"),
        (changed("hw", "device", to="fefet"), "hw.device is not allowed: schema 1 has no parts by name; expected its"),
        (changed("hw", "adc_choice", to=12), "hw.adc_choice=12 is not allowed; expected one of 1, 2, 3"),
        (changed("hw", "adc_bits", to=5), "hw.adc_bits=5 is not allowed; expected 4, as adc_choice=7 has"),
        (changed("hw", "dac_choice", to=6), "hw.dac_choice=6 is not allowed; expected one of 1, 2"),
        (
            changed("layers", 1, "in", to=[1]),
            "layers[1].in=1 is not allowed; expected -1 (the image) or a layer before",
        ),
        (changed("layers", 1, "in", to=[4]), "layers[1].in=4 is not allowed"),
        (changed("layers", 0, "in", to=[0]), "layers[0].in=0 is not allowed; expected -1 (the image)"),
        (changed("layers", 1, "in", to=[-2]), "layers[1].in=-2 is not allowed"),
        (changed("layers", 2, "in", to=[1]), "layers[2].in=[1] is not allowed; expected at least two layers to add"),
        (changed("layers", 2, "in", to=[1, -1]), "layers[2].in=[1, -1] is not allowed: their outputs are 3x8x8, 8x4x4"),
        (changed("layers", 1, "cin", to=7), "layers[1].cin=7 is not allowed; expected 8"),
        (changed("layers", 1, "h", to=5), "layers[1].h=5 is not allowed; expected 4"),
        (changed("layers", 0, "ow", to=5), "layers[0].ow=5 is not allowed; expected 4"),
        (changed("layers", 3, "cout", to=9), "layers[3].cout=9 is not allowed; expected 8"),
        (changed("layers", 4, "cin", to=8), "layers[4].cin=8 is not allowed; expected 32"),
        (changed("layers", 4, "oh", to=2), "layers[4].oh=2 is not allowed; expected 1"),
        ([], "design=[] is not allowed; expected an object"),
    ],
)
def test_a_broken_design_is_named_with_its_row_field_and_value(tmp_path, design, message):
    path = write(tmp_path / "a.csv", DESIGN, design)
    with pytest.raises(ConfigError) as error:
        read_designs(path)
    assert str(error.value).startswith(f"row 2 (id 'd1') of {str(path)!r}: {message}")


def test_a_field_with_a_wrong_name_is_named_not_the_one_that_is_missing_for_it():
    design = changed("hw", "adc_num", to=None)
    design["hw"]["adc_nm"] = 4
    with pytest.raises(ConfigError, match=r"unknown field 'hw\.adc_nm' \(did you mean 'hw\.adc_num'\?\)"):
        parse_design(json.dumps(design))


def test_a_profile_for_all_designs_is_that_of_those_that_say_none(tmp_path):
    without = changed("hw", "profile", to=None)
    path = write(tmp_path / "a.csv", DESIGN, without)
    assert read_designs(path, "paper").chip.cell_bits.tolist() == [2, 2]
    assert read_designs(write(tmp_path / "b.csv", without), "cur").chip.cell_bits.tolist() == [1]
    with pytest.raises(ConfigError) as error:
        read_designs(path, "cur")
    assert str(error.value) == (
        f"row 1 (id 'd0') of {str(path)!r}: hw.profile='paper' is not allowed: 'cur' is given for all; expected it or "
        "none"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("id,design\n", "has no rows"),
        ("id,design\n7,{broken\n", "row 1 (id '7') of"),
        ("id,design\n7,{broken\n", "design is not JSON: "),
        ("id,design\n7,\n", "design is not JSON: "),
        ("id,design\n7,nan\n", "design"),
        ("id,design\n ,{}\n", "id is missing; expected a name of its own"),
        ("id,design\n7,{}\n8,{}\n7,{}\n", "row 3 (id '7')"),
        ("id,design\n7,{}\n8,{}\n7,{}\n", "id is that of row 1"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_designs(path)
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.csv' cannot be read"):
        read_designs(tmp_path / "no.csv")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.data())
def test_any_change_of_a_design_is_read_or_refused_with_a_reason(data):
    design = copy.deepcopy(DESIGN)
    place = data.draw(st.sampled_from([design, design["hw"], *design["layers"]]))
    place[data.draw(st.sampled_from([*place, "new"]))] = data.draw(JSON)

    def outcome():
        try:
            return parse_design(json.dumps(design)).layers
        except ConfigError as error:
            return str(error)

    assert outcome()


@pytest.mark.parametrize("name", ["designs_public", "designs_public_paper", "designs_infeasible"])
def test_all_designs_of_the_reference_are_accepted(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.decompress((REFERENCE / f"{name}.csv.gz").read_bytes()))
    found = read_designs(path)
    with path.open(newline="") as file:
        designs = [json.loads(row["design"]) for row in csv.DictReader(file)]
    assert (found.table.kind != LayerKind.NONE).sum(axis=1).tolist() == [len(design["layers"]) for design in designs]
    assert found.chip.crossbar.tolist() == [design["hw"]["xbar"] for design in designs]


@settings(max_examples=100)
@given(designs())
def test_designs_of_every_shape_are_accepted(design):
    assert len(parse_design(json.dumps(design)).layers) == len(design["layers"])
