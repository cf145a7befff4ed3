"""Parameter files: every figure has a unit, a kind and a source; the sets are those of the reference."""

import csv
import tomllib
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import pytest

from moopim import ConfigError
from moopim.constants import KINDS, constant
from moopim.hardware.stack.parameters import load_parameters, load_stack

DATA = files("moopim.hardware") / "data"
REFERENCE = Path(__file__).parents[2] / "reference" / "hunt" / "factors.csv"


def tables(name):
    return tomllib.loads((DATA / name).read_text())


def figures():
    for letter, table in tables("stack_devices.toml").items():
        for name, part in {"": table, **table.get("variants", {})}.items():
            for key, entry in part.items():
                if isinstance(entry, dict) and key != "variants":
                    yield f"{letter}:{name}.{key}", entry
    for name in ("", "_factors", "_calibrated", "_operation", "_engine"):
        for key, entry in tables(f"stack{name}.toml").items():
            parts = {"precisions": entry, "training_images": {"": entry}}.get(key, {"": {"": entry}})
            for part, values in parts.items():
                yield from ((f"{key} {part} {one}".rstrip(), value) for one, value in values.items())


@pytest.mark.parametrize(("name", "entry"), list(figures()))
def test_every_figure_has_unit_kind_and_source(name, entry):
    assert entry["unit"]
    assert entry["kind"] in KINDS
    assert len(entry["source"]) > 5


@pytest.mark.parametrize("name", ["physical", "calibrated"])
def test_factors_equal_the_reference(name):
    expected = {row["name"]: float(row[name]) for row in csv.DictReader(REFERENCE.open())}
    devices, factors, stack, *_ = load_parameters(name, "S,R,F,G")
    table_ii = {"S": 36, "F": 192}
    found = asdict(factors)
    for device in devices[:3]:
        x = device.letter
        found |= {f"t_{x}": device.step_ns, f"e_{x}": device.vector_pJ, f"p_{x}": device.static_mW}
        if x in table_ii:
            found[f"rho_{x}"] = device.arrays_per_pe / table_ii[x]
    sram, reram, _, gpu = devices
    found |= {"w_R": reram.write_cell_pJ / 2000, "x_bw": sram.gradient_speedup, "e_bw": sram.gradient_pJ}
    found |= {"e_G": gpu.gradient_pJ, "P_G": 1e-3 * gpu.static_mW * stack.pes_per_tier}
    assert found == pytest.approx(expected, rel=1e-14)


def test_calibrated_figures_lie_in_their_fit_range():
    for name, entry in tables("stack_calibrated.toml").items():
        slack = 1e-9 * entry["fit_high"]
        assert entry["fit_low"] - slack <= entry["value"] <= entry["fit_high"] + slack, name


def test_links_of_the_mesh():
    assert load_stack().links == 288  # 3 directions x 48 pairs of neighbours x 2
    assert load_stack(overrides={"tiers": 2, "mesh": 2}).links == 2 * (4 + 4 + 4)


def test_a_file_changes_what_it_names_and_single_figures_go_before_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[stack]\ntiers = 3\nmesh = 6\npe_area_mm2 = { value = 2, unit = "mm2", kind = "paper", source = "x" }\n'
    )
    stack = load_stack(path)
    assert (stack.tiers, stack.mesh, stack.pe_area_mm2, stack.pes) == (3, 6, 2, 108)
    assert stack.hop_energy_pJ == load_stack().hop_energy_pJ
    changed = load_parameters("calibrated", "S,R", str(path), "mesh=5,kappa=4,R.static_mW=7,bits=8")
    assert (changed.stack.tiers, changed.stack.mesh) == (3, 5)
    assert (changed.factors.kappa, changed.factors.bits) == (4, 8)
    assert changed.devices[1].static_mW == 7
    assert changed.devices[0].static_mW == 600  # of the calibrated set


def test_a_stack_file_goes_before_a_factor_set_and_a_set_names_devices_that_there_are(tmp_path):
    stack, factors = tmp_path / "stack.toml", tmp_path / "set.toml"
    stack.write_text("[stack]\nmesh = 6\n")
    factors.write_text("mesh = 5\ntiers = 3\n")
    found = load_parameters(str(factors), stack=str(stack)).stack
    assert (found.mesh, found.tiers) == (6, 3)
    factors.write_text('"Q.step_ns" = 5\n')
    with pytest.raises(ConfigError, match="unknown parameter of factor set"):
        load_parameters(str(factors))


def test_a_factor_set_of_ones_own(tmp_path):
    path = tmp_path / "set.toml"
    path.write_text('kappa = 4\n"R.step_ns" = { value = 200, unit = "ns", kind = "measured", source = "chip" }\n')
    devices, factors, *_ = load_parameters(str(path))
    assert factors.kappa == 4
    assert [device.step_ns for device in devices] == [1.0, 200, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": "ideal"}, "unknown factor set 'ideal'; allowed: physical, calibrated, FILE.toml"),
        ({"override": "kapa=4"}, "unknown parameter to override 'kapa' (did you mean 'kappa'?)"),
        ({"override": "kappa"}, "override has 'kappa'; expected NAME=VALUE"),
        ({"override": "kappa=four"}, "override has 'kappa=four'; expected NAME=VALUE"),
        ({"override": "R.write_pJ=2mW"}, "unit of R.write_pJ is 'mW'; expected 'pJ' or a multiple of it"),
        ({"override": "R.write_pJ=2 000"}, "override has 'R.write_pJ=2 000'; expected NAME=VALUE"),
        ({"override": "kappa=0"}, "kappa of the factors is 0; expected a number from 0.001 to 1e+06"),
        ({"override": "bits=16.5"}, "bits of the factors is 16.5 bit; expected a whole number from 1 to 64 bit"),
        ({"override": "phi_HX=3"}, "phi_HX of the factors is 3; expected a number from 0 to 1"),
        ({"override": "n_act=nan"}, "n_act of the factors is nan; expected a number from 0 to 1e+06"),
        ({"override": "mesh=0"}, "mesh of the stack is 0; expected a whole number from 1 to 1024"),
        ({"override": "mesh=17"}, "4 tiers of 17 x 17 PEs are 1156; expected at most 1024 PEs in the stack"),
        ({"override": "mesh=5,mesh=6"}, "override has 'mesh' twice; expected each once"),
        ({"override": "mesh=4.5"}, "mesh of the stack is 4.5; expected a whole number"),
        ({"override": "tiers=1"}, "tiers of the stack is 1; expected a whole number from 2 to 1024"),
        ({"override": "noise_scale_K=-3"}, "noise_scale_K of the stack is -3 K; expected a number from 0.1 to 1000 K"),
        ({"override": "G.static_mW=3"}, "unknown parameter to override 'G.static_mW'"),
        ({"override": "R.static=3"}, "unknown parameter of device 'R' 'static' (did you mean 'static_mW'?)"),
        (
            {"override": "R.static_mW=-3"},
            "static_mW of device 'R' is -3 mW; expected 0 or a number from 0.001",
        ),
        ({"override": "F.read=serial"}, "unknown read of device 'F' 'serial'; allowed: rows, columns, parallel, macs"),
        ({"override": "F.nonvolatile=maybe"}, "nonvolatile of device 'F' is 'maybe'; expected true or false"),
        (
            {"override": "engine_share=1"},
            "engine_share of the gradient engine is 1; expected a number above 0 to below 1",
        ),
        (
            {"override": "engine_share=0"},
            "engine_share of the gradient engine is 0; expected a number above 0 to below 1",
        ),
        ({"override": "link_limit=1.5"}, "link_limit of the operation is 1.5; expected a number from"),
        ({"override": "ambient_K=20"}, "ambient_K of the thermal stack is 20 K; expected a number from 200 to 500 K"),
        ({"override": "flit_bits=0"}, "flit_bits of the network is 0"),
        ({"stack": "none.toml"}, "cannot read none.toml"),
    ],
)
def test_what_is_no_parameter_is_refused(options, message):
    with pytest.raises(ConfigError) as error:
        load_parameters(**options)
    assert message in str(error.value)


@pytest.mark.parametrize(("value", "shown"), [("'4'", "'4'"), ("true", "True"), ("[1]", "[1]")])
def test_a_factor_set_of_other_things_than_numbers_is_refused(tmp_path, value, shown):
    path = tmp_path / "set.toml"
    path.write_text(f"kappa = {value}\n")
    with pytest.raises(ConfigError) as error:
        load_parameters(str(path))
    assert f"kappa of the factors is {shown}; expected a number from" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stack]\nlayers = 3", "unknown field of [stack] of"),
        ("[stack]\nmesh = 'big'", "mesh of [stack] of"),
        ("[chip]\nmesh = 3", "unknown table of"),
        ("stack = 3", "stack is 3; expected a table [stack]"),
        ("[stack]\nmesh = { value = 3 }", "has no 'unit'; expected value, unit, kind, source"),
        ("[stack", "cannot read"),
    ],
)
def test_a_bad_stack_file_is_refused(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_stack(path)
    assert message in str(error.value)


GOOD = {"value": 3, "unit": "ns", "kind": "paper", "source": "Table I"}


def test_a_figure_is_the_number_as_written():
    assert constant("time", GOOD) == 3
    assert isinstance(constant("time", GOOD), int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": None}, "time is None; expected a finite number"),
        ({"value": "3"}, "time is '3'"),
        ({"value": True}, "time is True"),
        ({"value": float("nan")}, "time is nan"),
        ({"unit": ""}, "time has no 'unit'; expected value, unit, kind, source"),
        ({"source": " "}, "time has no 'source'"),
        ({"kind": "guess"}, "unknown kind of time 'guess'"),
    ],
)
def test_a_figure_without_number_or_origin_is_refused(change, message):
    with pytest.raises(ConfigError) as error:
        constant("time", GOOD | change)
    assert message in str(error.value)
