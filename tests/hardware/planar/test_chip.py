"""Chips from a profile and arrays of parameters: the values of MNSIM 2.0, and what is refused."""

from dataclasses import fields

import numpy as np
import pytest

from moopim import ConfigError
from moopim.hardware.planar.chip import Chip, make_chip
from moopim.hardware.planar.components import Real, Whole, load_components
from moopim.typing import FloatArray, IntArray

SHARED = {
    "crossbar": 256,
    "cell_area_um2": 1.44,
    "read_low_V": 0,
    "read_ns": 3.16,
    "write_ns": 100,
    "polarity": 2,
    "digital_subtraction": False,
    "pes": 4,
    "grid": 64,
    "noc_bits_per_ns": 20,
    "tile_bits_per_ns": 1024,
}
PROFILES = {
    "cur": SHARED
    | {"groups": 1, "adcs": 128, "dacs": 128}
    | {"adc_bits": 6, "adc_area_um2": 1650, "adc_power_W": 1.26e-3, "adc_ns": 8}
    | {"dac_bits": 1, "dac_area_um2": 0.166, "dac_power_W": 3.9e-6, "dac_ns": 3}
    | {"driver_area_um2": 1150, "mux_nm": 130, "resistance_high_ohm": 1e6, "resistance_low_ohm": 1e4}
    | {"read_high_V": 0.15, "cell_bits": 1, "write_pJ": 31.25},
    "paper": SHARED
    | {"groups": 8, "adcs": 4, "dacs": 64}
    | {"adc_bits": 8, "adc_area_um2": 1650, "adc_power_W": 4e-3, "adc_ns": 10 / 1.1}
    | {"dac_bits": 2, "dac_area_um2": 0.332, "dac_power_W": 7.8e-6, "dac_ns": 4}
    | {"driver_area_um2": 0, "mux_nm": 65, "resistance_high_ohm": 1e7, "resistance_low_ohm": 3333}
    | {"read_high_V": 0.5, "cell_bits": 2, "write_pJ": 62.5},
}


@pytest.mark.parametrize(("profile", "expected"), PROFILES.items())
def test_profiles_are_the_configurations_of_mnsim(profile, expected):
    chip = make_chip(profile)
    assert len(chip) == 1
    assert {field.name: getattr(chip, field.name).tolist() for field in fields(Chip)} == {
        name: [value] for name, value in expected.items()
    }


def test_every_parameter_has_the_type_that_the_chip_declares():
    lists = {name: [value, value] for name, value in PROFILES["cur"].items() if name not in ("adc_bits", "dac_bits")}
    for chip in (make_chip("paper"), make_chip(adc_bits=[4, 4.0], **lists)):
        for field in fields(Chip):
            declared = {Real: FloatArray, Whole: IntArray}.get(field.type, field.type)
            _, dtype = declared.__args__  # NDArray[kind] is ndarray[shape, dtype[kind]]
            assert dtype.__args__ == (getattr(chip, field.name).dtype.type,)


def test_designs_of_a_batch_are_those_made_one_at_a_time():
    rng = np.random.default_rng(1)
    parameters = {
        "crossbar": rng.choice([32, 64, 128, 256], 40),
        "adc_bits": rng.choice([4, 6, 8, 10], 40),
        "dac_bits": rng.choice([1, 2], 40),
        "adcs": rng.integers(1, 128, 40),
        "device": rng.choice(["rram-1bit", "rram-2bit"], 40),
        "polarity": rng.choice([1, 2], 40),
    }
    batch = make_chip("paper", groups=2, **parameters)
    assert len(batch) == 40
    assert batch.groups.tolist() == [2]
    for place in range(40):
        one, taken = (
            make_chip("paper", groups=2, **{name: column[place] for name, column in parameters.items()}),
            batch.take(np.array([place])),
        )
        for field in fields(Chip):
            assert getattr(one, field.name).tolist() == getattr(taken, field.name).tolist()


def test_taking_keeps_the_order_asked_for_and_what_is_shared():
    chip = make_chip(crossbar=[32, 64, 128]).take(np.array([2, 0, 2]))
    assert chip.crossbar.tolist() == [128, 32, 128]
    assert chip.adcs.tolist() == [128]
    assert make_chip(crossbar=[32, 64, 128]).take(slice(1, None)).crossbar.tolist() == [64, 128]
    assert len(make_chip().take(np.array([0, 0]))) == 1


def test_a_resolution_stands_for_the_entry_of_the_map():
    chip = make_chip(adc_bits=[4, 6, 8, 10], dac_bits=2)
    assert chip.adc_area_um2.tolist() == [500, 1650, 1650, 1600]
    assert chip.adc_ns.tolist() == [6, 8, 10 / 1.1, 8]
    assert chip.dac_power_W.tolist() == [7.8e-6]


def test_parts_are_chosen_by_name_also_those_of_the_user(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("[adc.sar7]\nbits = 7\narea_um2 = 900\npower_W = 1e-3\nrate_GSps = 1.2\n", encoding="utf-8")
    chip = make_chip(components=load_components(path), adc=["sar7", "mnsim8"], dac="mnsim4")
    assert chip.adc_bits.tolist() == [7, 1]
    assert chip.adc_ns.tolist() == [9 / 1.2, 1]
    assert chip.dac_area_um2.tolist() == [1.328]


def test_an_attribute_beside_its_part_counts():
    chip = make_chip(adc="mnsim7", adc_area_um2=[10, 20], device="rram-2bit", read_ns=5)
    assert chip.adc_area_um2.tolist() == [10, 20]
    assert chip.adc_power_W.tolist() == [0.7e-3]
    assert (chip.read_ns.tolist(), chip.cell_bits.tolist()) == ([5], [2])


def test_more_adcs_than_columns_are_allowed_as_in_mnsim():
    assert make_chip(crossbar=32, adcs=128).adcs.tolist() == [128]


WHOLE = "expected a whole number from 1 to 65536"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"adcs": 0}, f"adcs is 0; {WHOLE}"),
        ({"dacs": [64, 0, 0]}, f"dacs of design 1 is 0; {WHOLE}"),
        ({"crossbar": -64}, f"crossbar is -64; {WHOLE}"),
        ({"crossbar": 64.5}, f"crossbar is 64.5; {WHOLE}"),
        ({"crossbar": 10**30}, f"crossbar is {10**30}; {WHOLE}"),
        ({"crossbar": "big"}, f"crossbar is 'big'; {WHOLE}"),
        ({"crossbar": None}, f"crossbar is None; {WHOLE}"),
        ({"crossbar": True}, f"crossbar is True; {WHOLE}"),
        ({"crossbar": []}, "crossbar has shape (0,); expected one value or an array of shape (designs,)"),
        ({"crossbar": [[64]]}, "crossbar has shape (1, 1); expected one value or an array of shape (designs,)"),
        ({"crossbar": [64, [32]]}, "crossbar is [64, [32]]; expected one value or an array of shape (designs,)"),
        ({"crossbar": [64, 32], "adcs": [1, 2, 3]}, "crossbar has 2 values; expected 1 or 3, the number of designs"),
        ({"adc_bits": 5}, "adc_bits is 5; expected one of 1, 4, 6, 8, 10"),
        ({"adc_bits": [4, 6, 7]}, "adc_bits of design 2 is 7; expected one of 1, 4, 6, 8, 10"),
        ({"dac_bits": 5}, "dac_bits is 5; expected one of 1, 2, 3, 4, 6"),
        ({"adc": "mnsim9"}, "unknown adc 'mnsim9' (did you mean 'mnsim8'?); allowed: mnsim1, "),
        ({"dac": ["mnsim1", "mnsim6"]}, "unknown dac of design 1 'mnsim6'"),
        ({"device": "rram"}, "unknown device 'rram'"),
        ({"adc": "mnsim6", "adc_bits": 6}, "adc and adc_bits both choose the ADC; expected one of them"),
        ({"polarity": 3}, "polarity is 3; expected a whole number from 1 to 2"),
        ({"digital_subtraction": 1}, "digital_subtraction is 1; expected True or False"),
        ({"mux_nm": 0}, "mux_nm is 0 nm; expected a number from 1 to 5000 nm"),
        ({"read_ns": [1, float("nan")]}, "read_ns of design 1 is nan ns; expected a number from 0.01 to 100000 ns"),
        (
            {"noc_bits_per_ns": float("inf")},
            "noc_bits_per_ns is inf bit/ns; expected a number from 0.001",
        ),
        ({"driver_area_um2": -1}, "driver_area_um2 is -1 um2; expected 0 or a number from 0.01 to 1e+06 um2"),
        ({"resistance_low_ohm": 2e6}, "resistance_low_ohm is 2000000.0; expected at most resistance_high_ohm"),
        ({"resistance_high_ohm": [1e6, 1e3]}, "resistance_low_ohm of design 1 is 10000.0; expected at most resistance"),
        ({"read_low_V": 0.2}, "read_low_V is 0.2; expected at most read_high_V"),
        ({"read_high_V": [0.5, 0.1], "read_low_V": 0.2}, "read_low_V of design 1 is 0.2; expected at most read_high_V"),
        ({"crosbar": 64}, "unknown parameter of a chip 'crosbar' (did you mean 'crossbar'?)"),
        ({"profile": "crossnas"}, "unknown profile 'crossnas'; allowed: cur, paper"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(parameters, message):
    with pytest.raises(ConfigError) as error:
        make_chip(**parameters)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
