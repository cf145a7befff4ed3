"""Sizes of CrossNAS's pipeline, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moopim.errors import unknown_name
from moopim.figures import read_table, values

__all__ = ["POPULATION", "Preset", "default_preset", "load_preset", "preset_names"]

POPULATION = 50
"""Designs of a cycle of the search (CrossNAS, section 4.2)."""

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
    reference: str
    cycles: int
    circuit_cycles: int
    final_epochs: int
    calibration: int
    supernet_epochs: int | None = None
    float_epochs: int | None = None
    quantisation_epochs: int | None = None


def preset_names() -> tuple[str, ...]:
    """Names of the presets; ``data/presets.toml`` says where their numbers are from."""
    return tuple(_tables())


def load_preset(name: str) -> Preset:
    """Loads a preset.

    Args:
        name: One of `preset_names`.

    Returns:
        The preset.

    Raises:
        ConfigError: If there is none of this name.
    """
    tables = _tables()
    if name not in tables:
        raise unknown_name("preset", name, tables)
    table = dict(tables[name])
    known: dict[str, Any] = {
        "recipes": table.pop("recipes"),
        "channels": tuple(table.pop("channels")),
        **{field: None for field in _OPTIONAL if field not in table},
    }
    return Preset(**values(f"preset {name}", table, Preset, **known), **known)


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
