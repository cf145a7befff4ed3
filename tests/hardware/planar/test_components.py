"""Parts of the planar chip: every figure has its origin, and the numbers are those of MNSIM 2.0."""

import csv
import math
import pickle
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.components import adc_area_um2, load_components, walden_power_W
from moopim.hardware.planar.digital import (
    buffer_costs,
    cell_power_W,
    crossbar_read_ns,
    load_buffers,
    load_digital,
    mux_levels,
    mux_transistors,
)

DATA = files("moopim.hardware") / "data"
KINDS = {"paper", "derived", "measured", "literature", "assumption"}
BUFFERS = Path(__file__).parents[2] / "reference" / "hardware" / "buffer_tables.csv"
KAPPA = 0.479289940828402


def numbers_without_origin(name, entry, columns=None):
    """Paths of all numbers that have no unit, kind and source, neither themselves nor by their column."""
    if isinstance(entry, list):
        for place, item in enumerate(entry):
            yield from numbers_without_origin(f"{name}[{place}]", item, columns)
    elif isinstance(entry, dict):
        columns = entry.get("columns", columns)
        if {"unit", "kind", "source"} <= set(entry):
            if not (entry["unit"] and entry["kind"] in KINDS and len(entry["source"]) > 5):
                yield name
            return
        for key, item in entry.items():
            yield from numbers_without_origin(f"{name}.{key}", item, columns)
    elif isinstance(entry, int | float) and not isinstance(entry, bool):
        column = re.sub(r"\[\d+\]$", "", name).split(".")[-1]
        # The keys of a buffer table name its class, as their figures at the top of the file do.
        if column not in (columns or {}) and column not in ("node_nm", "bus_bits"):
            yield name


@pytest.mark.parametrize("name", sorted(file.name for file in DATA.iterdir() if file.name.startswith("planar")))
def test_every_number_of_the_data_files_has_unit_kind_and_source(name):
    tables = tomllib.loads((DATA / name).read_text(encoding="utf-8"))
    assert list(numbers_without_origin(name, tables)) == []


# Area (um2), bits, power (W), rate (GS/s), conversion (ns) by MNSIM's choice.
ADCS = {
    1: (1600, 10, 6.92e-3, 12 / 1.5),
    2: (1200, 8, 2e-3, 10 / 1.28),
    3: (1650, 8, 4e-3, 10 / 1.1),
    4: (580, 6, 1.26e-3, 8.0),
    5: (1650, 8, 4e-3, 10 / 1.1),
    6: (1650, 6, 1.26e-3, 8.0),
    7: (500, 4, 0.7e-3, 6.0),
    8: (1, 1, 1.629e-6, 1.0),
}
DACS = {
    1: (0.166, 1, 3.9e-6, 3),
    2: (0.332, 2, 7.8e-6, 4),
    3: (0.664, 3, 15.6e-6, 5),
    4: (1.328, 4, 31.2e-6, 6),
    5: (5.312, 6, 124.8e-6, 8),
}


@pytest.mark.parametrize(("kind", "expected"), [("adcs", ADCS), ("dacs", DACS)])
def test_converters_are_the_choices_of_mnsim(kind, expected):
    found = getattr(load_components(), kind)
    assert {name: (part.area_um2, part.bits, part.power_W, part.conversion_ns) for name, part in found.items()} == {
        f"mnsim{choice}": pytest.approx(numbers, rel=1e-15) for choice, numbers in expected.items()
    }


def test_resolutions_stand_for_the_choices_of_the_reference():
    components = load_components()
    assert components.adc_by_bits == {1: "mnsim8", 4: "mnsim7", 6: "mnsim6", 8: "mnsim5", 10: "mnsim1"}
    assert components.dac_by_bits == {1: "mnsim1", 2: "mnsim2", 3: "mnsim3", 4: "mnsim4", 6: "mnsim5"}
    assert all(components.adcs[name].bits == bits for bits, name in components.adc_by_bits.items())
    assert all(components.dacs[name].bits == bits for bits, name in components.dac_by_bits.items())


def test_a_catalogue_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(load_components())) == load_components()  # noqa: S301 (our own bytes)


def test_digital_blocks_are_scaled_to_their_nodes():
    digital = load_digital()
    near = pytest.approx
    assert (digital.adder_area_um2, digital.adder_power_W) == (near(8 * 0.2835), near(8 * 2.5e-9))
    assert (digital.shift_area_um2, digital.shift_power_W) == (1.42, 8.1e-7)
    assert digital.register_area_um2 == near(1.4256 * KAPPA, rel=1e-14)
    assert digital.register_power_W == near(18.8e-9 * KAPPA, rel=1e-14)
    assert digital.joint_area_um2 == near(353.76 * KAPPA, rel=1e-14)
    assert digital.joint_power_W == near(2.64e-4 * KAPPA, rel=1e-14)
    assert (digital.pool_area_um2, digital.pool_power_W, digital.pool_ns) == (91917.1562, 3.082e-3, 100)
    assert (digital.pool_channels, digital.pool_window, digital.sum_ns, digital.cycle_ns) == (64, 9, 10, 2)
    assert (digital.decoder_level_ns, digital.mux_level_ns) == (0.27933, 0.032744)
    assert (digital.mux_transistor_area_F2, digital.mux_transistor_power_W) == (10, 1.2e-8)


def test_transistors_of_a_multiplexer_step_up_with_its_inputs():
    inputs = [1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 1000]
    assert mux_transistors(inputs).tolist() == [8, 8, 24, 24, 72, 72, 216, 216, 648, 648, 1944, 1944]
    assert mux_transistors(np.array([[1], [64]])).shape == (2, 1)


@given(st.integers(0, 2**40))
def test_levels_of_a_multiplexer_are_the_digits_to_base_8_and_one(inputs):
    levels, left = 1, inputs
    while left > 0:
        levels, left = levels + 1, left // 8
    assert mux_levels(inputs) == levels


def test_power_of_a_cell_is_that_of_the_mean_cell():
    # Profile `cur` by hand: 0.1 x 0.15^2 V2 over 1e10 / (6700 + 330000) ohm.
    assert cell_power_W(1e4, 1e6, 0, 0.15) == pytest.approx(0.00225 * 336_700 / 1e10, rel=1e-14)
    assert cell_power_W([1e4, 3333], [1e6, 1e7], 0, [0.15, 0.5]).shape == (2,)
    assert cell_power_W(50.0, 50.0, 2, 2) == pytest.approx(4 / 50)


def test_time_of_a_crossbar_grows_with_the_square_of_its_kilobytes():
    s = 256 * 256 / 8192
    assert crossbar_read_ns(3.16, 256) == pytest.approx(3.16 + 1e-3 * (2e-4 * s**2 + 5e-6 * s + 4e-14), rel=1e-15)
    assert crossbar_read_ns([3.16], np.array([32, 64])).shape == (2,)


def buffer_rows():
    with BUFFERS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            node, bus, size, *figures = row.values()
            yield int(node), int(bus), float(size), [float(figure) if figure else None for figure in figures]


@pytest.mark.parametrize("bus", [64, 128, 256, 512])
@pytest.mark.parametrize("node", [90, 65, 45])
def test_buffers_have_the_figures_of_the_reference_at_every_size(node, bus):
    buffers = load_buffers(node, bus)
    rows = [
        (size, figures)
        for known_node, known_bus, size, figures in buffer_rows()
        if (known_node, known_bus) == (node, bus)
    ]
    assert len(rows) == 9
    lower = 0.0
    for size, expected in rows:
        if expected[0] is None:  # MNSIM has no such buffer: the next class holds it too
            continue
        # Every class reaches from just above the last bound to its own bound.
        for inside in (np.nextafter(lower, np.inf), min(size, 1e6)):
            area, leakage, read, write = buffer_costs(inside, buffers)
            assert [area, leakage, read, write] == pytest.approx(
                [expected[0], expected[1] * 1e-3, *expected[2:]], rel=1e-15
            )
        lower = size


def test_buffers_are_looked_up_for_whole_arrays():
    found = buffer_costs([[0.5, 2], [2.5, 300]])
    assert found.area_um2.tolist() == [[40580.3, 40580.3], [68694.7, 14221120.82]]
    assert found.write_nJ.shape == (2, 2)
    assert (load_buffers().bus_bits, load_buffers().access_ns) == (64, 20)


@pytest.mark.parametrize(
    ("asked", "same"),
    [((130, 64), (90, 64)), ((89, 64), (65, 64)), ((28, 64), (45, 64)), ((90, 65), (90, 128)), ((65, 4096), (65, 512))],
)
def test_other_nodes_and_buses_take_the_class_of_mnsim(asked, same):
    assert buffer_costs(7, load_buffers(*asked)) == buffer_costs(7, load_buffers(*same))
    assert load_buffers(*asked).bus_bits == asked[1]


@pytest.mark.parametrize(("node", "bus"), [(0, 64), (90, 0), (-45, 64), (math.nan, 64)])
def test_a_node_or_bus_that_cannot_be_is_refused(node, bus):
    with pytest.raises(
        ConfigError, match=r"buffers at .* nm with a bus of .* bits are not allowed; expected numbers > 0"
    ):
        load_buffers(node, bus)


def test_power_of_an_adc_by_walden():
    # 2^8 steps of 10 fJ, 0.5e9 times a second.
    assert walden_power_W(10, 8, 0.5) == pytest.approx(256 * 10e-15 * 0.5e9, rel=1e-14)


def test_area_of_an_adc_by_the_published_exponents():
    # Andrulis et al. print the exponents rounded: node^1.0, rate^0.2, energy^0.3.
    area = adc_area_um2(65, 1, 1e-3)
    assert area == pytest.approx(math.exp(1.3461916439910742) * 65**0.9932794744745022 * 1e9**0.18071538424508238)
    assert math.log2(adc_area_um2(130, 1, 1e-3) / area) == pytest.approx(1.0, abs=0.05)
    assert math.log2(adc_area_um2(65, 1, 2e-3) / area) == pytest.approx(0.3, abs=0.05)
    # At twice the rate and twice the power a conversion takes the same energy.
    assert math.log2(adc_area_um2(65, 2, 2e-3) / area) == pytest.approx(0.2, abs=0.05)


OWN = """
[adc.sar7]
bits = 7
area_um2 = 900
power_W = 1e-3
rate_GSps = 1.2

[adc.flash3]
bits = 3
area_um2 = 400.0
power_W = 5e-4
rate_GSps = 2
conversion_ns = 0.5

[adc.figures]
enob = 7.2
rate_GSps = 0.5
walden_fJ = 20
node_nm = 28

[dac.dac4]
bits = 4
area_um2 = 2
power_W = 4e-5
rate_GSps = 2

[device.fefet]
cell_area_um2 = 0.05
cell_bits = 1
resistance_low_ohm = 1e5
resistance_high_ohm = 1e9
read_low_V = 0
read_high_V = 0.3
read_ns = 1
write_ns = 3
write_pJ = 0.08
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"

    def write(text):
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_entries_of_a_file_stand_beside_the_built_in_ones(own):
    built_in, components = load_components(), load_components(own(OWN))
    assert set(components.adcs) == {*built_in.adcs, "sar7", "flash3", "figures"}
    assert set(components.dacs) == {*built_in.dacs, "dac4"}
    assert set(components.devices) == {*built_in.devices, "fefet"}
    assert components.adcs["mnsim6"] == built_in.adcs["mnsim6"]
    sar = components.adcs["sar7"]
    assert (sar.bits, sar.area_um2, sar.power_W, sar.conversion_ns) == (7, 900, 1e-3, 9 / 1.2)
    assert components.adcs["flash3"].conversion_ns == 0.5
    assert components.dacs["dac4"].conversion_ns == 3
    assert (components.devices["fefet"].write_pJ, components.devices["fefet"].read_high_V) == (0.08, 0.3)
    assert "sar7" not in load_components().adcs


def test_the_only_entry_of_a_file_with_a_resolution_stands_for_it(own):
    components = load_components(own(OWN))
    assert components.adc_by_bits == load_components().adc_by_bits | {3: "flash3", 7: "sar7", 8: "figures"}
    assert components.dac_by_bits == load_components().dac_by_bits | {4: "dac4"}
    chips = make_chip(components=components, adc_bits=[3, 6, 7], dac_bits=[4, 3, 2])
    assert chips.adc_area_um2.tolist() == [400, 1650, 900]
    assert chips.dac_area_um2.tolist() == [2, 0.664, 0.332]
    several = load_components(own(f"{OWN}\n[dac.other4]\nbits = 4\narea_um2 = 3\npower_W = 4e-5\nrate_GSps = 2"))
    with pytest.raises(ConfigError, match="dac_bits 4 is that of several: mnsim4, dac4, other4; expected dac by name"):
        make_chip(components=several, dac_bits=4)


def test_an_adc_of_figures_of_merit_gets_power_and_area(own):
    adc = load_components(own(OWN)).adcs["figures"]
    power_W = 20e-15 * 2**7.2 * 0.5e9
    assert adc.bits == 8
    assert adc.conversion_ns == 10 / 0.5
    assert adc.power_W == pytest.approx(power_W, rel=1e-14)
    assert adc.area_um2 == adc_area_um2(28, 0.5, adc.power_W)
    both = "[adc.a]\nbits = 10\nenob = 7.2\nrate_GSps = 0.5\nwalden_fJ = 20\narea_um2 = 700"
    adc = load_components(own(both)).adcs["a"]
    assert (adc.bits, adc.area_um2, adc.power_W) == (10, 700, pytest.approx(power_W, rel=1e-14))


def test_a_byte_order_mark_at_the_start_of_a_file_does_not_matter(own):
    assert load_components(own("\ufeff" + OWN)) == load_components(own(OWN))


def test_figures_in_other_units_are_converted(own):
    def entry(value, unit):
        return f'{{ value = {value}, unit = "{unit}", kind = "measured", source = "data sheet" }}'

    text = f"""
    [adc.mine]
    bits = 7
    area_um2 = {entry("9e-4", "mm2")}
    power_W = {entry(1, "mW")}
    rate_GSps = {entry(1200, "MS/s")}

    [device.mine]
    cell_area_um2 = {entry(50_000, "nm2")}
    cell_bits = 1
    resistance_low_ohm = {entry(100, "kohm")}
    resistance_high_ohm = {entry(1, "Gohm")}
    read_low_V = 0
    read_high_V = {entry(300, "mV")}
    read_ns = {entry(1000, "ps")}
    write_ns = 3
    write_pJ = {entry(80, "fJ")}
    """
    found, same = load_components(own(text)), load_components(own(OWN))
    assert found.adcs["mine"] == same.adcs["sar7"]
    assert found.devices["mine"] == same.devices["fefet"]


ADC = {"bits": "7", "area_um2": "900", "power_W": "1e-3", "rate_GSps": "1.2"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": "0"}, "bits of [adc.mine] of PATH is 0 bit; expected a whole number from 1 to 32 bit"),
        ({"bits": "6.5"}, "bits of [adc.mine] of PATH is 6.5 bit; expected a whole number from 1 to 32 bit"),
        ({"bits": "true"}, "bits of [adc.mine] of PATH is True; expected a whole number from 1 to 32 bit"),
        ({"bits": "2000"}, "bits of [adc.mine] of PATH is 2000 bit; expected a whole number from 1 to 32 bit"),
        ({"area_um2": "-1"}, "area_um2 of [adc.mine] of PATH is -1 um2; expected a number from 0.01 to 1e+07 um2"),
        ({"rate_GSps": "0"}, "rate_GSps of [adc.mine] of PATH is 0 GS/s; expected a number from 1e-05 to 200 GS/s"),
        ({"power_W": "'low'"}, "power_W of [adc.mine] of PATH is 'low'; expected a number from 1e-09 to 1 W"),
        ({"power_W": "nan"}, "power_W of [adc.mine] of PATH is nan W; expected a number from 1e-09 to 1 W"),
        ({"power_W": "1" + 400 * "0"}, "power_W is a number beyond 64 bits"),
        ({"power_W": "inf"}, "power_W of [adc.mine] of PATH is inf W; expected"),
        ({"rate_GSps": None}, "[adc.mine] of PATH has no 'rate_GSps'; expected rate_GSps"),
        ({"bits": None}, "[adc.mine] of PATH has neither of bits and enob; expected one of them, or both"),
        ({"power_W": None}, "[adc.mine] of PATH has neither of power_W and walden_fJ; expected one of them"),
        ({"walden_fJ": "3"}, "[adc.mine] of PATH has both of power_W and walden_fJ; expected one of them"),
        ({"area_um2": None}, "[adc.mine] of PATH has neither of area_um2 and node_nm; expected one of them"),
        ({"enob": "7.5"}, "enob of [adc.mine] of PATH is 7.5; expected at most its bits, 7"),
        ({"enob": "0"}, "enob of [adc.mine] of PATH is 0 bit; expected a number from 0.1 to 32 bit"),
        (
            {"power_W": '{ value = 1, unit = "mW" }'},
            "power_W of [adc.mine] of PATH has no 'kind'; expected value, unit, kind",
        ),
        (
            {"rate_GSps": "1e-5", "bits": "32"},
            "conversion_ns of [adc.mine] of PATH, by its rate_GSps, is 3399999.",
        ),
        (
            {"power_W": None, "walden_fJ": "1e5", "rate_GSps": "10", "bits": "32"},
            "power_W of [adc.mine] of PATH, by its walden_fJ, rate_GSps, is 4294967296.0 W; expected a number",
        ),
        (
            {"power_W": "0.5", "area_um2": None, "node_nm": "5000", "rate_GSps": "1e-5"},
            "area_um2 of [adc.mine] of PATH, by its node_nm, rate_GSps, power_W, is ",
        ),
        ({"rate_GSsp": "1"}, "unknown field of"),
        ({"rate_GSsp": "1"}, "'rate_GSsp' (did you mean 'rate_GSps'?)"),
    ],
)
def test_an_adc_that_cannot_be_used_is_refused(own, change, message):
    fields = {name: value for name, value in {**ADC, **change}.items() if value is not None}
    path = own("[adc.mine]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items()))
    with pytest.raises(ConfigError) as error:
        load_components(path)
    assert message.replace("PATH", str(path)) in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[adc.mnsim6]\nbits = 6", "[adc.mnsim6] has the name of a built-in one; expected another"),
        ("[adcs.mine]\nbits = 6", "'adcs' (did you mean 'adc'?); allowed: adc, dac, device"),
        ("adc = 3", "adc is 3; expected tables [adc.NAME]"),
        ("[adc]\nbits = 6", "adc.bits is 6; expected a table [adc.bits]"),
        ("[dac.mine]\nbits = 2", "[dac.mine] of PATH has no 'area_um2'; expected bits, area_um2, power_W, rate_GSps"),
        ("[device.mine]\ncell_bits = 2", "[device.mine] of PATH has no 'cell_area_um2'"),
        ('[adc.""]\nbits = 2', "[adc.''] has no name; expected [adc.NAME]"),
        ('[device." "]\ncell_bits = 2', "[device.' '] has no name; expected [device.NAME]"),
        ("[adc.mine", "expected a TOML file"),
        (OWN.replace("high_ohm = 1e9", "high_ohm = 1e4"), "expected at most resistance_high_ohm"),
        (
            OWN.replace("read_low_V = 0", "read_low_V = 0.31"),
            "read_low_V of a planar device is 0.31; expected at most read_high_V, 0.3",
        ),
        (
            OWN.replace("read_low_V = 0", "read_low_V = -0.1"),
            "read_low_V of [device.fefet] of PATH is -0.1 V; expected 0 or a number",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(own, text, message):
    path = own(text)
    with pytest.raises(ConfigError) as error:
        load_components(path)
    assert message.replace("PATH", str(path)) in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml"):
        load_components(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"cannot read .*binary\.toml.*expected a TOML file"):
        load_components(tmp_path / "binary.toml")
