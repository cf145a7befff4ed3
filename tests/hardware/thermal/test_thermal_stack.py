"""The description of the stack: built in with sources, the user's figures in their places, and what is refused."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from moopim import ConfigError
from moopim.hardware.thermal import load_thermal
from moopim.hardware.thermal.description import TierLayers, die_layers

BUILT_IN = tomllib.loads((files("moopim.hardware") / "data" / "stack_thermal.toml").read_text(encoding="utf-8"))


def write(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "entry"), BUILT_IN.items())
def test_every_figure_of_the_stack_has_unit_kind_and_source(name, entry):
    assert entry["unit"]
    assert entry["kind"] in {"paper", "literature", "assumption"}
    assert len(entry["source"]) > 5
    assert getattr(load_thermal(), name) == entry["value"]


def test_layers_of_a_die_from_the_sink_outwards():
    die = die_layers(3, load_thermal())
    assert die.thickness_m == pytest.approx(np.array([20, 100, 20, 100, 20, 100]) * 1e-6)
    assert die.conductivity.tolist() == [4, 120, 4, 120, 4, 120]
    assert die.silicon.tolist() == [1, 3, 5]


def test_figures_of_a_file_take_the_place_of_the_built_in_ones(tmp_path):
    path = write(
        tmp_path,
        """
        [thermal]
        ambient_K = 318.15
        convection_K_per_W = { value = 0.2, unit = "K/W", kind = "assumption", source = "a smaller fan" }

        [thermal.tier.3]
        silicon_um = 50
        bond_W_per_mK = { value = 1.5, unit = "W/(m K)", kind = "literature", source = "underfill" }

        [thermal.tier.1]
        silicon_W_per_mK = 100

        [stack]
        tiers = 3
        """,
    )
    thermal = load_thermal(path)
    own = (TierLayers(1, silicon_W_per_mK=100), TierLayers(3, silicon_um=50, bond_W_per_mK=1.5))
    assert thermal == replace(load_thermal(), ambient_K=318.15, convection_K_per_W=0.2, tiers=own)
    assert hash(thermal) == hash(load_thermal(path))
    die = die_layers(3, thermal)
    assert die.thickness_m * 1e6 == pytest.approx([20, 100, 20, 100, 20, 50])
    assert die.conductivity.tolist() == [4, 100, 4, 120, 1.5, 120]


def test_a_file_without_a_thermal_table_changes_nothing(tmp_path):
    assert load_thermal(write(tmp_path, "[stack]\ntiers = 3\n")) == load_thermal()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[thermal]\nsilicon_um = -5\n", "silicon_um of [thermal] is -5 um; expected a number from 0.5 to 2000 um"),
        ("[thermal]\nbond_W_per_mK = 0\n", "bond_W_per_mK of [thermal] is 0 W/(m K); expected"),
        ("[thermal]\nsink_W_per_mK = -400.0\n", "sink_W_per_mK of [thermal] is -400.0 W/(m K); expected"),
        ("[thermal]\nconvection_K_per_W = nan\n", "convection_K_per_W of [thermal] is nan"),
        ("[thermal]\nambient_K = 'warm'\n", "ambient_K of [thermal] is 'warm'"),
        ("[thermal]\nambient_K = true\n", "ambient_K of [thermal] is True"),
        ("[thermal]\nsink_um = 6900\n", "unknown field of [thermal] 'sink_um'"),
        (
            "[thermal]\nspreader_side_mm = 70\n",
            "spreader_side_mm of the thermal stack is 70; expected at most sink_side_mm, 60",
        ),
        (
            "[thermal]\ncells_per_pe_side = 2.5\n",
            "cells_per_pe_side of [thermal] is 2.5; expected a whole number from",
        ),
        ("[thermal]\ncells_per_pe_side = 17\n", "cells_per_pe_side of [thermal] is 17"),
        ("[thermal]\ngrowth = 1\n", "growth of [thermal] is 1; expected a number from 1.1 to 8"),
        ("[thermal]\nambient_K = { value = 300 }\n", "ambient_K of [thermal] has no 'unit'"),
        ("[thermal.tier.2]\nsilicon_um = -1\n", "silicon_um of [thermal.tier.2] is -1 um; expected"),
        ("[thermal.tier.2]\ntier = 3\n", "unknown field of [thermal.tier.2] 'tier'; allowed: silicon_um"),
        ("[thermal.tier.1]\nbond_um = 10\n", "bond_um of thermal.tier.1 is 10; expected none"),
        ("[thermal.tier.0]\nsilicon_um = 10\n", "thermal.tier.0 is no tier; expected [thermal.tier.1]"),
        ("[thermal.tier.top]\nsilicon_um = 10\n", "thermal.tier.top is no tier"),
        ("[thermal]\ntier = 3\n", "thermal.tier is 3; expected a table [thermal.tier]"),
        ("[thermal.tier]\n2 = 50\n", "thermal.tier.2 is 50; expected a table"),
        ("thermal = 3\n", "thermal is 3; expected a table [thermal]"),
        ("[thermals]\nambient_K = 300\n", "'thermals' (did you mean 'thermal'?)"),
        ("[thermal\n", "expected a TOML file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_field_and_value(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_thermal(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_tier_is_a_whole_number():
    with pytest.raises(ConfigError, match=r"tier of the thermal stack is 1.5; expected 1, 2, ..."):
        TierLayers(1.5)
