"""The oracle equals MNSIM's own numbers, and keeps the invariants that any model of the chip keeps."""

import copy
import json
import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import literal_physical as physical
import literal_planar as literal
import numpy as np
import pandas as pd
import pytest
from designs import designs, random_design
from hypothesis import given
from hypothesis import strategies as st

REFERENCE = Path(__file__).parents[2] / "reference" / "hardware"
COMPONENTS = ("xbar", "ADC", "DAC", "digital", "buf", "pooling")
PUBLIC = [(profile, i) for profile in ("", "_paper") for i in range(150)]
# The first 20 of each profile have layer tables.
BATCH = [case if case[1] < 20 else pytest.param(*case, marks=pytest.mark.slow) for case in PUBLIC]


@cache
def table(name):
    return pd.read_csv(REFERENCE / f"{name}.csv.gz")


def nets():
    return pd.read_csv(REFERENCE / "reference_nets.csv")


def exactly(expected):
    return pytest.approx(expected, rel=1e-12, abs=0)


def assert_totals(totals, row):
    named = [name for name in row.index if name in totals]
    assert {"energy_mJ", "latency_ms", "area_mm2", "edp_mJms", "power_W", "tiles"} <= set(named)
    assert {name: totals[name] for name in named} == exactly({name: row[name] for name in named})


def assert_rows(rows, expected):
    assert len(rows) == len(expected)
    for row, (_, wanted) in zip(rows, expected.iterrows(), strict=True):
        assert row.pop("type") == wanted["type"]
        assert row == exactly({name: wanted[name] for name in row})


@pytest.mark.parametrize(("profile", "i"), BATCH)
def test_designs_equal_the_reference(profile, i):
    row = table(f"designs_public{profile}").set_index("id", drop=False).loc[i]
    totals, rows = literal.evaluate(json.loads(row["design"]))
    assert_totals(totals, row)
    layers = table(f"layers_public{profile}")
    if i < 20:
        assert_rows(rows, layers[layers["design_id"] == i])


@pytest.mark.parametrize("i", range(24))
def test_networks_equal_the_reference(i):
    row = nets().loc[i]
    totals, rows = literal.evaluate(json.loads(row["design"]))
    assert_totals(totals, row)
    assert totals["energy_xbar_mJ"] == exactly(row["xbar_energy_mJ"])
    layers = table("layers_reference")
    layers = layers[(layers["config"] == row["config"]) & (layers["net"] == row["net"])]
    if row["classes"] == 10 and len(layers):
        assert_rows(rows, layers)


def test_designs_beyond_the_grid_are_told_by_their_tiles():
    for _, row in table("designs_infeasible").iterrows():
        assert literal.evaluate(json.loads(row["design"])) == (
            {"tiles": row["tiles_needed"], "feasible": False},
            [],
        )


def test_tiles_fill_square_shells_and_neighbours_touch():
    places = [literal.grid_position(n) for n in range(400)]
    assert len(set(places)) == 400
    assert {places[n] for n in range(81)} == {(row, column) for row in range(9) for column in range(9)}
    assert all(literal.distance(tile, other) == 1 for tile, other in pairwise(places))


@given(designs(), st.sampled_from([None, frozenset(), physical.FIXES]))
def test_totals_are_sums(design, fixes):
    totals, rows = literal.evaluate(design) if fixes is None else physical.evaluate(design, fixes)
    for quantity, unit in (("energy", "mJ"), ("area", "mm2")):
        parts = [totals[f"{quantity}_{part}_{unit}"] for part in COMPONENTS]
        assert math.fsum(parts) == exactly(totals[f"{quantity}_{unit}"])
    for name, column, scale, chip_level in (
        ("energy_mJ", "energy_nJ", 1e-6, "energy_leakage_mJ"),
        ("area_mm2", "area_um2", 1e-6, "area_global_mm2"),
        ("power_W", "power_W", 1, "power_leakage_W"),
    ):
        layers = scale * math.fsum(row[column] for row in rows)
        assert layers + totals.get(chip_level, 0.0) == exactly(totals[name])
    for row in rows:
        assert math.fsum(value for name, value in row.items() if name.startswith("E_")) == exactly(row["energy_nJ"])
    assert totals["tiles"] == sum(row["tiles"] for row in rows)


@given(designs())
def test_no_layer_starts_before_its_data_or_ends_before_it_starts(design):
    _, rows = literal.evaluate(design)
    for row, layer in zip(rows, design["layers"], strict=True):
        assert 0 <= row["begin_ns"] < row["first_finish_ns"] <= row["finish_ns"]
        firsts = [rows[producer]["first_finish_ns"] for producer in layer["in"] if producer >= 0]
        assert row["begin_ns"] >= max(firsts, default=0.0) * (1 - 1e-12)


@given(designs(), st.sampled_from([frozenset(), physical.FIXES]))
def test_a_longer_network_needs_no_less(design, fixes):
    layers = design["layers"]
    last = layers[-1]
    fc = {"type": "fc", "in": [len(layers) - 1], "cin": last["cout"] * last["oh"] * last["ow"], "cout": 10}
    fc |= {"k": 0, "s": 0, "p": 0, "h": 1, "w": 1, "oh": 1, "ow": 1, "ib": last["ob"], "wb": 5, "ob": 9}
    before, _ = physical.evaluate(design, fixes)
    after, _ = physical.evaluate(design | {"layers": [*layers, fc]}, fixes)
    for name in ("energy_mJ", "latency_ms", "area_mm2", "power_W", "tiles"):
        assert after[name] >= before[name], name


@given(designs())
def test_the_order_of_producers_matters_to_a_sum_only(design):
    turned = copy.deepcopy(design)
    for layer in turned["layers"]:
        if layer["type"] != "sum":
            layer["in"].reverse()
    assert literal.evaluate(turned) == literal.evaluate(design)


@given(designs())
def test_a_design_is_well_formed(design):
    layers, X = design["layers"], design["hw"]["xbar"]
    assert json.loads(json.dumps(design)) == design
    assert layers[0]["type"] == "conv"
    assert {producer for layer in layers for producer in layer["in"]} >= set(range(len(layers) - 1))
    for i, layer in enumerate(layers):
        assert all(-1 <= producer < i for producer in layer["in"])
        assert min(layer[name] for name in ("cin", "cout", "h", "w", "oh", "ow", "ib", "ob")) >= 1
        assert layer["type"] != "conv" or layer["k"] ** 2 <= X
        assert layer["type"] in {"pool", "sum"} or layer["wb"] >= 2
        assert layer["type"] != "sum" or len(layer["in"]) >= 2
        for producer in (layers[producer] for producer in layer["in"] if producer >= 0 and layer["type"] != "fc"):
            assert (producer["oh"], producer["ow"]) == (layer["h"], layer["w"])
    assert literal.evaluate(design)[0]["feasible"]


def test_equal_seeds_draw_equal_designs():
    first, second, other = (random_design(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == second != other


# The physical mode -----------------------------------------------------------------------------------------------


def tiny(*more, wb=9, ib=9, **hw):
    """A 1x1 convolution of 4 channels on one pixel, and further layers that change no size."""
    conv = {"type": "conv", "in": [-1], "cin": 4, "cout": 4, "k": 1, "s": 1, "p": 0, "h": 1, "w": 1, "oh": 1, "ow": 1}
    conv |= {"ib": ib, "wb": wb, "ob": 9}
    circuit = {"profile": "cur", "group_num": 1, "adc_num": 4, "dac_num": 16, "dev_area": 1.44, "drv": 0.0}
    circuit |= {"nm_t": 130, "rl": 1e4, "rh": 1e6, "v": 0.15, "t_dev": 3.16, "pe": 1, "side": 8, "noc": 20.0}
    circuit |= {"intra": 1024.0, "xbar": 16, "adc_bits": 6, "adc_choice": 6, "dac_bits": 1, "dac_choice": 1}
    return {"schema": 1, "classes": 4, "layers": [conv, *(conv | layer for layer in more)], "hw": circuit | hw}


def change(design, fix, name):
    """Change of a total by one fix."""
    return physical.evaluate(design, {fix})[0][name] - literal.evaluate(design)[0][name]


@given(designs())
def test_without_fixes_the_physical_mode_is_the_other(design):
    totals, rows = literal.evaluate(design)
    same, same_rows = physical.evaluate(design, frozenset())
    assert {name: same[name] for name in totals} == exactly(totals)
    for row, same_row in zip(rows, same_rows, strict=True):
        assert row.pop("type") == same_row["type"]
        assert {name: same_row[name] for name in row} == exactly(row)


def test_adders_take_power_times_time():
    # Two slices in two groups: one adder of 2e-8 W, one column of the multiplexer, one level, 2 ns.
    assert change(tiny(wb=3, group_num=2), "adder_energy", "energy_mJ") == pytest.approx(4e-14, rel=1e-4)
    assert physical.evaluate(tiny(wb=3, group_num=2), {"adder_energy"})[1][0]["E_adder_nJ"] == exactly(4e-8)


def test_a_sum_costs_two_words_and_four_adders():
    # 2 inputs of 4 channels of 9 bits: 72 bits, two words, 9 bytes.
    design = tiny({"in": [0]}, {"type": "sum", "in": [0, 1], "wb": 0})
    totals, rows = physical.evaluate(design, {"sum_layers"})
    # A word is written and read in 20 ns each, while the buffer leaks 1.006428 mW.
    assert rows[2]["energy_nJ"] == exactly(2 * (0.0075695 + 0.0131361 + 2 * 20 * 1.006428e-3) + 4 * 2e-8 * 2)
    assert rows[2]["power_W"] == exactly((0.0075695 + 0.0131361) / 20 + 2 * 1.006428e-3 + 4 * 2e-8)
    assert totals["globalbuf_KB"] == 16 / 1024
    assert totals["area_global_mm2"] == exactly(0.0405803 + 4 * 2.268e-6)
    assert change(design, "sum_layers", "latency_ms") == 0


def test_buffers_pay_for_their_own_words_and_leak_all_the_time():
    # One word each way in the input buffer (36 bits) and in the output buffer (24 bits in, 36 bits out).
    totals, rows = physical.evaluate(tiny(wb=2), {"buffers"})
    assert rows[0]["E_buf_r_nJ"] == exactly(2 * 0.0075695)
    assert rows[0]["E_buf_w_nJ"] == exactly(2 * 0.0131361)
    assert totals["power_leakage_W"] == exactly(2 * 1.006428e-3)
    assert totals["energy_leakage_mJ"] == exactly(2 * 1.006428e-3 * totals["latency_ms"])
    # Two ways, two buffers, each with leakage: half of it goes.
    assert change(tiny(wb=2), "buffers", "power_W") == pytest.approx(-2 * 1.006428e-3, rel=1e-9)


def test_a_pool_reads_its_output_once():
    pool = {"type": "pool", "in": [0], "wb": 0}
    assert change(tiny(pool), "pool_read", "latency_ms") == pytest.approx(-20e-6, rel=1e-9)
    assert change(tiny(pool), "pool_read", "energy_mJ") == 0


@pytest.mark.parametrize(("ib", "dac", "cycles"), [(9, 1, 1), (1, 1, 0), (5, 2, 1), (4, 2, 0)])
def test_the_sign_is_not_streamed(ib, dac, cycles):
    # A cycle: crossbar, DAC, ADC, input and shift register, decoder, multiplexer (two levels each).
    s = 256 / 8192
    read = 3.16 + 1e-3 * (2e-4 * s * s + 5e-6 * s + 4e-14)
    cycle = read + (dac + 2) + 8 + 2 + 2 + 2 * 0.27933 + 2 * 0.032744
    design = tiny(ib=ib, dac_bits=dac, dac_choice=dac)
    assert change(design, "magnitude_bits", "latency_ms") == pytest.approx(-cycles * cycle * 1e-6, rel=1e-9)


def test_cells_of_two_bits_halve_the_slices():
    assert literal.evaluate(tiny())[0]["tiles"] == 8
    assert [physical.evaluate(tiny(cell_bits=bits), {"cell_bits"})[0]["tiles"] for bits in (1, 2, 3, 8)] == [8, 4, 3, 1]
    assert physical.evaluate(tiny(profile="paper"), {"cell_bits"})[0]["tiles"] == 4


def test_slices_share_their_inputs():
    # 4 values of 9 bits: 4.5 bytes, for each of the 8 PEs.
    assert literal.evaluate(tiny())[0]["inbuf_KB"] == 1 / 1024
    assert physical.evaluate(tiny(), {"input_buffer"})[0]["inbuf_KB"] == 8 / 1024


@given(designs())
def test_pes_hold_every_bit_of_the_weights_once(design):
    c = literal.circuit(design["hw"])
    for layer, m in zip(design["layers"], literal.map_layers(design["layers"], c), strict=True):
        if layer["type"] in {"conv", "fc"}:
            pes = physical.occupied_pes(layer, m, c)
            assert sum(pes.values()) == m.n_pe
            held = sum(R * C * g * count for (R, C, g), count in pes.items())
            assert held == layer["cin"] * m.k**2 * layer["cout"] * (layer["wb"] - 1)


@given(designs())
def test_exact_occupancy_never_costs_more(design):
    for name in ("energy_mJ", "power_W"):
        assert change(design, "occupancy", name) <= 1e-12 * literal.evaluate(design)[0][name]
    for name in ("latency_ms", "area_mm2", "tiles"):
        assert change(design, "occupancy", name) == 0


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_full_crossbars_are_the_same_in_both_modes(groups):
    full = {"in": [0], "cin": 32, "cout": 48}
    design = tiny(full, group_num=groups, pe=2)
    design["layers"][0] |= {"cin": 16, "cout": 32}
    before, after = literal.evaluate(design)[1], physical.evaluate(design, {"occupancy"})[1]
    assert [row["energy_nJ"] for row in after] == exactly([row["energy_nJ"] for row in before])
    assert [row["power_W"] for row in after] == exactly([row["power_W"] for row in before])
