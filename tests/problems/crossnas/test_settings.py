"""Sizes of the pipeline: those that come along, and those of a file."""

import pytest
from crossnas_toys import write_preset

from moopim.errors import ConfigError
from moopim.problems.crossnas.settings import POPULATION, default_preset, load_preset, preset_names


def test_the_preset_of_the_paper_has_its_numbers():
    paper = load_preset("paper")
    assert (paper.data, paper.max_blocks, paper.channels) == ("cifar10", 8, (32, 64, 128))  # Table 1
    assert (POPULATION, paper.cycles) == (50, 10)  # section 4.2
    assert paper.recipes["supernet"] == "crossnas-supernet"
    assert paper.reference == "alexnet"
    assert paper.augmentation


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_can_be_loaded(name):
    assert load_preset(name).cycles >= 1
    assert default_preset(load_preset(name).data) in preset_names()


def test_a_set_of_images_without_a_preset_gets_that_of_the_paper():
    assert [default_preset(data) for data in ("digits", "shapes32", "cifar100", "folder")] == [
        "digits", "shapes32", "paper", "paper"
    ]  # fmt: skip


def test_a_file_gives_what_it_says(tmp_path):
    preset = load_preset(write_preset(tmp_path, ('"median"', "0.5"), ("float_epochs = 11", "")))
    assert (preset.channels, preset.supernet_epochs, preset.float_epochs) == ((4, 6, 8), 21, None)
    assert preset.reference == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_blocks = 2", "", r"preset .* has no 'max_blocks'; expected"),
        ("max_blocks = 2", "max_blocks = 2\nblocks = 2", r"unknown field of preset .* 'blocks'"),
        ("max_blocks = 2", "max_blocks = 0", "max_blocks=0 of a preset is not allowed"),
        ("max_blocks = 2", "max_blocks = true", "max_blocks=True of a preset is not allowed"),
        ("circuit_cycles = 2", "circuit_cycles = 1.5", r"circuit_cycles=1\.5 of a preset is not allowed"),
        ("[4, 6, 8]", "4", r"channels=4 of preset .* is not allowed; expected a list of whole numbers"),
        ("recipes = {", "recipes = 5 # ", r"recipes=5 of preset .* is not allowed; expected a table of names"),
        ('float = "digits-float", ', "", r"recipes \['quantisation', 'supernet'\] of a preset are not allowed"),
        ('"digits-float"', '"digits-floats"', "unknown recipe 'digits-floats'"),
        ("augmentation = false", "augmentation = 0", r"augmentation of preset .* is 0; expected true or false"),
        ('"median"', "true", "reference=True of a preset is not allowed"),
        ('"folder"', "7", "data=7 of a preset is not allowed; expected a name"),
        ("[4, 6, 8]", "[4, 6", "cannot read .*: Unclosed array"),
    ],
)  # fmt: skip
def test_files_that_are_no_presets_are_refused(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message):
        load_preset(write_preset(tmp_path, (old, new)))


def test_names_that_are_no_presets_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown preset 'digit' .did you mean 'digits'"):
        load_preset("digit")
    with pytest.raises(ConfigError, match=r"cannot read .*none.*: No such file"):
        load_preset(str(tmp_path / "none.toml"))
