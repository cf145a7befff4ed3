"""Planar chips: one value of each parameter per design."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moopim.constants import bounded, bounded_as, bounds_of, entry_value, read_table
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.planar.components import CellParameters, Components, Converter, PlanarDevice, load_components
from moopim.typing import BoolArray, FloatArray, IntArray

PROFILES = ("cur", "paper")
"""Base chips: MNSIM 2.0 as of November 2024, and as of 2022, which CrossNAS used."""


@dataclass(frozen=True, eq=False)  # arrays have no truth value: a chip equals itself only
class Chip(CellParameters[FloatArray, IntArray]):
    """Planar chips: parameters of their memory device, their crossbar circuits and their tiles.

    Each has shape ``(designs,)``, or ``(1,)`` where all designs share it; `make_chip` checks them.

    Attributes:
        crossbar: Rows, and columns, of a crossbar.
        groups: Groups of crossbars in a PE; each holds one bit of the weights.
        adcs: ADCs of a group.
        dacs: DACs of a group.
        adc_bits: Resolution of an ADC (bit).
        adc_area_um2: Area of an ADC (um2).
        adc_power_W: Power of an ADC (W).
        adc_ns: Time of a conversion (ns).
        dac_bits: Resolution of a DAC (bit).
        dac_area_um2: Area of a DAC (um2).
        dac_power_W: Power of a DAC (W).
        dac_ns: Time of a conversion (ns).
        driver_area_um2: Area of the driver of a crossbar's row (um2).
        mux_nm: Technology node of the multiplexers (nm).
        polarity: Crossbars that hold a signed weight: 2 for a positive and a negative one, 1 for two's complement.
        digital_subtraction: Whether the two polarities are subtracted behind the ADCs.
        pes: PEs of a tile.
        grid: Tiles along each side of the chip.
        noc_bits_per_ns: Rate of a link between tiles (bit/ns).
        tile_bits_per_ns: Rate of a link within a tile (bit/ns).
    """

    crossbar: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    groups: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    adcs: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    dacs: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    adc_bits: IntArray = field(metadata=bounded_as(Converter, "bits"))
    adc_area_um2: FloatArray = field(metadata=bounded_as(Converter, "area_um2"))
    adc_power_W: FloatArray = field(metadata=bounded_as(Converter, "power_W"))
    adc_ns: FloatArray = field(metadata=bounded_as(Converter, "conversion_ns"))
    dac_bits: IntArray = field(metadata=bounded_as(Converter, "bits"))
    dac_area_um2: FloatArray = field(metadata=bounded_as(Converter, "area_um2"))
    dac_power_W: FloatArray = field(metadata=bounded_as(Converter, "power_W"))
    dac_ns: FloatArray = field(metadata=bounded_as(Converter, "conversion_ns"))
    driver_area_um2: FloatArray = field(
        metadata=bounded("um2", 0.01, 1e6, "from some transistors to 1 mm2 for a row", zero=True)
    )
    mux_nm: FloatArray = field(metadata=bounded("nm", 1, 5000, "technology nodes"))
    polarity: IntArray = field(metadata=bounded("1", 1, 2, "crossbars of a signed weight", whole=True))
    digital_subtraction: BoolArray
    pes: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    grid: IntArray = field(metadata=bounded("1", 1, 65536, "a count", whole=True))
    noc_bits_per_ns: FloatArray = field(
        metadata=bounded("bit/ns", 1e-3, 1e6, "from a serial link at 1 MHz to 1e5 wires at 10 GHz")
    )
    tile_bits_per_ns: FloatArray = field(metadata=bounded("bit/ns", 0.01, 1e6, "as noc_bits_per_ns"))

    def __len__(self) -> int:
        """Number of designs."""
        return max(len(column) for _, column in self._columns())

    def take(self, designs: IntArray | slice) -> "Chip":
        """Select designs.

        Args:
            designs: Indices, shape ``(selected,)``, or a slice; parameters that all designs share are kept.

        Returns:
            The chips of these designs.
        """
        picked = {name: column if len(column) == 1 else column[designs] for name, column in self._columns()}
        return replace(self, **picked)

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((parameter.name, getattr(self, parameter.name)) for parameter in fields(self))


def make_chip(profile: str = "cur", components: Components | None = None, **parameters: ArrayLike) -> Chip:
    """Build chips from a profile and parameters that override those of the profile.

    Args:
        profile: One of `PROFILES`.
        components: Catalogue of their parts; the built-in one if None.
        **parameters: Attributes of `Chip` by name, each a single value or an array of shape ``(designs,)``; or entries
            of the catalogue by ``adc``, ``dac`` and ``device``. ``adc_bits`` and ``dac_bits`` select the default entry
            of this resolution. An attribute takes precedence over that of a part.

    Returns:
        The chips.

    Raises:
        ConfigError: If a parameter is unknown, has a value that is not allowed (names parameter, value, design and what
            is allowed), or arrays differ in length.
    """
    components = load_components() if components is None else components
    _check_names(parameters)
    chosen: dict[str, Any] = {**_load_profile(profile), **parameters}
    chosen = {**_converter_columns("adc", chosen, components.adcs, components.adc_by_bits), **chosen}
    chosen = {**_converter_columns("dac", chosen, components.dacs, components.dac_by_bits), **chosen}
    index = _index_of_name("device", chosen.pop("device"), components.devices)
    chosen = {**_device_columns(components.devices, index), **chosen}
    chip = Chip(**{name: _column(name, value) for name, value in chosen.items()})
    _check_lengths(chip)
    for name, limit in (("resistance_low_ohm", "resistance_high_ohm"), ("read_low_V", "read_high_V")):
        low, high = np.broadcast_arrays(getattr(chip, name), getattr(chip, limit))
        _check_values(name, low, low > high, f"at most {limit}")
    return chip


_SELECTORS = ("adc", "dac", "device")


@cache
def _load_profile(name: str) -> Mapping[str, Any]:
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return {
        key: entry_value(f"{key} of profile {name}", entry, bounds_of(Chip).get(key))
        for key, entry in read_table("moopim.hardware", "planar_profiles.toml")[name].items()
    }


def _check_names(parameters: Mapping[str, object]) -> None:
    allowed = (*_SELECTORS, *(parameter.name for parameter in fields(Chip)))
    for name in parameters:
        if name not in allowed:
            raise unknown_name("parameter of a chip", name, allowed)
    for part in ("adc", "dac"):
        if part in parameters and f"{part}_bits" in parameters:
            raise ConfigError(f"{part} and {part}_bits both choose the {part.upper()}; expected one of them")


def _index_of_name(part: str, names: ArrayLike, catalogue: Mapping[str, object]) -> IntArray:
    """Indices of names in a catalogue, shape ``(designs,)`` or ``(1,)``."""
    given = _flat(part, names).astype(str)
    found = given[:, None] == np.array(list(catalogue))
    unknown = np.flatnonzero(~found.any(axis=1))
    if unknown.size:
        raise unknown_name(f"{part}{_of_design(unknown[0], len(given))}", given[unknown[0]], catalogue)
    index: IntArray = found.argmax(axis=1)
    return index


def _index_of_bits(
    name: str, bits: ArrayLike, by_bits: Mapping[int, str], catalogue: Mapping[str, Converter]
) -> IntArray:
    """Indices in a catalogue of the default entries of resolutions, shape ``(designs,)`` or ``(1,)``."""
    given = _column(name, bits)
    found = given[:, None] == np.array(list(by_bits))
    for value in np.unique(given[~found.any(axis=1)]):
        several = [entry for entry, converter in catalogue.items() if converter.bits == value]
        if several:
            part = name.removesuffix("_bits")
            raise ConfigError(f"{name} {value} is that of several: {', '.join(several)}; expected {part} by name")
    _check_values(name, given, ~found.any(axis=1), f"one of {', '.join(map(str, by_bits))}")
    names = list(catalogue)
    index: IntArray = np.array([names.index(entry) for entry in by_bits.values()])[found.argmax(axis=1)]
    return index


def _converter_columns(
    part: str, chosen: dict[str, Any], catalogue: Mapping[str, Converter], by_bits: Mapping[int, str]
) -> dict[str, NDArray[Any]]:
    """Attributes of the ADCs or DACs chosen by name or resolution, which are removed from ``chosen``."""
    index = _index_of_name(part, chosen.pop(part), catalogue)
    if f"{part}_bits" in chosen:
        index = _index_of_bits(f"{part}_bits", chosen.pop(f"{part}_bits"), by_bits, catalogue)
    entries = catalogue.values()
    return {
        f"{part}_bits": np.array([entry.bits for entry in entries])[index],
        f"{part}_area_um2": np.array([entry.area_um2 for entry in entries])[index],
        f"{part}_power_W": np.array([entry.power_W for entry in entries])[index],
        f"{part}_ns": np.array([entry.conversion_ns for entry in entries])[index],
    }


def _device_columns(catalogue: Mapping[str, PlanarDevice], index: IntArray) -> dict[str, NDArray[Any]]:
    return {
        parameter.name: np.array([getattr(entry, parameter.name) for entry in catalogue.values()])[index]
        for parameter in fields(PlanarDevice)
    }


def _column(name: str, value: ArrayLike) -> NDArray[Any]:
    """Parameter as a checked array, shape ``(designs,)`` or ``(1,)``."""
    column = _flat(name, value)
    if name == "digital_subtraction":
        _check_values(name, column, np.full(len(column), column.dtype != np.bool_), "True or False")
        return column
    bounds = bounds_of(Chip)[name]
    if column.dtype.kind not in "iuf":
        _check_values(name, column, np.ones(len(column), dtype=np.bool_), bounds.words)
    good = (column >= bounds.least) & (column <= bounds.most)
    if bounds.zero:
        good |= column == 0
    if bounds.whole:
        good &= column == np.floor(column)
    _check_values(name, column, ~good, bounds.words, bounds.unit)
    return column.astype(np.int64 if bounds.whole else np.float64)


def _flat(name: str, value: ArrayLike) -> NDArray[Any]:
    try:
        column = np.atleast_1d(np.asarray(value))
    except ValueError as error:
        raise ConfigError(f"{name} is {value!r}; expected one value or an array of shape (designs,)") from error
    if column.ndim != 1 or not column.size:
        raise ConfigError(f"{name} has shape {column.shape}; expected one value or an array of shape (designs,)")
    return column


def _check_lengths(chip: Chip) -> None:
    designs = len(chip)
    for name in (parameter.name for parameter in fields(Chip)):
        length = len(getattr(chip, name))
        if length not in (1, designs):
            raise ConfigError(f"{name} has {length} values; expected 1 or {designs}, the number of designs")


def _check_values(name: str, column: NDArray[Any], bad: BoolArray, expected: str, unit: str = "1") -> None:
    """Raise ConfigError for the first bad value of a parameter."""
    indices = np.flatnonzero(bad)
    if indices.size:
        value = column.tolist()[indices[0]]
        shown = f"{value!r}" if unit == "1" else f"{value!r} {unit}"
        raise ConfigError(f"{name}{_of_design(indices[0], len(bad))} is {shown}; expected {expected}")


def _of_design(index: int, count: int) -> str:
    return f" of design {index}" if count > 1 else ""
