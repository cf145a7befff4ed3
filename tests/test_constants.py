"""Constants: declared with bounds, converted to their units, and checked for slips of the unit."""

import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from moopim.constants import Bounds, bounds_of, check_bounds, constant
from moopim.errors import ConfigError
from moopim.hardware.noc import NocParameters, load_noc
from moopim.hardware.planar.chip import PROFILES, Chip, make_chip
from moopim.hardware.planar.components import Converter, PlanarDevice, load_components
from moopim.hardware.planar.model import break_down, evaluate_planar
from moopim.hardware.stack import idealised, system
from moopim.hardware.stack.devices import StackDevice, built_in_devices, load_devices
from moopim.hardware.stack.engine import GradientEngine, Precision, load_engine, load_precision, precisions
from moopim.hardware.stack.parameters import Factors, Operation, Stack, load_parameters, load_stack
from moopim.hardware.thermal import influence_matrix
from moopim.hardware.thermal.description import ThermalStack, load_thermal
from moopim.network.crossbar import CellModel
from moopim.problems.hunt import HuntMapping
from moopim.units import convert
from moopim.workload import network_table

CLASSES = {
    "stack": Stack,
    "stack_device": StackDevice,
    "factors": Factors,
    "operation": Operation,
    "engine": GradientEngine,
    "precision": Precision,
    "thermal": ThermalStack,
    "noc": NocParameters,
    "planar_device": PlanarDevice,
    "converter": Converter,
    "chip": Chip,
    "cells": CellModel,
}
BOUNDS = {kind: bounds_of(cls) for kind, cls in CLASSES.items()}
CHIP_BOUNDS = BOUNDS["chip"]
BOUNDS["chip"] = {  # less those of its parts
    name: bounds
    for name, bounds in CHIP_BOUNDS.items()
    if name not in BOUNDS["planar_device"] and bounds not in BOUNDS["converter"].values()
}


def built_in():
    """Built-in values of every kind of thing, one mapping for each thing."""
    components = load_components()
    parts = [*components.adcs.values(), *components.dacs.values()]
    return {
        "stack": [vars(load_stack())],
        "stack_device": [vars(device) for device in load_devices(",".join(built_in_devices()))],
        "factors": [vars(load_parameters(name).factors) for name in ("physical", "calibrated")],
        "operation": [vars(load_parameters().operation)],
        "engine": [vars(load_engine())],
        "precision": [vars(load_precision(name)) for name in precisions()],
        "thermal": [vars(load_thermal())],
        "noc": [vars(load_noc())],
        "planar_device": [vars(device) for device in components.devices.values()],
        "converter": [vars(part) for part in parts],
        "chip": [{name: column[0] for name, column in vars(make_chip(profile)).items()} for profile in PROFILES],
    }


@pytest.mark.parametrize(
    ("number", "unit", "ours", "expected"),
    [
        (0.2, "nJ", "pJ", 200),
        (100, "fJ", "pJ", 0.1),
        (1, "uW", "mW", 1e-3),
        (1.6e6, "um2", "mm2", 1.6),
        (1.6, "mm^2", "mm2", 1.6),
        (20, "\N{GREEK SMALL LETTER MU}m", "um", 20),
        (0.12, "W/(mm K)", "W/(m K)", 120),
        (4, "W m^-1 K^-1", "W/(m K)", 4),
        (4, "W/mK", "W/(m K)", 4),
        (16, "GB/s", "bit/ns", 128),
        (1200, "MS/s", "GS/s", 1.2),
        (1.2, "GHz", "GS/s", 1.2),
        (10, "kohm", "ohm", 1e4),
        (2, "bytes", "bit", 16),
        (5, "%", "1", 0.05),
        (3, "V A s", "J", 3),
        (0.1, "K/W", "mJ", None),
        (1, "pJ/bit", "pJ", None),
        (1, "pico-joule", "pJ", None),
        (1, "rows", "1", None),
        (27, "degC", "K", None),  # a difference of temperatures, for all that is known
    ],
)
def test_units_are_compared_by_dimension_and_converted(number, unit, ours, expected):
    assert convert(number, unit, ours) == (expected if expected is None else pytest.approx(expected, rel=1e-15))


def test_degrees_celsius_are_kelvins_of_a_temperature():
    assert convert(27, "degC", "K", absolute=True) == pytest.approx(300.15)


@given(st.text("m1%/()* ^-29uWKJsS?_\N{MIDDLE DOT}", max_size=60), st.sampled_from(["pJ", "W/(m K)", "1"]))
def test_any_text_is_a_unit_or_none(text, ours):
    assert convert(3, text, ours) is None or math.isfinite(convert(3, text, ours))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("stack_device", {"letter", "name", "read", "noise", "serves_back_propagation", "nonvolatile"}),
        ("thermal", {"tiers"}),
        ("chip", {"digital_subtraction"}),
        ("cells", {"distribution"}),
        *(
            (kind, set())
            for kind in ("stack", "factors", "operation", "engine", "precision", "noc", "planar_device", "converter")
        ),
    ],
)
def test_every_number_that_a_user_can_give_has_bounds_with_a_reason(kind, words):
    assert {field.name for field in fields(CLASSES[kind])} - words == set(bounds_of(CLASSES[kind]))
    assert all(len(bounds.reason) > 5 for bounds in BOUNDS[kind].values())


def test_bounds_hold_the_built_in_values():
    for kind, things in built_in().items():
        for name, bounds in BOUNDS[kind].items():
            assert bounds.least < bounds.most
            for thing in things:
                check_bounds(name, float(thing[name]), bounds)


@pytest.mark.parametrize("kind", built_in())
def test_a_slip_of_a_million_is_refused(kind):
    """Metres for micrometres, joules for microjoules: too large and too small, for a built-in value of each figure."""
    for name, bounds in BOUNDS[kind].items():
        values = [float(thing[name]) for thing in built_in()[kind] if thing.get(name)]
        if bounds.unit in ("1", "bit", "flit", "cycle") or bounds.whole or not values:
            continue  # no multiples of such units are written
        for slipped in (min(values) / 1e6, max(values) * 1e6):
            with pytest.raises(ConfigError, match=rf"x is .* {re.escape(bounds.unit)}; expected .* {bounds.unit[:1]}"):
                check_bounds("x", slipped, bounds)


def test_a_refusal_names_field_value_unit_and_bounds():
    refused = {
        "ambient_K of the thermal stack is 25 K; expected a number from 200 to 500 K": lambda: replace(
            load_thermal(), ambient_K=25
        ),
        "bits_per_cell of device 'R' is 100 bit; expected a whole number from 1 to 11 bit": lambda: load_parameters(
            override="R.bits_per_cell=100"
        ),
        "hop_energy_pJ of the stack is 1e+308 pJ; expected 0 or a number from 0.0001 to 50 pJ": lambda: load_stack(
            overrides={"hop_energy_pJ": 1e308}
        ),
        "cell_bits is 100 bit; expected a whole number from 1 to 11 bit": lambda: make_chip(cell_bits=100),
    }
    for message, call in refused.items():
        with pytest.raises(ConfigError) as error:
            call()
        assert str(error.value) == message


def test_a_constant_of_another_dimension_is_refused_with_both_units():
    table = {"value": 3, "unit": "mW", "kind": "measured", "source": "chip"}
    with pytest.raises(ConfigError, match=r"^unit of write is 'mW'; expected 'pJ' or a multiple of it$"):
        constant("write", table, bounds=Bounds("pJ", 0, 1))


def test_files_of_a_stack_may_be_in_other_units(tmp_path):
    def entry(value, unit):
        return f'{{ value = {value}, unit = "{unit}", kind = "measured", source = "chip" }}'

    path = tmp_path / "own.toml"
    path.write_text(
        f"[stack]\nhop_energy_pJ = {entry(100, 'fJ')}\npe_area_mm2 = {entry(1.6e6, 'um2')}\n"
        f"link_bits_per_ns = {entry(16, 'GB/s')}\n"
        f"[thermal]\nambient_K = {entry(26.85, 'degC')}\nspreader_side_mm = {entry(3, 'cm')}\n"
        f"[thermal.tier.2]\nsilicon_um = {entry(0.1, 'mm')}\n"
    )
    assert vars(load_stack(path)) == pytest.approx(vars(load_stack()), rel=1e-15)
    thermal = load_thermal(path)
    assert (thermal.ambient_K, thermal.spreader_side_mm, thermal.tiers[0].silicon_um) == pytest.approx((300, 30, 100))
    single = load_parameters(override="R.write_pJ=2.5nJ,link_bits_per_ns=16 GB/s,mesh=3,noise_linear_per_K=1e-2")
    assert (single.devices[1].write_pJ, single.stack.link_bits_per_ns, single.stack.mesh) == (2500, 128, 3)
    devices, factors = tmp_path / "device.toml", tmp_path / "factors.toml"
    devices.write_text(f"[X]\nlike = 'R'\nwrite_pJ = {entry(2, 'nJ')}\nstatic_mW = {entry(0.012, 'W')}\n")
    factors.write_text(f'"R.step_ns" = {entry(0.1, "us")}\n')
    own, given_set = load_parameters(devices=f"S,R,{devices}"), load_parameters(str(factors))
    assert (own.devices[2].write_pJ, own.devices[2].static_mW) == (own.devices[1].write_pJ, own.devices[1].static_mW)
    assert given_set.devices[1].step_ns == pytest.approx(100)


def within(bounds):
    """Numbers within bounds, the ends among them."""
    inside = st.floats(bounds.least, bounds.most)
    ends = st.sampled_from([bounds.least, bounds.most, *([0.0] if bounds.zero else [])])
    if bounds.whole:
        return st.one_of(ends, st.integers(int(bounds.least), int(bounds.most))).map(int)
    return st.one_of(ends, inside)


def beyond(bounds):
    return st.sampled_from([bounds.most * 1.01, 1e308, -1e308, bounds.least / 1.01 - 1e-300, -1, math.inf, math.nan])


SETTABLE = {
    **{f"{letter}.{name}": bounds for letter in "SRF" for name, bounds in BOUNDS["stack_device"].items()},
    **{name: bounds for name, bounds in BOUNDS["stack"].items() if name not in ("tiers", "mesh")},
    **BOUNDS["factors"],
    **{name: bounds for name, bounds in BOUNDS["operation"].items() if name != "pace_levels"},
    **BOUNDS["engine"],
}
UNUSED = {"system": system._WITHOUT_EFFECT, "idealised": idealised._WITHOUT_EFFECT}
# Counts that only the system model refuses as fractions.
COUNTS = {"n_act", *(f"{letter}.arrays_per_pe" for letter in "SRF")}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_parameters_within_bounds_give_finite_results(data):
    equations = data.draw(st.sampled_from(["system", "idealised", "paper"]))
    unused = UNUSED["system" if equations == "system" else "idealised"]
    used = sorted(name for name in SETTABLE if name.rpartition(".")[2] not in unused)
    names = data.draw(st.lists(st.sampled_from(used), min_size=1, max_size=6, unique=True))
    traffic = "graph" if equations == "system" else "chain"
    bounds = {name: replace(SETTABLE[name], whole=True) if name in COUNTS else SETTABLE[name] for name in names}
    override = ",".join(f"{name}={data.draw(within(bounds[name]))!r}" for name in names)
    try:
        problem = HuntMapping("vgg11", override=override, equations=equations, traffic=traffic, thermal="paper")
    except ConfigError:  # arrays so small that no mapping fits, or no unit of the gradient engine in a PE
        reject()
    genes = problem.repair_designs(problem.genome.sample(8, np.random.default_rng(1)))
    found = problem.evaluate_designs(problem.genome.decode(genes))
    for name, values in found.items():
        assert np.isfinite(values[found["violation"] <= 0]).all(), name


@given(st.data())
def test_overrides_beyond_bounds_are_refused_before_any_work(data):
    name = data.draw(st.sampled_from(sorted(SETTABLE)))
    value = data.draw(beyond(SETTABLE[name]))
    with pytest.raises(ConfigError) as error:
        load_parameters(override=f"{name}={value!r}")
    assert name.rpartition(".")[2] in str(error.value)
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(["compat", "physical"]))
def test_chips_within_bounds_have_finite_results(data, mode):
    names = data.draw(st.lists(st.sampled_from(sorted({*CHIP_BOUNDS} - {"adc_bits", "dac_bits", "crossbar"}))))
    table = network_table("alexnet")
    try:
        chip = make_chip("cur", **{name: data.draw(within(CHIP_BOUNDS[name])) for name in names})
    except ConfigError:  # a resistance or a voltage of the low state above that of the high one
        reject()
    found = evaluate_planar(table, chip, mode)
    assert all(np.isfinite(values).all() for values in found.values())
    assert all(np.isfinite(values).all() for values in break_down(table, chip, mode).energy_mJ.values())


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(["hotspot", "paper", "paper+"]))
def test_stacks_within_bounds_have_finite_temperatures(data, mode):
    names = data.draw(st.lists(st.sampled_from(sorted({*BOUNDS["thermal"]} - {"cells_per_pe_side"}))))
    chosen = {name: data.draw(within(BOUNDS["thermal"][name])) for name in names}
    try:
        thermal = replace(load_thermal(), cells_per_pe_side=1, **chosen)
        matrix = influence_matrix(2, 2, 1.6, thermal, mode)
    except ConfigError:  # a spreader wider than the sink, or smaller than the die
        reject()
    assert np.isfinite(matrix).all()
    assert (matrix >= -1e-9 * np.abs(matrix).max()).all()
