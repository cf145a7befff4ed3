"""``moopim evaluate thermal``: temperatures of the PEs of a 3-D stack for power maps in a CSV file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from moopim.cli.options import Force, StackFile, check_case, given_files
from moopim.constants import Bounds
from moopim.csv_files import Column, Table, number_column, read_rows, write_table
from moopim.errors import ConfigError, unknown_name
from moopim.files import check_files
from moopim.hardware.stack.parameters import Stack, load_stack
from moopim.hardware.thermal import temperature_rise
from moopim.hardware.thermal.description import ThermalStack, load_thermal
from moopim.hardware.thermal.influence import THERMAL_MODES, influence_matrix
from moopim.hardware.thermal.solving import GRID_MODES, temperature_map
from moopim.messages import count
from moopim.typing import FloatArray

_POWER = "power_W"
_WATTS = Bounds("W", 0, 1e4)  # of a PE, a part of a die: no die has been cooled at more than a wafer's 2e4 W
_PE_COLUMN = re.compile("T[0-9]+_PE[0-9]+")


def evaluate_thermal(
    maps: Annotated[Path, typer.Argument(help="CSV file: columns case, quantity (power_W), T1_PE0, T1_PE1, ... in W.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file for the temperatures.")],
    mode: Annotated[str, typer.Option(help=f"Thermal model: {', '.join(THERMAL_MODES)}.")] = "hotspot",
    stack: StackFile = None,
    plot: Annotated[Path | None, typer.Option(help="Plot of the temperatures of one case.")] = None,
    case: Annotated[str | None, typer.Option(help="Case to plot.", show_default="the first")] = None,
    force: Force = False,
) -> None:
    """Evaluate the steady-state temperature of each PE of a 3-D stack, in kelvin."""
    check_files(given_files(maps, stack), given_files(output, plot), force=force)
    if mode not in THERMAL_MODES:
        raise unknown_name("thermal mode", mode, THERMAL_MODES)
    check_case(case, plot)
    description, thermal = load_stack(stack), load_thermal(stack)
    columns = [
        f"T{pe // description.pes_per_tier + 1}_PE{pe % description.pes_per_tier}" for pe in range(description.pes)
    ]
    cases, power = _read_power(maps, columns)
    if case is not None and case not in cases:
        raise unknown_name("case", case, cases)
    influence = influence_matrix(description.tiers, description.mesh, description.pe_area_mm2, thermal, mode)
    temperature = thermal.ambient_K + temperature_rise(power, influence)
    if plot is not None:
        plotted = 0 if case is None else cases.index(case)
        title = f"{cases[plotted]}, mode {mode}"
        _plot(plot, title, power[plotted], temperature[plotted], (description, thermal, mode))
    write_table(output, ["case", *columns], [[cases, *temperature.T]])
    hottest, pe = np.unravel_index(int(temperature.round(2).argmax()), temperature.shape)  # the first of equal ones
    typer.echo(
        f"{count(len(cases), 'power map')}; hottest: {temperature.max():.2f} K in {columns[pe]} of {cases[hottest]}"
    )


def _read_power(path: Path, columns: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Names of the cases of a file and the power of each PE (W), shape ``(cases, pes)``."""
    header, rows = read_rows(path, ("case", "quantity"), "power maps")
    wrong = [name for name in header if _PE_COLUMN.fullmatch(name) and name not in columns]
    wrong += [name for name in columns if header.count(name) != 1]
    if wrong:
        problem = {0: "lacks", 1: "has"}.get(header.count(wrong[0]), "has more than one")
        expected = f"{columns[0]} .. {columns[-1]}, {len(columns)} columns"
        raise ConfigError(f"power maps {str(path)!r}: the header {problem} {wrong[0]!r}; expected {expected}")
    table = Table(
        "power maps",
        "one for each case",
        (Column("case", unique=True), Column("quantity"), *(number_column(name, _WATTS) for name in columns)),
        key="case",
        only=("quantity", _POWER),
        convert=lambda row: (row["case"], [row[name] for name in columns]),
    )
    cases, power = zip(*table.read(path, rows), strict=True)
    return list(cases), np.array(power)


def _plot(
    path: Path,
    title: str,
    power: FloatArray,
    temperature: FloatArray,
    model: tuple[Stack, ThermalStack, str],
) -> None:
    """Plot the cells of a case, or its PEs where the mode has no cells."""
    from moopim.analysis.stack import heat_frame, plot_heat
    from moopim.analysis.style import save_figure

    stack, thermal, mode = model
    if mode in GRID_MODES:
        temperature = temperature_map(power, stack.tiers, stack.mesh, stack.pe_area_mm2, thermal, mode)
    save_figure(plot_heat(heat_frame(temperature, stack.mesh), title=title), path)
