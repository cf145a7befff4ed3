"""Catalogue of the parts of planar chips: ADCs, DACs and memory devices, built in or from a user's TOML file."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from moopim.checks import number
from moopim.constants import (
    bounded,
    bounded_as,
    bounds_of,
    check_bounds,
    check_constants,
    constant,
    load_constants,
    read_table,
    read_user_table,
)
from moopim.errors import ConfigError

Table: TypeAlias = Mapping[str, Any]
Entry = TypeVar("Entry")
Real = TypeVar("Real")
Whole = TypeVar("Whole")


@dataclass(frozen=True)
class Converter:
    """ADC or DAC.

    Attributes:
        bits: Resolution (bit).
        area_um2: Area (um2).
        power_W: Power (W).
        conversion_ns: Time of a conversion (ns).
    """

    bits: int = field(metadata=bounded("bit", 1, 32, "the finest that are sold have 32 bits", whole=True))
    area_um2: float = field(metadata=bounded("um2", 0.01, 1e7, "from some transistors to 10 mm2"))
    power_W: float = field(metadata=bounded("W", 1e-9, 1, "from 1 nW at some kS/s to 1 W at some 10 GS/s"))
    conversion_ns: float = field(metadata=bounded("ns", 1e-3, 1e6, "from a stage of the fastest to 1 ms"))

    def __post_init__(self) -> None:
        check_constants(self, "a converter")


@dataclass(frozen=True)
class CellParameters(Generic[Real, Whole]):
    """Parameters of a memory device and its cell: one value each, or arrays of shape ``(designs,)``.

    Attributes:
        cell_area_um2: Area of a cell (um2).
        cell_bits: Bits that a cell can hold; the compat mode stores one.
        resistance_low_ohm: Resistance of the low-resistance state (ohm).
        resistance_high_ohm: Resistance of the high-resistance state (ohm).
        read_low_V: Read voltage of a 0 (V).
        read_high_V: Read voltage of a 1 (V).
        read_ns: Time of a read (ns).
        write_ns: Time to write a row of cells (ns); for products of two activations.
        write_pJ: Energy to write a cell (pJ); for products of two activations.
    """

    cell_area_um2: Real = field(
        metadata=bounded("um2", 1e-5, 1000, "from a cell of 3-D flash by its share of the ground, to 30 um x 30 um")
    )
    cell_bits: Whole = field(
        metadata=bounded(
            "bit", 1, 11, "2,048 levels are the most shown: Rao et al., Nature 615, 823 (2023)", whole=True
        )
    )
    resistance_low_ohm: Real = field(
        metadata=bounded(
            "ohm",
            100,
            1e9,
            "from a magnetic junction, some 1e3, to a ferroelectric transistor read far below its threshold",
        )
    )
    resistance_high_ohm: Real = field(
        metadata=bounded("ohm", 100, 1e12, "1e12 ohm: 0.1 pA at 0.1 V, the leakage of a transistor")
    )
    read_low_V: Real = field(metadata=bounded("V", 1e-3, 10, "as read_high_V", zero=True))
    read_high_V: Real = field(metadata=bounded("V", 5e-3, 10, "from a fifth of kT/q to the supply of a flash"))
    read_ns: Real = field(metadata=bounded("ns", 0.01, 1e5, "from below a gate delay to reading by an integrating ADC"))
    write_ns: Real = field(metadata=bounded("ns", 0.01, 1e6, "from below a gate delay to flash, some 100 us a page"))
    write_pJ: Real = field(
        metadata=bounded("pJ", 1e-4, 1e4, "a cell: from 0.1 fJ, CV2 of a gate, to 10 nJ, phase change in large cells")
    )


@dataclass(frozen=True)
class PlanarDevice(CellParameters[float, int]):
    """Memory device of a planar chip and its cell."""

    def __post_init__(self) -> None:
        check_constants(self, "a planar device")
        for low, high in (("resistance_low_ohm", "resistance_high_ohm"), ("read_low_V", "read_high_V")):
            least, most = getattr(self, low), getattr(self, high)
            if least > most:
                raise ConfigError(f"{low} of a planar device is {least:g}; expected at most {high}, {most:g}")


@dataclass(frozen=True)
class Components:
    """Catalogue of the parts of a chip, by name.

    Attributes:
        adcs: ADCs.
        dacs: DACs.
        devices: Memory devices.
        adc_by_bits: Name of the default ADC of a resolution (bit).
        dac_by_bits: Name of the default DAC of a resolution (bit).
    """

    adcs: Mapping[str, Converter]
    dacs: Mapping[str, Converter]
    devices: Mapping[str, PlanarDevice]
    adc_by_bits: Mapping[int, str]
    dac_by_bits: Mapping[int, str]


def load_components(path: Path | None = None) -> Components:
    """Load the catalogue: the built-in entries and those of a user's file.

    Tables ``[adc.NAME]`` hold ``bits`` or ``enob``; ``power_W`` or ``walden_fJ`` (energy per conversion step, fJ);
    ``area_um2`` or ``node_nm``, from which the area is estimated; ``rate_GSps``; and, if it is not bits + 2 periods of
    the rate as in MNSIM, ``conversion_ns``. Tables ``[dac.NAME]`` hold ``bits``, ``area_um2``, ``power_W``,
    ``rate_GSps`` and optionally ``conversion_ns``, tables ``[device.NAME]`` the fields of `PlanarDevice`. Fields are
    numbers, or tables of ``value``, ``unit``, ``kind`` and ``source``.

    The default entry of a resolution is the only one of the user's file that has it, else the built-in one.

    Args:
        path: The user's TOML file; none if None.

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
    adcs = _extended(built_in.adcs, path, "adc", file, partial(_load_converter, _EstimatedConverter))
    dacs = _extended(built_in.dacs, path, "dac", file, partial(_load_converter, _RatedConverter))
    return Components(
        adcs=adcs,
        dacs=dacs,
        devices=_extended(built_in.devices, path, "device", file, partial(load_constants, PlanarDevice)),
        adc_by_bits=_by_bits(adcs, built_in.adcs, built_in.adc_by_bits),
        dac_by_bits=_by_bits(dacs, built_in.dacs, built_in.dac_by_bits),
    )


def walden_power_W(walden_fJ: float, enob: float, rate_GSps: float) -> float:  # noqa: N802 (the unit is W)
    """Power of an ADC from its figure of merit: P = FoM 2^ENOB f (R. H. Walden, IEEE JSAC 17(4), 1999).

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
    number("enob", enob, most=bounds_of(_EstimatedConverter)["enob"].most)
    return walden_fJ * 1e-15 * 2**enob * rate_GSps * 1e9


def adc_area_um2(node_nm: float, rate_GSps: float, power_W: float) -> float:
    """Area of an ADC by the regression of Andrulis et al. (arXiv 2404.06553) over published ADCs; optimistic.

    A = exp(c_0 + c_1 ln(node) + c_2 ln(rate) + c_3 ln(P / rate)), with node (nm), rate (S/s) and P / rate (pJ).

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
    weight = {name: constant(f"adc_area {name}", entry) for name, entry in table.items()}
    energy_pJ = power_W / rate_GSps * 1e3
    return math.exp(
        weight["intercept"]
        + weight["node"] * math.log(node_nm)
        + weight["rate"] * math.log(rate_GSps * 1e9)
        + weight["energy"] * math.log(energy_pJ)
    )


@cache
def _load_built_in() -> Components:
    file = read_table("moopim.hardware", "planar_converters.toml")

    def converters(kind: str) -> dict[str, Converter]:
        columns = file[kind]["columns"]
        return {
            name: _load_converter(
                _RatedConverter,
                f"{kind} {name}",
                {key: {**columns[key], "value": value} for key, value in row.items()},
            )
            for name, row in file[kind]["entries"].items()
        }

    devices = {
        name: load_constants(PlanarDevice, f"device {name}", table)
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
    """Name of the default entry of each resolution: the only new one that has it, else the known one."""
    found: dict[int, list[str]] = {}
    for name, entry in entries.items():
        if name not in (built_in or ()):
            found.setdefault(entry.bits, []).append(name)
    kept = {bits: name for bits, name in (known or {}).items() if bits not in found}
    return dict(sorted((kept | {bits: names[0] for bits, names in found.items() if len(names) == 1}).items()))


@cache
def _overhead_cycles() -> float:
    return constant("overhead_cycles", read_table("moopim.hardware", "planar_converters.toml")["overhead_cycles"])


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
            raise ConfigError(f"{path}: [{kind}.{name}] has the name of a built-in one; expected another")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {kind}.{name} is {table!r}; expected a table [{kind}.{name}]")
        added[name] = make(f"[{kind}.{name}] of {path}", table)
    return {**built_in, **added}


@dataclass(frozen=True)
class _RatedConverter:
    """Table of a converter with power, area and sampling rate."""

    bits: int = field(metadata=bounded_as(Converter, "bits"))
    area_um2: float = field(metadata=bounded_as(Converter, "area_um2"))
    power_W: float = field(metadata=bounded_as(Converter, "power_W"))
    rate_GSps: float = field(metadata=bounded("GS/s", 1e-5, 200, "from 10 kS/s to the fastest interleaved ones"))
    conversion_ns: float | None = field(default=None, metadata=bounded_as(Converter, "conversion_ns"))

    def converter(self, what: str) -> Converter:
        """The converter; a conversion takes ``bits`` + 2 periods of the rate if not given, as in MNSIM."""
        conversion_ns = self.conversion_ns
        if conversion_ns is None:
            conversion_ns = (self.bits + _overhead_cycles()) / self.rate_GSps
            _check_result(what, "conversion_ns", conversion_ns, ("rate_GSps",))
        return Converter(self.bits, self.area_um2, self.power_W, conversion_ns)


@dataclass(frozen=True)
class _EstimatedConverter:
    """Table of a user's ADC with power and area, or the parameters to estimate them."""

    rate_GSps: float = field(metadata=bounded_as(_RatedConverter, "rate_GSps"))
    bits: int | None = field(default=None, metadata=bounded_as(Converter, "bits"))
    enob: float | None = field(default=None, metadata=bounded("bit", 0.1, 32, "as bits"))
    power_W: float | None = field(default=None, metadata=bounded_as(Converter, "power_W"))
    walden_fJ: float | None = field(
        default=None,
        metadata=bounded("fJ", 0.1, 1e5, "the best published are at about 1 fJ: B. Murmann, ADC Performance Survey"),
    )
    area_um2: float | None = field(default=None, metadata=bounded_as(Converter, "area_um2"))
    node_nm: float | None = field(default=None, metadata=bounded("nm", 1, 5000, "technology nodes"))
    conversion_ns: float | None = field(default=None, metadata=bounded_as(Converter, "conversion_ns"))

    def converter(self, what: str) -> Converter:
        """The ADC, by `walden_power_W` and `adc_area_um2` where power or area are not given."""
        for first, second in (("power_W", "walden_fJ"), ("area_um2", "node_nm")):
            given = [name for name in (first, second) if getattr(self, name) is not None]
            if len(given) != 1:
                kind = "both" if given else "neither"
                raise ConfigError(f"{what} has {kind} of {first} and {second}; expected one of them")
        if self.bits is None and self.enob is None:
            raise ConfigError(f"{what} has neither of bits and enob; expected one of them, or both")
        bits = math.ceil(self.enob or 0) if self.bits is None else self.bits
        enob = bits if self.enob is None else self.enob
        if enob > bits:
            raise ConfigError(f"enob of {what} is {enob}; expected at most its bits, {bits}")
        power_W, area_um2 = self.power_W, self.area_um2
        if power_W is None:
            power_W = walden_power_W(self.walden_fJ or 0, enob, self.rate_GSps)
            _check_result(what, "power_W", power_W, ("walden_fJ", "rate_GSps"))
        if area_um2 is None:
            area_um2 = adc_area_um2(self.node_nm or 0, self.rate_GSps, power_W)
            _check_result(what, "area_um2", area_um2, ("node_nm", "rate_GSps", "power_W"))
        return _RatedConverter(bits, area_um2, power_W, self.rate_GSps, self.conversion_ns).converter(what)


def _load_converter(cls: type[_RatedConverter | _EstimatedConverter], what: str, table: Table) -> Converter:
    return load_constants(cls, what, table).converter(what)


def _check_result(what: str, name: str, value: float, origins: tuple[str, ...]) -> None:
    """Raise ConfigError unless an estimate, from fields that are each allowed, is within the bounds."""
    check_bounds(f"{name} of {what}, by its {', '.join(origins)},", value, bounds_of(Converter)[name])
