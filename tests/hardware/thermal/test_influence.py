"""The influence matrix in its four modes: against HotSpot, on stacks of other sizes, and what must hold of any."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moopim import ConfigError
from moopim.hardware.thermal import THERMAL_MODES, influence_matrix, load_thermal
from moopim.hardware.thermal.columns import fit_columns
from moopim.hardware.thermal.description import TierLayers

REFERENCE = Path(__file__).parents[2] / "reference" / "hunt"
PAGE = (Path(__file__).parents[3] / "docs" / "thermal.md").read_text(encoding="utf-8")
SHAPES = [(4, 4, 1.6), (3, 6, 1.6), (2, 5, 0.7), (1, 1, 3.0)]


def matrix(mode, **changes):
    return influence_matrix(4, 4, 1.6, replace(load_thermal(), **changes), mode)


def maps(quantity):
    frame = pd.read_csv(REFERENCE / "hotspot.csv")
    return frame[frame["quantity"] == quantity].filter(regex="^T[1-4]_PE").to_numpy(float)


def test_mode_hotspot_is_the_reference_matrix():
    expected = np.load(REFERENCE / "influence_64x64.npy")
    assert np.abs(matrix("hotspot") / expected - 1).max() < 1e-12


@pytest.mark.parametrize("mode", THERMAL_MODES)
def test_modes_differ_from_hotspot_as_the_documentation_states(mode):
    error = np.abs(300 + maps("power_W") @ matrix(mode).T - maps("temp_K"))
    assert error.shape == (20, 64)
    (stated,) = re.findall(rf"^\| `{re.escape(mode)}` \|.*\| ([0-9.]+) \| ([0-9.]+) \|$", PAGE, re.MULTILINE)
    digits = 4 if mode == "hotspot" else 2
    assert [float(word) for word in stated] == [round(error.mean(), digits), round(error.max(), digits)]


def test_mode_full_is_within_10_kelvin_of_hotspot_on_every_map():
    assert np.abs(300 + maps("power_W") @ matrix("full").T - maps("temp_K")).max() < 10


@pytest.mark.parametrize("mode", ["hotspot", "full"])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_stack_heats_symmetrically_positively_and_least_next_to_the_sink(mode, shape):
    tiers, mesh, _ = shape
    G = influence_matrix(*shape, load_thermal(), mode)
    assert G.shape == (tiers * mesh**2,) * 2
    assert np.allclose(G, G.T, rtol=1e-10, atol=0)
    assert (G > 0).all()
    assert (G.max(axis=1) == G.diagonal()).all()  # a PE heats none more than itself
    uniform = G.sum(axis=1).reshape(tiers, mesh**2)
    assert (np.diff(uniform, axis=0) > 0).all()


@pytest.mark.parametrize("mode", THERMAL_MODES)
def test_turning_or_mirroring_a_power_map_turns_or_mirrors_its_temperatures(mode, rng):
    G = influence_matrix(2, 5, 0.7, load_thermal(), mode)
    power = rng.exponential(size=(2, 5, 5))
    rise = (G @ power.ravel()).reshape(2, 5, 5)
    for turned in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.swapaxes(1, 2)):
        assert (G @ turned(power).ravel()).reshape(2, 5, 5) == pytest.approx(turned(rise), rel=1e-9)


def test_large_stacks_are_solved_too():
    G = influence_matrix(8, 8, 1.6, load_thermal(), "hotspot")
    assert G.shape == (512, 512)
    assert np.allclose(G, G.T, rtol=1e-10, atol=0)


@given(
    st.sampled_from(["silicon_W_per_mK", "bond_W_per_mK", "interface_W_per_mK", "spreader_W_per_mK", "sink_W_per_mK"]),
    st.floats(1.1, 12),
    st.sampled_from(["hotspot", "full"]),
)
def test_a_better_conductor_makes_the_hottest_pe_no_hotter(name, factor, mode):
    thermal = replace(load_thermal(), cells_per_pe_side=2)
    better = replace(thermal, **{name: getattr(thermal, name) * factor})
    before, after = (influence_matrix(2, 2, 1.6, stack, mode).sum(axis=1).max() for stack in (thermal, better))
    assert after < before


@pytest.mark.parametrize("mode", THERMAL_MODES)
def test_worse_silicon_in_the_farthest_tier_heats_that_tier(mode):
    poor = matrix(mode, tiers=(TierLayers(4, silicon_W_per_mK=10, bond_um=40),)).sum(axis=1)
    assert poor[48:].mean() > matrix(mode).sum(axis=1)[48:].mean()
    assert poor[:16].mean() == pytest.approx(matrix(mode).sum(axis=1)[:16].mean(), rel=0.1)


def test_eq_8_by_hand():
    # Two tiers of one PE of 1 mm2: R_v = 100 um / 100 W/(m K) / 1 mm2 = 1 K/W of silicon, and 4 and 9 K/W below it.
    thermal = replace(
        load_thermal(), silicon_W_per_mK=100, interface_um=16, interface_W_per_mK=4, bond_um=18, bond_W_per_mK=2
    )
    measured = influence_matrix(2, 1, 1.0, thermal, "hotspot")
    phi, base = fit_columns(2, 1, 1.0, thermal, "paper", measured).values()
    expected = phi * np.array([[5, 0], [5, 15]]) + base * np.array([[1, 0], [1, 1]])
    assert influence_matrix(2, 1, 1.0, thermal, "paper") == pytest.approx(expected, rel=1e-9)
    phi, base, total = fit_columns(2, 1, 1.0, thermal, "paper+", measured).values()
    expected = phi * np.array([[5, 5], [5, 15]]) + base + total
    assert influence_matrix(2, 1, 1.0, thermal, "paper+") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("corrected", [False, True])
def test_the_calibration_is_a_regression_on_exponential_powers(corrected, rng):
    # Eq. 8 tier by tier, and its figures from a sample instead of from moments.
    power = rng.exponential(size=(20_000, 4, 16))
    rise = power.reshape(-1, 64) @ matrix("hotspot").T
    resistance = (100e-6 / 120 + 20e-6 / 4) / 1.6e-6
    vertical, base = np.zeros((2, *power.shape))
    for z in range(4):
        for u in range(4 if corrected else z + 1):
            vertical[:, z] += power[:, u] * resistance * (min(u, z) + 1)
            base[:, z] += power[:, u]
    total = np.broadcast_to(power.sum(axis=(1, 2), keepdims=True), power.shape)
    terms = [vertical, base, total] if corrected else [vertical, base]
    found = np.linalg.lstsq(np.stack([term.ravel() for term in terms], axis=1), rise.ravel())[0]
    figures = fit_columns(4, 4, 1.6, load_thermal(), "paper+" if corrected else "paper", matrix("hotspot"))
    assert list(figures.values()) == pytest.approx(found, abs=0.02)


def test_eq_8_as_printed_ignores_the_heat_of_tiers_farther_from_the_sink():
    G = matrix("paper").reshape(4, 16, 4, 16)
    assert (G[0, :, 1:] == 0).all()
    assert (matrix("paper+") > 0).all()


def test_matrices_are_kept_and_cannot_be_changed():
    G = matrix("full")
    assert matrix("full") is G
    with pytest.raises(ValueError, match="read-only"):
        G[0, 0] = 1


def test_bits_do_not_depend_on_the_number_of_threads():
    code = (
        "from moopim.hardware.thermal import *; import hashlib; stack = load_thermal()\n"
        "for mode in THERMAL_MODES: print(hashlib.sha256(influence_matrix(4, 4, 1.6, stack, mode)).hexdigest())"
    )
    found = set()
    for threads in ("1", "2", "3"):
        environment = os.environ | dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads
        )
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 4, 1.6, "exact"), "unknown thermal mode 'exact'; allowed: hotspot, full, paper, paper+"),
        ((0, 4, 1.6, "full"), "tiers is 0; expected 1, 2, ..."),
        ((4, 2.5, 1.6, "full"), "mesh is 2.5; expected 1, 2, ..."),
        ((4, 4, -1.6, "paper"), "pe_area_mm2 is -1.6; expected a number > 0"),
        ((4, 4, float("nan"), "hotspot"), "pe_area_mm2 is nan"),
        ((64, 64, 0.01, "hotspot"), "64 tiers of 64 x 64 PEs are 262144; expected at most 4096"),
        (
            (4, 4, 100.0, "full"),
            "spreader_side_mm of the thermal stack is 30; expected at least the side of the die, 40",
        ),
    ],
)
def test_what_cannot_be_solved_is_refused(arguments, message):
    *shape, mode = arguments
    with pytest.raises(ConfigError) as error:
        influence_matrix(*shape, load_thermal(), mode)
    assert message in str(error.value)


def test_figures_of_a_tier_that_is_not_there_are_refused():
    with pytest.raises(ConfigError, match=r"thermal.tier.5 is given; expected one of the tiers, 1 .. 4"):
        matrix("full", tiers=(TierLayers(5, silicon_um=50),))


def test_the_corrected_equation_is_refused_where_pes_would_cool_others():
    with pytest.raises(ConfigError, match=r"thermal mode 'paper\+' does not fit this stack: PEs would cool others"):
        influence_matrix(16, 2, 1.6, load_thermal(), "paper+")
