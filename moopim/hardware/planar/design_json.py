"""Designs of planar chips from a CSV file: a network and a circuit as JSON in each row (schema 1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from moopim.constants import bounds_of, check_bounds
from moopim.csv_files import read_rows, row_name
from moopim.errors import ConfigError
from moopim.hardware.planar.chip import PROFILES, Chip, make_chip
from moopim.hardware.planar.components import Converter, load_components
from moopim.hardware.planar.design_schema import HardwareRow, LayerRow, parse_design
from moopim.typing import IntArray
from moopim.workload.layers import NO_INPUT, LayerKind, LayerTable

__all__ = ["Designs", "read_designs", "read_ids"]


# The catalogue calls MNSIM's choice 6 mnsim6.
_CHOICE = "mnsim"
# Field of the file -> parameter of the chip.
_PARAMETERS = {
    "xbar": "crossbar",
    "group_num": "groups",
    "adc_num": "adcs",
    "dac_num": "dacs",
    "dev_area": "cell_area_um2",
    "drv": "driver_area_um2",
    "nm_t": "mux_nm",
    "rl": "resistance_low_ohm",
    "rh": "resistance_high_ohm",
    "v": "read_high_V",
    "t_dev": "read_ns",
    "pe": "pes",
    "side": "grid",
    "noc": "noc_bits_per_ns",
    "intra": "tile_bits_per_ns",
}
# Layers of a file; their places, as designs are padded to the longest; and places of what they read.
_MOST_LAYERS = 400_000
_MOST_PLACES = 2_000_000
_MOST_INPUTS = 20_000_000
_FROM_PROFILE = ("cell_bits", "read_low_V", "write_ns", "write_pJ", "polarity", "digital_subtraction")


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class Designs:
    """Networks, each with its chip.

    Attributes:
        ids: Names of the designs.
        table: Their layers.
        chip: Their circuits.
    """

    ids: Sequence[str]
    table: LayerTable
    chip: Chip


def read_ids(path: Path, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Takes the names of the designs of a file, which must be there and differ.

    Args:
        path: The file, for messages.
        rows: Its rows, with a column ``id``.

    Returns:
        The names.

    Raises:
        ConfigError: If one is missing or comes twice; names the row.
    """
    first: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        name = row["id"]
        if not name.strip():
            raise ConfigError(f"{row_name(path, number, row, 'id')}: id is missing; expected a name of its own")
        if name in first:
            raise ConfigError(f"{row_name(path, number, row, 'id')}: id is that of row {first[name]}; expected another")
        first[name] = number
    return list(first)


def read_designs(path: Path, profile: str | None = None) -> Designs:
    """Reads designs; columns other than ``id`` and ``design`` do not matter.

    Args:
        path: The CSV file.
        profile: Profile of designs that say none; others must have it, too. If not given, each design must say its own.

    Returns:
        The designs, in the order of the file.

    Raises:
        ConfigError: If the file cannot be read, or names the row, the field, its value and what is allowed.
    """
    rows = read_rows(path, ("id", "design"))[1]
    if not rows:
        raise ConfigError(f"designs {str(path)!r} has no rows; expected at least one design")
    ids = read_ids(path, rows)
    components = load_components()
    designs, profiles, layers = [], [], 0
    for number, row in enumerate(rows, start=1):
        try:
            design = parse_design(row["design"])
            profiles.append(_profile(design.hw.profile, profile))
            for field, parameter in _PARAMETERS.items():
                check_bounds(f"hw.{field}", getattr(design.hw, field), bounds_of(Chip)[parameter])
            _check_converter("adc", design.hw.adc_choice, design.hw.adc_bits, components.adcs)
            _check_converter("dac", design.hw.dac_choice, design.hw.dac_bits, components.dacs)
        except ConfigError as error:
            raise ConfigError(f"{row_name(path, number, row, 'id')}: {error}") from None
        designs.append(design)
        layers += len(design.layers)
        if layers > _MOST_LAYERS:
            raise ConfigError(f"designs {str(path)!r} has more than {_MOST_LAYERS:,} layers in all; expected fewer")
    table = _table([design.layers for design in designs])
    return Designs(ids, table, _chip([design.hw for design in designs], profiles))


def _table(designs: Sequence[Sequence[LayerRow]]) -> LayerTable:
    """Puts the layers of all designs into columns at once."""
    counts = np.array([len(layers) for layers in designs])
    every = [layer for layers in designs for layer in layers]
    most = max(len(layer.producers) for layer in every)
    places = len(designs) * int(counts.max())
    if places > _MOST_PLACES or places * most > _MOST_INPUTS:
        raise ConfigError(
            f"{len(designs):,} designs of up to {counts.max():,} layers that read up to {most:,} layers are too many; "
            f"expected a product of at most {_MOST_PLACES:,}, and of {_MOST_INPUTS:,} with what they read"
        )
    where = np.arange(counts.max()) < counts[:, None]  # (designs, layers)

    def column(values: Iterable[Any], filler: int = 1) -> IntArray:
        filled = np.array(list(values), dtype=np.int64)
        result = np.full((*where.shape, *filled.shape[1:]), filler, dtype=np.int64)
        result[where] = filled
        return result

    def of(field: str) -> IntArray:
        return column(getattr(layer, field) for layer in every)

    def window(field: str, filler: int) -> IntArray:
        return column(getattr(layer, field) if layer.type in ("conv", "pool") else filler for layer in every)

    kind = column((LayerKind[layer.type.upper()] for layer in every), LayerKind.NONE)
    kernel, stride, padding = window("k", 1), window("s", 1), window("p", 0)
    return LayerTable(
        kind=kind,
        inputs=column(([*layer.producers, *[NO_INPUT] * (most - len(layer.producers))] for layer in every), NO_INPUT),
        c_in=of("cin"),
        c_out=of("cout"),
        kernel_h=kernel,
        kernel_w=kernel,
        stride_h=stride,
        stride_w=stride,
        padding_h=padding,
        padding_w=padding,
        h_in=of("h"),
        w_in=of("w"),
        h_out=of("oh"),
        w_out=of("ow"),
        groups=np.ones_like(kind),
        input_bits=of("ib"),
        weight_bits=column(layer.wb if layer.type in ("conv", "fc") else 0 for layer in every),
        output_bits=of("ob"),
        waits=kind == LayerKind.FC,
    )


def _profile(own: str | None, default: str | None) -> str:
    """The profile of a design; what it says and what is asked for must not differ."""
    if own is None and default is None:
        raise ConfigError(f"hw.profile is missing; expected {' or '.join(PROFILES)}, or one for all (--profile)")
    if own is not None and default not in (None, own):
        raise ConfigError(f"hw.profile={own!r} is not allowed: {default!r} is given for all; expected it or none")
    return own or str(default)


def _chip(rows: Sequence[HardwareRow], profiles: Sequence[str]) -> Chip:
    """Puts the circuits of all designs into columns; what the file does not say is that of the profile."""
    base = {profile: make_chip(profile) for profile in set(profiles)}
    parameters: dict[str, ArrayLike] = {
        "adc": [f"{_CHOICE}{row.adc_choice}" for row in rows],
        "dac": [f"{_CHOICE}{row.dac_choice}" for row in rows],
    }
    for name, parameter in _PARAMETERS.items():
        parameters[parameter] = [getattr(row, name) for row in rows]
    for parameter in _FROM_PROFILE:
        parameters[parameter] = np.concatenate([getattr(base[profile], parameter) for profile in profiles])
    return make_chip("cur", load_components(), **parameters)


def _check_converter(kind: str, choice: int, bits: int, catalogue: Mapping[str, Converter]) -> None:
    """Checks an ADC or DAC that the file names by MNSIM's number of it."""
    part = catalogue.get(f"{_CHOICE}{choice}")
    if part is None:
        allowed = ", ".join(name.removeprefix(_CHOICE) for name in catalogue)
        raise ConfigError(f"hw.{kind}_choice={choice} is not allowed; expected one of {allowed}")
    if bits != part.bits:
        raise ConfigError(f"hw.{kind}_bits={bits} is not allowed; expected {part.bits}, as {kind}_choice={choice} has")
