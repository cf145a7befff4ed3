"""Devices: built-in ones and their variants, a user's own, and what is refused."""

import re

import pytest

from moopim import ConfigError
from moopim.hardware.stack.devices import StackDevice, built_in_devices, device_tables, load_devices

OWN = """
[X]
name = "Wonder"
read = "parallel"
noise = "none"
serves_back_propagation = true
nonvolatile = false
rows = 64
columns = 64
bits_per_cell = { value = 4, unit = "bit", kind = "measured", source = "our chip" }
arrays_per_pe = 100
step_ns = 10
vector_pJ = 50
static_mW = 1
static_slope_per_K = 0.03
write_row_ns = 5
write_pJ = 1
write_cells = 1
endurance = 1e16
gradient_speedup = 2
gradient_pJ = 1
"""


def test_storage_of_a_pe_is_that_of_the_paper():
    bits = {d.letter: d.rows * d.columns * d.bits_per_cell * d.arrays_per_pe for d in load_devices()}
    assert bits == {"S": 2_359_296, "R": 12_582_912, "F": 12_582_912}


def test_every_built_in_device_and_variant_can_be_used():
    for letter, table in built_in_devices().items():
        for name in (letter, letter.lower(), table["name"], table["name"].lower()):
            assert load_devices(name)[0].letter == letter
        for variant in table.get("variants", {}):
            assert load_devices(f"{table['name']}:{variant}")[0].letter == letter
    assert [d.letter for d in load_devices("S,R,F,P,M,G") if d.serves_back_propagation] == ["S", "G"]


def test_a_variant_changes_what_it_names():
    # NeuroSim: a parallel read of FeFET takes 23.1 ns in all, 425.8 / 23.1 = 18 times less than row by row, and
    # 1918 / 168 = 11 times less energy.
    rows, parallel = load_devices("F:lstp")[0], load_devices("F:parallel")[0]
    assert rows.vector_ns == pytest.approx(425.8)
    assert parallel.vector_ns == 23.1
    assert rows.vector_ns / parallel.vector_ns == pytest.approx(18.4, abs=0.1)
    assert rows.vector_pJ / parallel.vector_pJ == pytest.approx(11.4, abs=0.1)
    assert rows.endurance == parallel.endurance == 1e5


def test_what_is_asked_for_goes_before_the_factor_set():
    chosen = {"S.step_ns": 9.0, "G.static_mW": 1.0}
    assert load_devices("S", chosen)[0].step_ns == 9
    assert load_devices("S:hp", chosen)[0].step_ns == 202 / 256
    # A variant goes before the set in what it names, and in nothing else.
    assert load_devices("S:hp", {"S.arrays_per_pe": 25.5})[0].arrays_per_pe == 25.5
    assert load_devices("S:hp", chosen, {"S.step_ns": 3})[0].step_ns == 3


def test_a_device_of_ones_own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN + '[Y]\nlike = "reram:hp"\nname = "Better ReRAM"\nstatic_mW = 2\n')
    sram, own, better = load_devices(f"S,{path}")
    assert (sram.letter, own.letter, better.letter) == ("S", "X", "Y")
    assert (own.bits_per_cell, own.vector_ns, own.write_cell_pJ) == (4, 10, 1)
    assert (better.name, better.static_mW, better.step_ns, better.rows) == ("Better ReRAM", 2, 311, 128)
    assert "variants" not in device_tables(str(path))["Y"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("S,Q", "unknown device 'Q'"),
        ("S,ReRAN", "unknown device 'ReRAN' (did you mean 'reram'?)"),
        ("S,F:serial", "unknown variant of device F 'serial'; allowed: lstp, hp, parallel"),
        ("P:hp", "unknown variant of device P 'hp'; allowed: none"),
        ("S,R,S", "name 'S' twice"),
        ("", "unknown device ''"),
        ("no.toml", "cannot read no.toml"),
    ],
)
def test_names_that_mean_nothing_are_refused(names, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_devices(names)


def test_a_file_without_a_device_is_refused(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("\n")
    with pytest.raises(ConfigError, match="has no device; expected tables"):
        load_devices(f"S,{path}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[X]", "[XY]", "'XY' is not a device; expected tables [X], X one letter"),
        ("[X]", "[S]", "[S] is a built-in device; expected another letter"),
        ("rows = 64", "row = 64", "unknown field of device 'X' 'row' (did you mean 'rows'?)"),
        ("rows = 64", "", "device 'X' has no 'rows'; expected"),
        ("rows = 64", "rows = 0", "rows of device 'X' is 0; expected a whole number from 1 to 65536"),
        ("rows = 64", "rows = '64'", "rows of device 'X' is '64'; expected a whole number from 1"),
        ("rows = 64", "rows = nan", "rows of device 'X' is nan"),
        ("rows = 64", "rows = 64.5", "rows of device 'X' is 64.5; expected a whole number from 1"),
        ("[X]", "[1]", "'1' is not a device; expected tables [X], X one letter"),
        (
            "vector_pJ = 50",
            "vector_pJ = -1",
            "vector_pJ of device 'X' is -1 pJ; expected 0 or a number from 0.005",
        ),
        ('"parallel"', '"cells"', "unknown read of device 'X' 'cells'; allowed: rows, columns, parallel, macs"),
        ('noise = "none"', 'noise = "cubic"', "unknown noise of device 'X' 'cubic'"),
        ("= true", "= 1", "serves_back_propagation of device 'X' is 1; expected true or false"),
        ("nonvolatile = false", "nonvolatile = 0.5", "nonvolatile of device 'X' is 0.5; expected true or false"),
        ("static_slope_per_K = 0.03", "", "device 'X' has no 'static_slope_per_K'; expected"),
        ("nonvolatile = false", "", "device 'X' has no 'nonvolatile'; expected"),
        ('unit = "bit", ', "", "bits_per_cell of device 'X' has no 'unit'"),
        ("[X]", "[X]\nlike = 3", "like of [X] is 3; expected the name of a built-in device"),
        ("[X]", "[X]\nlike = 'Z'", "unknown device 'Z'"),
    ],
)
def test_a_bad_device_file_is_refused(tmp_path, old, new, message):
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new, 1))
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_devices(str(path))


def test_a_device_needs_a_behaviour_that_the_model_knows():
    sram = load_devices("S")[0]
    with pytest.raises(ConfigError, match="unknown read of device 'S' 'cells'"):
        StackDevice(**(vars(sram) | {"read": "cells"}))
