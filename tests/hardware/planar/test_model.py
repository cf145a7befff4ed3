"""The vectorised model against MNSIM's own numbers, against the oracle, and its invariants."""

import csv
import json
from pathlib import Path

import literal_physical as physical
import literal_planar as literal
import numpy as np
import pandas as pd
import pytest
from designs import designs, random_design
from hypothesis import given, settings
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.designs import read_designs
from moopim.hardware.planar.model import FIXES, break_down, evaluate_planar
from moopim.workload import Layer, make_table, network_table

REFERENCE = Path(__file__).parents[2] / "reference" / "hardware"
TOTALS = {
    "energy_mJ": "energy",
    "latency_ms": "latency",
    "area_mm2": "area",
    "edp_mJms": "edp",
    "power_W": "power",
    "tiles": "tiles",
}
AREAS = {
    "xbar": ("crossbar",),
    "ADC": ("adc",),
    "DAC": ("dac",),
    "digital": ("digital", "element_wise"),
    "buf": ("buffer",),
    "pooling": ("pooling",),
}
DIGITAL = ("input_register", "output_register", "demux", "mux", "shift_register", "joint")
ENERGIES = {
    "xbar": ("crossbar",),
    "ADC": ("adc",),
    "DAC": ("dac",),
    "digital": DIGITAL,
    "buf": ("buffer_read", "buffer_write"),
    "pooling": ("pooling",),
}
PLACES = {
    "tiles": "tiles",
    "PEs": "pes",
    "mx": "m_x",
    "my": "m_y",
    "max_row": "rows",
    "max_col": "columns",
    "max_PE": "busy_pes",
    "start_tile": "first_tile",
    "d_in": "hops_in",
    "d_trans": "hops_out",
    "begin_ns": "begin_ns",
    "finish_ns": "finish_ns",
    "first_finish_ns": "first_finish_ns",
    "area_um2": "area_um2",
    "power_W": "power_W",
    "energy_nJ": "energy_nJ",
}
PARTS = {
    "xbar": "crossbar",
    "ADC": "adc",
    "DAC": "dac",
    "iReg": "input_register",
    "oReg": "output_register",
    "input_demux": "demux",
    "output_mux": "mux",
    "shiftreg": "shift_register",
}
ENERGY_PARTS = PARTS | {"jointmodule": "joint", "pooling": "pooling", "buf_r": "buffer_read", "buf_w": "buffer_write"}
TIME_PARTS = PARTS | {
    "adder": "adder",
    "jointmodule": "joint",
    "pooling": "pooling",
    "buffer_r": "buffer_read",
    "buffer_w": "buffer_write",
    "intra_tile": "intra_tile",
}


@pytest.fixture(scope="session")
def read(tmp_path_factory):
    """Makes tables and chips of designs given as JSON texts or dicts."""
    folder = tmp_path_factory.mktemp("designs")

    def make(found):
        path = folder / "designs.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "design"])
            for i, design in enumerate(found):
                writer.writerow([i, design if isinstance(design, str) else json.dumps(design)])
        made = read_designs(path)
        return made.table, made.chip

    return make


def close(expected, tolerance=1e-12):
    return pytest.approx(np.asarray(expected, dtype=float), rel=tolerance, abs=1e-300)


@pytest.mark.parametrize("name", ["designs_public.csv.gz", "designs_public_paper.csv.gz", "reference_nets.csv"])
def test_designs_equal_those_of_mnsim(name, read):
    expected = pd.read_csv(REFERENCE / name)
    table, chip = read(expected["design"])
    found = break_down(table, chip)
    assert {name: found.totals[ours] for name, ours in TOTALS.items()} == {
        name: close(expected[name]) for name in TOTALS
    }
    if "tile_area_um2" in expected:
        assert found.buffers["tile_area_um2"] == close(expected["tile_area_um2"])
        assert found.buffers["input_buffer_KB"] == close(expected["inbuf_KB"])
        assert found.buffers["output_buffer_KB"] == close(expected["outbuf_KB"])
        for part, ours in AREAS.items():
            assert sum(found.area_mm2.get(name, 0) for name in ours) == close(expected[f"area_{part}_mm2"])
        for part, ours in ENERGIES.items():
            assert sum(found.energy_mJ[name] for name in ours) == close(expected[f"energy_{part}_mJ"])


def assert_layers(layers, design, expected):
    held = np.asarray(expected["type"].isin(["conv", "fc"]))
    for name, ours in PLACES.items():
        where = held if name in ("mx", "my", "max_row", "max_col") else np.full(len(expected), True)
        assert layers[ours][design, : len(expected)][where] == close(expected[name][where]), name
    for name, ours in ENERGY_PARTS.items():
        assert layers[f"energy_{ours}_nJ"][design, : len(expected)] == close(expected[f"E_{name}_nJ"]), name
    for name, ours in TIME_PARTS.items():
        assert layers[f"time_{ours}_ns"][design, : len(expected)] == close(expected[f"T_{name}_ns"]), name


@pytest.mark.parametrize("profile", ["", "_paper"])
def test_layers_equal_those_of_mnsim(profile, read):
    rows = pd.read_csv(REFERENCE / f"designs_public{profile}.csv.gz").set_index("id")
    expected = pd.read_csv(REFERENCE / f"layers_public{profile}.csv.gz")
    ids = expected["design_id"].unique()
    table, chip = read(rows.loc[ids, "design"])
    layers = break_down(table, chip).layers
    for design, i in enumerate(ids):
        assert_layers(layers, design, expected[expected["design_id"] == i])


def test_layers_of_the_reference_networks_equal_those_of_mnsim(read):
    nets = pd.read_csv(REFERENCE / "reference_nets.csv")
    nets = nets[nets["classes"] == 10].set_index(["config", "net"])
    expected = pd.read_csv(REFERENCE / "layers_reference.csv.gz")
    for case, rows in expected.groupby(["config", "net"]):
        table, chip = read([nets.loc[case, "design"]])
        assert_layers(break_down(table, chip).layers, 0, rows)


def test_designs_that_do_not_fit_are_flagged_and_still_have_numbers(read):
    expected = pd.read_csv(REFERENCE / "designs_infeasible.csv.gz")
    found = evaluate_planar(*read(expected["design"]))
    assert (found["violation"] > 0).all()
    assert all(np.isfinite(values).all() for values in found.values())


def test_a_grid_that_just_fits_is_not_violated():
    table = network_table("alexnet")
    tiles = int(evaluate_planar(table, make_chip("paper"))["tiles"][0])
    side = int(np.ceil(np.sqrt(tiles)))
    assert evaluate_planar(table, make_chip("paper", grid=side))["violation"][0] <= 0
    assert evaluate_planar(table, make_chip("paper", grid=side - 1))["violation"][0] > 0


def assert_equal_to_the_oracle(read, found, fixes):
    """Compares a batch of designs with the oracle, one at a time."""
    table, chip = read(found)
    parts = break_down(table, chip, fixes)
    for i, design in enumerate(found):
        totals, rows = physical.evaluate(design, frozenset(fixes)) if fixes else literal.evaluate(design)
        assert totals["tiles"] == parts.totals["tiles"][i]
        if totals.get("feasible") is False:
            assert parts.totals["violation"][i] > 0
            continue
        assert {name: parts.totals[ours][i] for name, ours in TOTALS.items()} == {
            name: pytest.approx(totals[name], rel=1e-12) for name in TOTALS
        }
        own = {name: parts.layers[name][i, : len(rows)] for name in ("energy_nJ", "power_W", "finish_ns")}
        if "buffers" in fixes:  # the oracle keeps the leakage of the chip apart from its layers
            leakage = parts.layers["energy_leakage_nJ"][i, : len(rows)]
            assert leakage.sum() * 1e-6 == pytest.approx(totals["energy_leakage_mJ"])
            own["energy_nJ"] = own["energy_nJ"] - leakage
            own["power_W"] = own["power_W"] - leakage / (totals["latency_ms"] * 1e6)
        for name, values in own.items():
            assert values == pytest.approx([row[name] for row in rows], rel=1e-9), name


@settings(max_examples=30)
@given(st.lists(designs(), min_size=1, max_size=3))
def test_any_design_equals_the_oracle(read, found):
    assert_equal_to_the_oracle(read, found, ())


@pytest.mark.parametrize("fixes", [(name,) for name in FIXES] + [tuple(FIXES), ("occupancy", "buffers", "cell_bits")])
def test_the_fixes_of_the_physical_mode_equal_the_oracle(read, fixes):
    rng = np.random.default_rng(len(fixes[0]))
    assert_equal_to_the_oracle(read, [random_design(rng) for _ in range(15)], fixes)


def test_modes_are_names_or_lists_of_fixes():
    table, chip = network_table("resnet18"), make_chip("paper", crossbar=128, adc_bits=6)
    physical_mode = evaluate_planar(table, chip, "physical")
    every = evaluate_planar(table, chip, tuple(FIXES))
    assert all((physical_mode[name] == every[name]).all() for name in every)
    with pytest.raises(ConfigError, match="unknown mode 'exact'; allowed: compat, physical"):
        evaluate_planar(table, chip, "exact")
    with pytest.raises(ConfigError, match=r"unknown fix 'bufers' \(did you mean 'buffers'\?\)"):
        evaluate_planar(table, chip, ["bufers"])


@given(st.integers(0, 2**32))
@settings(max_examples=10)
def test_the_order_of_a_batch_and_its_other_designs_do_not_matter(read, seed):
    rng = np.random.default_rng(seed)
    found = [random_design(rng) for _ in range(6)]
    table, chip = read(found)
    together = evaluate_planar(table, chip, "physical")
    order = rng.permutation(len(found))
    shuffled = evaluate_planar(table.take(order), chip.take(order), "physical")
    for name, values in together.items():
        assert (shuffled[name] == values[order]).all()
    for i, design in enumerate(found):
        alone = evaluate_planar(*read([design]), "physical")
        assert {name: alone[name][0] for name in alone} == {
            name: pytest.approx(together[name][i], rel=1e-13) for name in together
        }


@pytest.mark.parametrize("mode", ["compat", "physical"])
def test_parts_add_up_to_the_totals(read, mode):
    rng = np.random.default_rng(5)
    found = break_down(*read([random_design(rng) for _ in range(30)]), mode)
    assert sum(found.energy_mJ.values()) == close(found.totals["energy"])
    assert sum(found.area_mm2.values()) == close(found.totals["area"])
    layers = found.layers
    assert sum(layers[name] for name in layers if name.startswith("energy_") and name != "energy_nJ") == close(
        layers["energy_nJ"]
    )
    assert sum(layers[name] for name in layers if name.startswith("time_") and name != "time_ns") == close(
        layers["time_ns"]
    )
    assert layers["energy_nJ"].sum(axis=1) * 1e-6 == close(found.totals["energy"])
    assert layers["power_W"].sum(axis=1) == close(found.totals["power"])
    assert layers["area_um2"].sum(axis=1) * 1e-6 == close(found.totals["area"])
    assert (found.totals["edp"] == found.totals["energy"] * found.totals["latency"]).all()
    assert (found.totals["edap"] == found.totals["edp"] * found.totals["area"]).all()


@pytest.mark.parametrize("mode", ["compat", "physical"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_area_energy_and_latency_never_fall_when_layers_are_appended(read, mode, seed):
    design = random_design(np.random.default_rng(seed))
    layers, last = design["layers"], design["layers"][-1]
    more = {"type": "fc", "in": [len(layers) - 1], "k": 0, "s": 0, "p": 0, "h": 1, "w": 1, "oh": 1, "ow": 1}
    more |= {"cin": last["cout"] * last["oh"] * last["ow"], "cout": 7, "ib": last["ob"], "wb": 5, "ob": 5}
    found = evaluate_planar(*read([design, design | {"layers": [*layers, more]}]), mode)
    for name in ("energy", "latency", "area", "tiles", "power"):
        assert found[name][1] > found[name][0]


def test_operations_per_joule_and_per_second_by_hand():
    layers = [Layer("fc", "fc", (-1,), 100, 10)]
    found = evaluate_planar(make_table(layers), make_chip("cur"))
    # Two operations for each of 1000 products.
    assert found["tops_per_W"] == pytest.approx(2000 / (found["energy"] * 1e-3) * 1e-12)
    assert found["tops_per_mm2"] == pytest.approx(2000 / (found["latency"] * 1e-3) * 1e-12 / found["area"])


def test_one_network_on_many_chips_and_many_networks_on_one_chip(read):
    chips = make_chip("paper", crossbar=np.array([64, 128, 256]), adc_bits=np.array([4, 6, 8]))
    table = network_table("vgg16")
    together = evaluate_planar(table, chips)
    for i in range(3):
        alone = evaluate_planar(table, chips.take(np.array([i])))
        assert all(alone[name][0] == pytest.approx(together[name][i], rel=1e-14) for name in alone)
    nets = pd.read_csv(REFERENCE / "reference_nets.csv")
    nets = nets[nets["config"] == "paper_table3"]
    found = evaluate_planar(read(nets["design"])[0], make_chip("paper", crossbar=128, adc_bits=6))
    assert found["energy"] == close(nets["energy_mJ"])


def test_batches_that_do_not_fit_together_are_refused(read):
    rng = np.random.default_rng(1)
    table, _ = read([random_design(rng) for _ in range(3)])
    with pytest.raises(ConfigError, match="3 networks and 2 chips do not fit"):
        evaluate_planar(table, make_chip("cur", crossbar=np.array([128, 256])))


def test_a_crossbar_smaller_than_a_kernel_is_refused():
    layer = Layer("stem", "conv", (-1,), 3, 8, kernel=(7, 7), padding=(3, 3), size_in=(9, 9), size_out=(9, 9))
    with pytest.raises(
        ConfigError, match=r"crossbar 32 is smaller than one kernel of layer 0 \(stem\) of design 1 \(49 ent"
    ):
        evaluate_planar(make_table([layer]), make_chip("cur", crossbar=np.array([64, 32])))


def test_weights_without_a_bit_are_refused():
    table = make_table([Layer("fc", "fc", (-1,), 9, 9, weight_bits=1)])
    with pytest.raises(ConfigError, match=r"weights of layer 0 \(fc\) have no bit to store; expected 2 bits"):
        evaluate_planar(table, make_chip("cur"))
    assert evaluate_planar(table, make_chip("cur", polarity=1))["energy"] > 0


def test_element_wise_layers_share_the_global_buffer():
    found = break_down(network_table("resnet18"), make_chip("paper"), ("sum_layers",))
    shared = found.area_mm2["element_wise"][0]
    sums = found.layers["area_um2"][0, found.layers["tiles"][0] == 0] * 1e-6
    assert sums == pytest.approx([shared / 8] * 8)


def gate(first, second):
    """A map of 64 channels, weighed by a map of one channel."""
    size = {"size_in": (8, 8), "size_out": (8, 8)}
    layers = [
        Layer("map", "conv", (-1,), 3, 64, **size),
        Layer("mask", "conv", (0,), 64, 1, **size),
        Layer("gate", "product", (first, second), 64, 64, **size),
        Layer("fc", "fc", (2,), 64 * 64, 10),
    ]
    return evaluate_planar(make_table(layers), make_chip("cur"), "physical")


def test_the_order_of_operands_does_not_matter():
    one, other = gate(0, 1), gate(1, 0)
    assert all(one[name] == other[name] for name in one)


def test_a_concatenation_is_one_operand():
    size = {"size_in": (8, 8), "size_out": (8, 8)}
    layers = [
        Layer("a", "conv", (-1,), 3, 8, **size),
        Layer("b", "conv", (-1,), 3, 56, **size),
        Layer("c", "conv", (-1,), 3, 64, **size),
        Layer("sum", "sum", (0, 1, 2), 64, 64, **size),
    ]
    plain = [*layers[2:3], layers[2]._replace(name="d"), layers[3]._replace(inputs=(0, 1))]
    times = [break_down(make_table(net), make_chip("cur")).layers["time_buffer_read_ns"] for net in (layers, plain)]
    assert times[0][0, 3] == times[1][0, 2]


def test_far_too_many_tiles_leave_out_the_times_only():
    table = make_table([Layer("fc", "fc", (-1,), 100_000, 100_000)])
    found = break_down(table, make_chip("cur"))
    assert found.totals["tiles"][0] > 65_536
    assert found.totals["violation"][0] > 0
    assert np.isfinite([found.totals[name][0] for name in ("energy", "power", "area", "tops_per_W")]).all()
    assert np.isnan([found.totals[name][0] for name in ("latency", "edp", "edap", "tops_per_mm2")]).all()
    assert np.isnan(found.layers["finish_ns"]).all()
