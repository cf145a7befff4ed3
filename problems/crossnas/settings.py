"""Settings of CrossNAS's pipeline, and presets of its sizes: built-in ones or those of a user's file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moopim.algorithms.registry import algorithm_names
from moopim.checks import is_whole
from moopim.constants import check_constants, load_constants, read_table, read_user_table
from moopim.errors import ConfigError, unknown_name
from moopim.goals import choose_goals
from moopim.network.recipes import load_recipe
from moopim.problems.crossnas.objectives import QUANTITIES, check_weight

POPULATION = 50
"""Designs per cycle of a search (CrossNAS, section 4.2)."""

SINGLE_OBJECTIVE = "topk"
"""The paper's optimiser, which maximises the fitness; all others search the front of accuracy and EDP."""

_RECIPES = ("supernet", "float", "quantisation")
_COUNTS = ("max_blocks", "cycles", "circuit_cycles", "final_epochs", "calibration")
_OPTIONAL = ("supernet_epochs", "float_epochs", "quantisation_epochs")


@dataclass(frozen=True)
class Settings:
    """Settings of a pipeline.

    Attributes:
        output: Folder of all results.
        preset: Name of a preset, or ``FILE.toml`` with the fields of `Preset`.
        data: Images; those of the preset by default.
        root: Folder of the images, if they are read from files.
        w_acc: Weights of the accuracy in the fitness, 0 to 1.
        algorithm: Optimiser of both searches.
        seed: Seed of all random numbers.
        reference: EDP_ref of the fitness, see `reference_edp`; that of the preset by default.
        simulator: ``FILE.py:Class`` of another PIM simulator; the planar chip by default.
        max: Upper limits of both searches, such as ``area=200``.
        min: Lower limits.
        device: Device of trainings and accuracies.
        jobs: Number of processes of the searches; results do not depend on it.
        progress: Whether to show progress bars, if standard error is a terminal.

    Raises:
        ConfigError: If a value is not allowed.
    """

    output: Path
    preset: str = "digits"
    data: str | None = None
    root: str | None = None
    w_acc: tuple[float, ...] = (0.8,)
    algorithm: str = SINGLE_OBJECTIVE
    seed: int = 1
    reference: str | None = None
    simulator: str | None = None
    max: str = ""
    min: str = ""
    device: str = "cpu"
    jobs: int = 1
    progress: bool = True

    def __post_init__(self) -> None:
        from moopim.network.tools import check_device  # torch is slow to load

        if not self.w_acc:
            raise ConfigError("w_acc is empty; expected at least one number from 0 to 1")
        for i, w_acc in enumerate(self.w_acc):
            check_weight(w_acc)
            if w_acc in self.w_acc[:i]:
                raise ConfigError(f"w_acc={w_acc:g} is given twice; expected different ones")
        choose_goals(QUANTITIES, "accuracy", self.max, self.min)
        if self.algorithm not in algorithm_names():
            raise unknown_name("algorithm", self.algorithm, algorithm_names())
        for name, value, least in (("seed", self.seed, 0), ("jobs", self.jobs, 1)):
            if value < least:
                raise ConfigError(f"{name}={value} is not allowed; expected {least}, {least + 1}, ...")
        check_device(self.device)
        if self.output.exists() and not self.output.is_dir():
            raise ConfigError(f"output {str(self.output)!r} is not a folder")


@dataclass(frozen=True)
class Preset:
    """Sizes of the search space, and lengths of trainings and searches.

    Attributes:
        data: Images, unless the settings name others.
        recipes: Names of recipes: ``supernet``, ``float`` and ``quantisation``.
        max_blocks: Largest number of blocks.
        channels: Output channels of a block.
        augmentation: Whether images are augmented as is usual for their kind.
        reference: EDP_ref of the fitness, see `reference_edp`.
        cycles: Cycles of the search for an architecture.
        circuit_cycles: Cycles of the search for widths and a circuit.
        final_epochs: Epochs of the last tuning.
        calibration: Number of training images for the statistics of batch norms.
        supernet_epochs: Epochs of the supernet; those of the recipe by default.
        float_epochs: Epochs of the network in floating point; those of the recipe by default.
        quantisation_epochs: Epochs of the mixed-precision supernet; those of the recipe by default.

    Raises:
        ConfigError: If a recipe is unknown or a field is not allowed.
    """

    data: str
    recipes: Mapping[str, str]
    max_blocks: int
    channels: tuple[int, ...]
    augmentation: bool
    reference: str | float
    cycles: int
    circuit_cycles: int
    final_epochs: int
    calibration: int
    supernet_epochs: int | None = None
    float_epochs: int | None = None
    quantisation_epochs: int | None = None

    def __post_init__(self) -> None:
        check_constants(self, "a preset")
        if set(self.recipes) != set(_RECIPES):
            raise ConfigError(
                f"recipes {sorted(self.recipes)} of a preset are not allowed; expected {', '.join(_RECIPES)}"
            )
        for recipe in self.recipes.values():
            load_recipe(recipe)
        for name in (*_COUNTS, *_OPTIONAL):
            count = getattr(self, name)
            if not is_whole(count, 1) and not (count is None and name in _OPTIONAL):
                raise ConfigError(f"{name}={count!r} of a preset is not allowed; expected a whole number from 1")
        for name, kind in (("data", str), ("reference", str | int | float)):
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ConfigError(f"{name}={value!r} of a preset is not allowed; expected a name")


def preset_names() -> tuple[str, ...]:
    """Names of the presets of ``data/presets.toml``."""
    return tuple(_tables())


def load_preset(name: str) -> Preset:
    """Preset by name, or from a TOML file with the fields of `Preset`."""
    tables = _tables()
    if name.endswith(".toml"):
        table = read_user_table(Path(name))
    elif name in tables:
        table = dict(tables[name])
    else:
        raise unknown_name("preset", name, [*tables, "FILE.toml"])
    known: dict[str, Any] = {field: None for field in _OPTIONAL if field not in table}
    for field, kind, allowed in (("recipes", dict, "a table of names"), ("channels", list, "a list of whole numbers")):
        if not isinstance(table.get(field, kind()), kind):
            raise ConfigError(f"{field}={table[field]!r} of preset {name} is not allowed; expected {allowed}")
    if "recipes" in table and "channels" in table:
        known |= {"recipes": table.pop("recipes"), "channels": tuple(table.pop("channels"))}
    return load_constants(Preset, f"preset {name}", table, **known)


def default_preset(data: str) -> str:
    """Preset of the name of a data set, else ``paper``."""
    return data if data in _tables() else "paper"


def _tables() -> dict[str, dict[str, Any]]:
    return read_table("moopim.problems.crossnas", "presets.toml")
