"""Devices of the PEs of the stack: built in, with named variants, or from a TOML file of the user."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from moopim.constants import bounded, check_constants, constant_values, read_table, read_user_table
from moopim.errors import ConfigError, unknown_name

Overrides = Mapping[str, Any]
"""Values by ``LETTER.parameter`` of a device, or by the name of another parameter of the model."""

_Read = Literal["rows", "columns", "parallel", "macs"]
_Noise = Literal["none", "linear", "exponential"]


@dataclass(frozen=True)
class StackDevice:
    """Memory device and the arrays of a PE that are built of it; ``hardware/data/`` has the sources.

    Attributes:
        letter: One-letter name, such as ``R``.
        name: Name, such as ``ReRAM``.
        read: Serial part of the read of an array for a 1-bit input vector: ``rows``, ``columns`` or nothing
            (``parallel``); ``macs`` for a core that does one multiply-add after the other instead of an array.
        noise: Growth of thermal noise with temperature: ``none``, ``linear`` or ``exponential``.
        serves_back_propagation: Whether it endures the writes of back-propagation.
        nonvolatile: Whether its cells keep their values without power, so that arrays can be gated between uses.
        rows: Rows of an array.
        columns: Columns of an array.
        bits_per_cell: Bits of a cell.
        arrays_per_pe: Arrays of a PE.
        step_ns: Time (ns) of a row if it reads rows, of a multiply-add if ``macs``, else of a whole array.
        vector_pJ: Energy of a 1-bit vector through a full array (pJ); of a multiply-add if ``macs``.
        static_mW: Static power of a PE at ambient temperature (mW).
        static_slope_per_K: Relative growth of the static power with the temperature rise (1/K).
        write_row_ns: Time to write a row (ns).
        write_pJ: Energy of a write (pJ).
        write_cells: Cells that this energy writes.
        endurance: Writes that a cell endures.
        gradient_speedup: Rate of gradients over that of its forward pass, in the idealised model; 0 if it serves no
            back-propagation.
        gradient_pJ: Energy of a gradient MAC (pJ), in the idealised model; 0 if it serves no back-propagation.
    """

    letter: str
    name: str
    read: _Read
    noise: _Noise
    serves_back_propagation: bool
    nonvolatile: bool
    rows: float = field(
        metadata=bounded("1", 1, 65536, "the longest bit lines of memories have some 1e4 cells", whole=True)
    )
    columns: float = field(metadata=bounded("1", 1, 65536, "as rows", whole=True))
    bits_per_cell: float = field(
        metadata=bounded(
            "bit", 1, 11, "2,048 levels are the most shown: Rao et al., Nature 615, 823 (2023)", whole=True
        )
    )
    arrays_per_pe: float = field(metadata=bounded("1", 0.01, 1e6, "a count; fitted sets have fractions"))
    step_ns: float = field(
        metadata=bounded(
            "ns", 1e-3, 1e5, "from a picosecond, below a gate delay, to reading by an integrating ADC, 100 us"
        )
    )
    vector_pJ: float = field(
        metadata=bounded(
            "pJ",
            5e-3,
            1e6,
            "from a multiply-add of few bits, some 1e-2 pJ, to 8,192 x 8,192 cells of 10 fJ, 0.7 uJ",
            zero=True,
        )
    )
    static_mW: float = field(
        metadata=bounded("mW", 1e-3, 1e5, "from SRAM in retention to 100 W, more than a PE can be cooled by", zero=True)
    )
    static_slope_per_K: float = field(
        metadata=bounded("1/K", 1e-5, 1, "subthreshold leakage of CMOS doubles each 10 K to 30 K", zero=True)
    )
    write_row_ns: float = field(
        metadata=bounded("ns", 0.01, 5e5, "from SRAM, some 0.1 ns, to flash, some 100 us", zero=True)
    )
    write_pJ: float = field(
        metadata=bounded(
            "pJ", 1e-3, 1e5, "from 1 fJ, a ferroelectric cell, to a row of phase-change cells, some 10 nJ", zero=True
        )
    )
    write_cells: float = field(metadata=bounded("1", 1, 65536, "at most a row; fitted sets have fractions"))
    endurance: float = field(metadata=bounded("1", 1, 1e20, "a write each 0.1 ns for 300 years are 1e20"))
    gradient_speedup: float = field(
        default=0.0,
        metadata=bounded("1", 1e-3, 1e7, "an assumption over decades; HuNT gives no gradient engine", zero=True),
    )
    gradient_pJ: float = field(
        default=0.0,
        metadata=bounded(
            "pJ", 1e-3, 1e4, "from a multiply-add of few bits to one of a vector processor with its memory", zero=True
        ),
    )

    def __post_init__(self) -> None:
        check_constants(self, f"device {self.letter!r}")

    @property
    def write_cell_pJ(self) -> float:  # noqa: N802 (the unit is pJ)
        """Energy to write a cell (pJ)."""
        return self.write_pJ / self.write_cells

    @property
    def vector_ns(self) -> float:
        """Time of a 1-bit input vector through a fully used array (ns)."""
        return self.rows * self.step_ns if self.read == "rows" else self.step_ns


PARAMETERS = tuple(item.name for item in fields(StackDevice) if item.name not in ("letter", "name"))
"""Parameters of a device, which a user may override."""

TRUTHS = ("serves_back_propagation", "nonvolatile")
"""Those that are true or false."""


@cache
def built_in_devices() -> Mapping[str, Mapping[str, Any]]:
    """Tables of the built-in devices by letter, as in the file: constants with unit, kind and source."""
    return read_table("moopim.hardware", "stack_devices.toml")


def device_tables(names: str) -> dict[str, dict[str, Any]]:
    """Tables of devices by letter, variants merged in.

    ``names`` are separated by commas: letter or name of a built-in device, with ``:VARIANT`` behind it if wanted, or a
    ``FILE.toml``, for all devices of the file. A table has constants and plain values, the name of the ``variant`` that
    was asked for, and the table ``variants`` of those that there are.
    """
    tables: dict[str, dict[str, Any]] = {}
    for name in (item.strip() for item in names.split(",")):
        found = _read_file(Path(name)) if name.lower().endswith(".toml") else dict([_find(name)])
        for letter, table in found.items():
            if letter in tables:
                raise ConfigError(f"devices {names!r} name {letter!r} twice; expected each letter once")
            tables[letter] = table
    return tables


def load_devices(
    names: str = "S,R,F", calibrated: Overrides | None = None, overrides: Overrides | None = None
) -> tuple[StackDevice, ...]:
    """Load devices.

    Args:
        names: Devices, separated by commas: letter or name of a built-in one, with ``:VARIANT`` behind it if wanted, or
            a ``FILE.toml``, for all devices of the file.
        calibrated: Values of a factor set, which replace those of the files; a variant that is asked for replaces them.
        overrides: Values that have the highest priority, as ``LETTER.parameter``.

    Returns:
        Devices in the order of the names.

    Raises:
        ConfigError: If a name, a variant, a field or a value is not usable.
    """
    devices = []
    for letter, table in device_tables(names).items():
        what = f"device {letter!r}"
        entries = {name: value for name, value in table.items() if name not in ("variants", "variant")}
        values = constant_values(what, entries, StackDevice, besides=("letter",))
        values |= _overrides_of(letter, calibrated or {})
        if "variant" in table:
            variant = built_in_devices()[letter]["variants"][table["variant"]]
            values |= constant_values(what, variant, StackDevice, complete=False)
        devices.append(StackDevice(letter=letter, **(values | _overrides_of(letter, overrides or {}))))
    return tuple(devices)


def _overrides_of(letter: str, overrides: Overrides) -> dict[str, Any]:
    """Overrides of a device, by the name of its parameter."""
    values = {name.partition(".")[2]: value for name, value in overrides.items() if name.startswith(f"{letter}.")}
    for name in values:
        if name not in PARAMETERS:
            raise unknown_name(f"parameter of device {letter!r}", name, PARAMETERS)
    return values


def _find(name: str) -> tuple[str, dict[str, Any]]:
    """Letter and table of a built-in device, given ``R``, ``reram`` or ``R:hp``."""
    wanted, _, variant = name.partition(":")
    names = {
        spelling.lower(): letter for letter, table in built_in_devices().items() for spelling in (letter, table["name"])
    }
    if wanted.lower() not in names:
        spellings = [table["name"].lower() for table in built_in_devices().values()]
        raise unknown_name("device", wanted, [*built_in_devices(), *spellings, "FILE.toml"])
    letter = names[wanted.lower()]
    table = dict(built_in_devices()[letter])
    if variant:
        variants = table.get("variants", {})
        if variant not in variants:
            raise unknown_name(f"variant of device {letter}", variant, variants or ("none",))
        table |= {**variants[variant], "variant": variant}
    return letter, table


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    """Tables of a user's file; ``like`` names a built-in device whose entries fill the gaps."""
    tables = {}
    file = read_user_table(path)
    if not file:
        raise ConfigError(f"{path} has no device; expected tables [X], X one letter")
    for letter, table in file.items():
        if not isinstance(table, dict) or len(letter) != 1 or not (letter.isascii() and letter.isalpha()):
            raise ConfigError(f"{path}: {letter!r} is not a device; expected tables [X], X one letter")
        if letter in built_in_devices():
            raise ConfigError(f"{path}: [{letter}] is a built-in device; expected another letter")
        base = table.get("like")
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{path}: like of [{letter}] is {base!r}; expected the name of a built-in device")
        inherited = _find(base)[1] if base else {}
        merged = {**inherited, "name": letter, **table}
        tables[letter] = {name: value for name, value in merged.items() if name not in ("variants", "variant", "like")}
    return tables
