"""The catalogue of a planar chip's parts: ADCs, DACs and memory devices, built in or defined by the user in TOML."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from moopim.checks import number
from moopim.errors import ConfigError, unknown_name
from moopim.figures import Bounds, check_bounds, figure, load_bounds, plain, read_table, read_user_table, values

__all__ = ["Components", "Converter", "Device", "adc_area_um2", "load_components", "walden_power_W"]

Table: TypeAlias = Mapping[str, Any]
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Converter:
    """An ADC or a DAC.

    Attributes:
        bits: Resolution (bit).
        area_um2: Area (um2).
        power_W: Power (W).
        conversion_ns: Time of a conversion (ns).
    """

    bits: int
    area_um2: float
    power_W: float  # noqa: N815 (the unit is W)
    conversion_ns: float


@dataclass(frozen=True)
class Device:
    """A memory device and its cell; attributes as those of `moopim.hardware.planar.chip.Chip`.

    Attributes:
        cell_area_um2: Area of a cell (um2).
        cell_bits: Bits that a cell can hold.
        resistance_low_ohm: Resistance of the low-resistance state (ohm).
        resistance_high_ohm: Resistance of the high-resistance state (ohm).
        read_low_V: Read voltage of a 0 (V).
        read_high_V: Read voltage of a 1 (V).
        read_ns: Time of a read (ns).
        write_ns: Time to write a row of cells (ns).
        write_pJ: Energy to write a cell (pJ).
    """

    cell_area_um2: float
    cell_bits: int
    resistance_low_ohm: float
    resistance_high_ohm: float
    read_low_V: float  # noqa: N815 (the units are V and pJ)
    read_high_V: float  # noqa: N815
    read_ns: float
    write_ns: float
    write_pJ: float  # noqa: N815


@dataclass(frozen=True)
class Components:
    """What a chip can be made of, by name.

    Attributes:
        adcs: ADCs.
        dacs: DACs.
        devices: Memory devices.
        adc_by_bits: Name of the ADC that stands for a resolution (bit).
        dac_by_bits: Name of the DAC that stands for a resolution (bit).
    """

    adcs: Mapping[str, Converter]
    dacs: Mapping[str, Converter]
    devices: Mapping[str, Device]
    adc_by_bits: Mapping[int, str]
    dac_by_bits: Mapping[int, str]


def load_components(path: Path | None = None) -> Components:
    """The built-in catalogue, with the entries of a user's file beside them.

    Tables ``[adc.NAME]`` hold ``bits`` or ``enob``; ``power_W`` or ``walden_fJ`` (energy per conversion step, fJ);
    ``area_um2`` or ``node_nm``, from which the area is estimated; ``rate_GSps``; and, if it is not bits + 2 periods of
    the rate as in MNSIM, ``conversion_ns``. Tables ``[dac.NAME]`` hold ``bits``, ``area_um2``, ``power_W``,
    ``rate_GSps`` and maybe ``conversion_ns``, tables ``[device.NAME]`` the fields of `Device`. Fields are numbers, or
    tables of ``value``, ``unit``, ``kind`` and ``source``; ``hardware/data/bounds.toml`` has their bounds.

    For a resolution stands the only entry of the user's file that has it, else the built-in one.

    Args:
        path: The user's TOML file.

    Returns:
        The catalogue.

    Raises:
        ConfigError: If the file cannot be read or an entry cannot be used; names file, table, field, value and what is
            allowed.
    """
    built_in = _load_built_in()
    if path is None:
        return built_in
    file = read_user_table(path, ("adc", "dac", "device"))
    adcs = _extended(built_in.adcs, path, "adc", file, _user_adc)
    dacs = _extended(built_in.dacs, path, "dac", file, _user_dac)
    return Components(
        adcs=adcs,
        dacs=dacs,
        devices=_extended(built_in.devices, path, "device", file, _user_device),
        adc_by_bits=_by_bits(adcs, built_in.adcs, built_in.adc_by_bits),
        dac_by_bits=_by_bits(dacs, built_in.dacs, built_in.dac_by_bits),
    )


def walden_power_W(walden_fJ: float, enob: float, rate_GSps: float) -> float:  # noqa: N802 (the unit is W)
    """Power of an ADC from its figure of merit (R. H. Walden, IEEE JSAC 17(4), 1999).

    Args:
        walden_fJ: Energy per conversion step (fJ).
        enob: Effective number of bits (bit).
        rate_GSps: Sampling rate (GS/s).

    Returns:
        The power (W).

    Raises:
        ConfigError: If a number is not above 0, or the power is not finite.
    """
    for name, given in (("walden_fJ", walden_fJ), ("enob", enob), ("rate_GSps", rate_GSps)):
        number(name, given, positive=True)
    number("enob", enob, most=_CONVERTER["enob"].most)
    return walden_fJ * 1e-15 * 2**enob * rate_GSps * 1e9


def adc_area_um2(node_nm: float, rate_GSps: float, power_W: float) -> float:
    """Area of an ADC by the regression of Andrulis et al. (arXiv 2404.06553) over published ADCs; optimistic.

    Args:
        node_nm: Technology node (nm).
        rate_GSps: Sampling rate (GS/s).
        power_W: Power (W); power over rate is the energy of a conversion, which the regression takes.

    Returns:
        The area (um2).

    Raises:
        ConfigError: If a number is not above 0.
    """
    for name, given in (("node_nm", node_nm), ("rate_GSps", rate_GSps), ("power_W", power_W)):
        number(name, given, positive=True)
    table = read_table("moopim.hardware", "planar_converters.toml")["adc_area"]
    weight = {name: figure(f"adc_area {name}", entry) for name, entry in table.items()}
    energy_pJ = power_W / rate_GSps * 1e3
    return math.exp(
        weight["intercept"]
        + weight["node"] * math.log(node_nm)
        + weight["rate"] * math.log(rate_GSps * 1e9)
        + weight["energy"] * math.log(energy_pJ)
    )


_CONVERTER = load_bounds("moopim.hardware")["converter"]
_DEVICE = load_bounds("moopim.hardware")["planar_device"]


@cache
def _load_built_in() -> Components:
    file = read_table("moopim.hardware", "planar_converters.toml")

    def converters(kind: str) -> dict[str, Converter]:
        return {name: _built_in_converter(kind, name, row, file) for name, row in file[kind]["entries"].items()}

    devices = {
        name: Device(**values(f"device {name}", table, Device, _DEVICE))
        for name, table in read_table("moopim.hardware", "planar_devices.toml").items()
    }
    adcs, dacs = converters("adc"), converters("dac")
    chosen = {int(bits): name for bits, name in file["adc"]["by_bits"].items()}
    return Components(adcs, dacs, devices, dict(sorted((_by_bits(adcs) | chosen).items())), _by_bits(dacs))


def _by_bits(
    entries: Mapping[str, Converter],
    built_in: Mapping[str, Converter] | None = None,
    known: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Name of the entry that stands for each resolution: the only new one that has it, else the known one."""
    found: dict[int, list[str]] = {}
    for name, entry in entries.items():
        if name not in (built_in or ()):
            found.setdefault(entry.bits, []).append(name)
    kept = {bits: name for bits, name in (known or {}).items() if bits not in found}
    return dict(sorted((kept | {bits: names[0] for bits, names in found.items() if len(names) == 1}).items()))


def _built_in_converter(kind: str, name: str, row: Table, file: Table) -> Converter:
    columns = file[kind]["columns"]
    return _converter(
        {
            key: figure(f"{kind} {name} {key}", {**columns[key], "value": value}, bounds=_CONVERTER[key])
            for key, value in row.items()
        }
    )


def _converter(entry: Table) -> Converter:
    bits = int(entry["bits"])
    conversion_ns = entry.get("conversion_ns", (bits + _overhead_cycles()) / entry["rate_GSps"])
    return Converter(bits, entry["area_um2"], entry["power_W"], conversion_ns)


@cache
def _overhead_cycles() -> float:
    return figure("overhead_cycles", read_table("moopim.hardware", "planar_converters.toml")["overhead_cycles"])


def _extended(
    built_in: Mapping[str, Entry], path: Path, kind: str, file: Table, make: Callable[[str, Table], Entry]
) -> Mapping[str, Entry]:
    added = {}
    tables = file.get(kind, {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: {kind} is {tables!r}; expected tables [{kind}.NAME]")
    for name, table in tables.items():
        if not name.strip():
            raise ConfigError(f"{path}: [{kind}.{name!r}] has no name; expected [{kind}.NAME]")
        if name in built_in:
            raise ConfigError(f"{path}: [{kind}.{name}] has the name of a built-in one; expected a name of its own")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {kind}.{name} is {table!r}; expected a table [{kind}.{name}]")
        added[name] = make(f"{path}: [{kind}.{name}]", table)
    return {**built_in, **added}


def _user_adc(what: str, table: Table) -> Converter:
    known = _fields(
        what,
        table,
        _CONVERTER,
        required=("rate_GSps",),
        optional=("bits", "enob", "power_W", "walden_fJ", "area_um2", "node_nm", "conversion_ns"),
    )
    for first, second in (("power_W", "walden_fJ"), ("area_um2", "node_nm")):
        if (first in known) == (second in known):
            given = "both" if first in known else "neither"
            raise ConfigError(f"{what} has {given} of {first} and {second}; expected one of them")
    if "bits" not in known and "enob" not in known:
        raise ConfigError(f"{what} has neither of bits and enob; expected one of them, or both")
    bits = known.setdefault("bits", math.ceil(known.get("enob", 0)))
    enob = known.get("enob", bits)
    if enob > bits:
        raise ConfigError(f"{what} enob is {enob}; expected at most its bits, {bits}")
    rate_GSps = known["rate_GSps"]
    if "power_W" not in known:
        known["power_W"] = walden_power_W(known["walden_fJ"], enob, rate_GSps)
        _check_result(what, "power_W", known["power_W"], ("walden_fJ", "rate_GSps"))
    if "area_um2" not in known:
        known["area_um2"] = adc_area_um2(known["node_nm"], rate_GSps, known["power_W"])
        _check_result(what, "area_um2", known["area_um2"], ("node_nm", "rate_GSps", "power_W"))
    return _user_converter(what, known)


def _user_dac(what: str, table: Table) -> Converter:
    return _user_converter(
        what,
        _fields(
            what,
            table,
            _CONVERTER,
            required=("bits", "area_um2", "power_W", "rate_GSps"),
            optional=("conversion_ns",),
        ),
    )


def _user_converter(what: str, known: Table) -> Converter:
    converter = _converter(known)
    _check_result(what, "conversion_ns", converter.conversion_ns, ("rate_GSps",))
    return converter


def _check_result(what: str, name: str, value: float, sources: tuple[str, ...]) -> None:
    """Refuses a value that follows from fields which are each allowed, but not together."""
    check_bounds(f"{what} {name}, by its {', '.join(sources)},", value, _CONVERTER[name])


def _user_device(what: str, table: Table) -> Device:
    known = _fields(what, table, _DEVICE, required=tuple(field.name for field in fields(Device)))
    low, high = known["resistance_low_ohm"], known["resistance_high_ohm"]
    if low > high:
        raise ConfigError(f"{what} resistance_low_ohm is {low}; expected at most resistance_high_ohm, {high}")
    if known["read_low_V"] > known["read_high_V"]:
        raise ConfigError(
            f"{what} read_low_V is {known['read_low_V']}; expected at most read_high_V, {known['read_high_V']}"
        )
    return Device(**known)


def _fields(
    what: str,
    table: Table,
    bounds: Mapping[str, Bounds],
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
) -> dict[str, Any]:
    for name in table:
        if name not in required + optional:
            raise unknown_name(f"field of {what}", name, required + optional)
    for name in required:
        if name not in table:
            raise ConfigError(f"{what} has no {name}; expected {', '.join(required)}")
    known = plain(what, table, bounds)
    for name, value in known.items():
        check_bounds(f"{what} {name}", value, bounds[name])
    return {name: int(value) if bounds[name].whole else float(value) for name, value in known.items()}
