"""Parameter files: every figure has a unit, a kind and a source; the factors are those of the reference."""

import csv
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from moopim import ConfigError
from moopim.figures import figure
from moopim.hardware.stack.parameters import Device, load_devices, load_factors, load_influence, load_stack

DATA = files("moopim.hardware") / "data"
KINDS = {"paper", "derived", "measured", "literature", "assumption"}
REFERENCE = Path(__file__).parents[2] / "reference" / "hunt" / "factors.csv"


def figures():
    for letter, table in tomllib.loads((DATA / "stack_devices.toml").read_text()).items():
        yield from ((f"{letter}.{name}", entry) for name, entry in table.items() if isinstance(entry, dict))
    yield from tomllib.loads((DATA / "stack.toml").read_text()).items()
    yield from tomllib.loads((DATA / "stack_factors.toml").read_text()).items()


@pytest.mark.parametrize(("name", "entry"), list(figures()))
def test_every_figure_has_unit_kind_and_source(name, entry):
    assert entry["unit"]
    assert entry["kind"] in KINDS
    assert len(entry["source"]) > 5


@pytest.mark.parametrize("name", ["physical", "calibrated"])
def test_factors_equal_the_reference(name):
    expected = {row["name"]: float(row[name]) for row in csv.DictReader(REFERENCE.open())}
    assert load_factors(name) == expected


def test_calibrated_factors_lie_in_their_fit_range():
    for name, entry in tomllib.loads((DATA / "stack_factors.toml").read_text()).items():
        slack = 1e-9 * entry["fit_high"]
        assert entry["fit_low"] - slack <= entry["calibrated"] <= entry["fit_high"] + slack, name


def test_storage_of_a_pe_is_that_of_the_paper():
    bits = {d.letter: d.rows * d.columns * d.bits_per_cell * d.arrays_per_pe for d in load_devices()}
    assert bits == {"S": 2_359_296, "R": 12_582_912, "F": 12_582_912}


def test_links_of_the_mesh():
    stack = load_stack()
    n = stack.mesh
    assert stack.links == 2 * (2 * n * (n - 1) * stack.tiers + n * n * (stack.tiers - 1))


def test_influence_is_symmetric_positive_and_grows_away_from_the_sink():
    G = load_influence()
    assert G.shape == (64, 64)
    assert np.allclose(G, G.T, rtol=1e-6)
    assert (G > 0).all()
    own = G.diagonal().reshape(4, 16).mean(axis=1)
    assert (np.diff(own) > 0).all()


def test_an_unknown_set_is_refused():
    with pytest.raises(ConfigError, match="unknown factor set 'ideal'; allowed: physical, calibrated"):
        load_factors("ideal")


GOOD = {"value": 3, "unit": "ns", "kind": "paper", "source": "Table I"}


def test_a_figure_is_the_number_as_written():
    assert figure("time", GOOD) == 3
    assert isinstance(figure("time", GOOD), int)


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
        figure("time", GOOD | change)
    assert message in str(error.value)


def test_a_device_of_unknown_behaviour_is_refused():
    sram = load_devices()[0]
    with pytest.raises(ConfigError, match="unknown read of device 'S' 'cells'; allowed: rows, columns"):
        Device(**(vars(sram) | {"read": "cells"}))
    with pytest.raises(ConfigError, match="unknown noise of device 'S' 'cubic'"):
        Device(**(vars(sram) | {"noise": "cubic"}))
