"""``moopim evaluate thermal``: power maps of a stack in a CSV file, the temperatures of its PEs in another."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from moopim.cli.options import Force, check_drawn
from moopim.constants import Bounds, check_bounds
from moopim.csv_files import read_rows, row_name, write_rows
from moopim.errors import ConfigError, unknown_name
from moopim.files import check_files
from moopim.hardware.stack.parameters import Stack, load_stack
from moopim.hardware.stack.thermal import temperature_rise
from moopim.hardware.thermal.description import ThermalStack, load_thermal
from moopim.hardware.thermal.influence import THERMAL_MODES, influence_matrix
from moopim.hardware.thermal.maps import temperature_map
from moopim.hardware.thermal.solving import GRID_MODES
from moopim.messages import count
from moopim.typing import FloatArray

__all__ = ["evaluate_thermal"]

_POWER = "power_W"
_WATTS = Bounds("W", 0, 1e4)  # of a PE, a part of a die: no die has been cooled at more than a wafer's 2e4 W
_PE_COLUMN = re.compile("T[0-9]+_PE[0-9]+")


class _Maps(NamedTuple):
    """Power maps of a file.

    Attributes:
        cases: Name of each.
        power: Power of each PE (W), shape ``(cases, pes)``.
    """

    cases: list[str]
    power: FloatArray


def evaluate_thermal(
    maps: Annotated[Path, typer.Argument(help="CSV file: columns case, quantity (power_W), T1_PE0, T1_PE1, ... in W.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file for the temperatures.")],
    mode: Annotated[str, typer.Option(help=f"Thermal model: {', '.join(THERMAL_MODES)}.")] = "hotspot",
    stack: Annotated[Path | None, typer.Option(help="TOML file with a stack of one's own.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the temperatures of one case.")] = None,
    case: Annotated[str | None, typer.Option(help="Case that --plot draws.", show_default="the first")] = None,
    force: Force = False,
) -> None:
    """Evaluate the steady-state temperature of each PE of a 3-D stack, in kelvin."""
    check_files([path for path in (maps, stack) if path], [path for path in (output, plot) if path], force=force)
    if mode not in THERMAL_MODES:
        raise unknown_name("thermal mode", mode, THERMAL_MODES)
    check_drawn(case, plot)
    chip, thermal = load_stack(stack), load_thermal(stack)
    columns = [f"T{pe // chip.pes_per_tier + 1}_PE{pe % chip.pes_per_tier}" for pe in range(chip.pes)]
    cases, power = _read(maps, columns)
    if case is not None and case not in cases:
        raise unknown_name("case", case, cases)
    influence = influence_matrix(chip.tiers, chip.mesh, chip.pe_area_mm2, thermal, mode)
    temperature = thermal.ambient_K + temperature_rise(power, influence)
    if plot is not None:
        drawn = 0 if case is None else cases.index(case)
        _draw(plot, f"{cases[drawn]}, mode {mode}", power[drawn], temperature[drawn], (chip, thermal, mode))
    lines = ([name, *map(repr, row)] for name, row in zip(cases, temperature.tolist(), strict=True))
    write_rows(output, ["case", *columns], lines)
    hottest, pe = np.unravel_index(int(temperature.round(2).argmax()), temperature.shape)  # the first of equal ones
    typer.echo(
        f"{count(len(cases), 'power map')}; hottest: {temperature.max():.2f} K in {columns[pe]} of {cases[hottest]}"
    )


def _draw(
    path: Path,
    title: str,
    power: FloatArray,
    temperature: FloatArray,
    model: tuple[Stack, ThermalStack, str],
) -> None:
    """Draws the cells of a case, or its PEs where the mode has no cells."""
    from moopim.analysis.stack import heat_frame, plot_heat
    from moopim.analysis.style import save_figure

    chip, thermal, mode = model
    if mode in GRID_MODES:
        temperature = temperature_map(power, chip.tiers, chip.mesh, chip.pe_area_mm2, thermal, mode)
    save_figure(plot_heat(heat_frame(temperature, chip.mesh), title=title), path)


def _read(path: Path, columns: Sequence[str]) -> _Maps:
    """Reads and checks the power maps.

    Raises:
        ConfigError: If the file cannot be read or has other PEs than the stack, or names the row, the PE, its value and
            what is allowed.
    """
    header, rows = read_rows(path, ("case", "quantity"), "power maps")
    wrong = [name for name in header if _PE_COLUMN.fullmatch(name) and name not in columns]
    wrong += [name for name in columns if header.count(name) != 1]
    if wrong:
        how = {0: "lacks", 1: "has"}.get(header.count(wrong[0]), "has more than one")
        expected = f"{columns[0]} .. {columns[-1]}, {len(columns)} columns"
        raise ConfigError(f"power maps {str(path)!r}: the header {how} {wrong[0]!r}; expected {expected}")
    cases, power = [], []
    for number, row in enumerate(rows, start=1):
        if row["quantity"] == _POWER:
            if row["case"] in cases:
                where = row_name(path, number, row, "case")
                raise ConfigError(f"{where}: the case is there already; expected a name of its own for each power map")
            cases.append(row["case"])
            power.append([_watts(row, name, row_name(path, number, row, "case")) for name in columns])
    if not power:
        found = ", ".join(repr(name) for name in dict.fromkeys(row["quantity"] for row in rows)) or "no rows"
        raise ConfigError(f"power maps {str(path)!r} have no row of quantity {_POWER!r}; got {found}")
    return _Maps(cases, np.array(power))


def _watts(row: Mapping[str, str], name: str, where: str) -> float:
    try:
        power = float(row[name])
    except ValueError:
        raise ConfigError(f"{where}: {name} is {row[name]!r}; expected {_WATTS.words}") from None
    check_bounds(f"{where}: {name}", power, _WATTS)
    return power
