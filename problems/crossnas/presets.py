"""Sizes of CrossNAS's pipeline, by name or from a file of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moopim.checks import is_whole
from moopim.constants import check_constants, load_constants, read_table, read_user_table
from moopim.errors import ConfigError, unknown_name
from moopim.network.recipes import load_recipe

__all__ = ["POPULATION", "Preset", "default_preset", "load_preset", "preset_names"]

POPULATION = 50
"""Designs of a cycle of the search (CrossNAS, section 4.2)."""

_RECIPES = ("supernet", "float", "quantisation")
_COUNTS = ("max_blocks", "cycles", "circuit_cycles", "final_epochs", "calibration")
_OPTIONAL = ("supernet_epochs", "float_epochs", "quantisation_epochs")


@dataclass(frozen=True)
class Preset:
    """What is trained and searched, and for how long.

    Attributes:
        data: Set of images, where no other is asked for.
        recipes: Names of recipes: ``supernet``, ``float`` and ``quantisation``.
        max_blocks: Largest number of blocks.
        channels: Output channels of a block.
        augmentation: Whether images are augmented as is usual for the set.
        reference: What counts 1 for the EDP in the fitness, see `moopim.problems.crossnas.goals.reference_edp`.
        cycles: Cycles of the search for an architecture.
        circuit_cycles: Cycles of the search for widths and a circuit.
        final_epochs: Epochs of the fine-tuning in the end.
        calibration: Training images from which batch norms are measured.
        supernet_epochs: Epochs in place of those of the recipe.
        float_epochs: The same, for the network in floating point.
        quantisation_epochs: The same, for the mixed-precision supernet.
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
    """Names of the presets; ``data/presets.toml`` says where their numbers are from."""
    return tuple(_tables())


def load_preset(name: str) -> Preset:
    """Loads a preset.

    Args:
        name: One of `preset_names`, or a TOML file with the fields of `Preset`.

    Returns:
        The preset.

    Raises:
        ConfigError: If there is none of this name, the file cannot be read, or a field is not allowed.
    """
    tables = _tables()
    if name.endswith(".toml"):
        table = read_user_table(Path(name))
    elif name in tables:
        table = dict(tables[name])
    else:
        raise unknown_name("preset", name, [*tables, "FILE.toml"])
    known: dict[str, Any] = {field: None for field in _OPTIONAL if field not in table}
    for field, kind, what in (("recipes", dict, "a table of names"), ("channels", list, "a list of whole numbers")):
        if not isinstance(table.get(field, kind()), kind):
            raise ConfigError(f"{field}={table[field]!r} of preset {name} is not allowed; expected {what}")
    if "recipes" in table and "channels" in table:
        known |= {"recipes": table.pop("recipes"), "channels": tuple(table.pop("channels"))}
    return load_constants(Preset, f"preset {name}", table, **known)


def default_preset(data: str) -> str:
    """Chooses a preset for a set of images.

    Args:
        data: Name of the set.

    Returns:
        That of the set's own name, or ``paper``.
    """
    return data if data in _tables() else "paper"


def _tables() -> dict[str, dict[str, Any]]:
    return read_table("moopim.problems.crossnas", "presets.toml")
