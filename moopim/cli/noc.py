"""``moopim evaluate noc``: given traffic matrices in a CSV file, the latency of their packets in another."""

import re
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from moopim.cli.options import Force, check_drawn
from moopim.constants import Bounds, check_bounds
from moopim.csv_files import read_rows, row_name, write_rows
from moopim.errors import ConfigError, unknown_name
from moopim.files import check_files
from moopim.hardware.noc import MODES, evaluate_traffic, load_noc
from moopim.hardware.stack.parameters import Stack, load_stack
from moopim.hardware.thermal.description import load_thermal
from moopim.messages import count
from moopim.typing import FloatArray, IntArray

__all__ = ["evaluate_noc"]

# A link saturates below 1 packet per cycle; more say that it does, far more that the rate is per another time.
_RATE = Bounds("1", 0, 100)
_INPUT = ("case", "src", "dst", "packets_per_cycle")
_OUTPUT = ("case", "packet_latency_cycles", "hops", "max_link_util", "saturated")


class _Traffic(NamedTuple):
    """The flows of the input file, shape ``(flows,)`` each; a case is a place in ``names``."""

    names: list[str]
    case: IntArray
    source: IntArray
    target: IntArray
    rate: FloatArray


def evaluate_noc(
    traffic: Annotated[Path, typer.Argument(help="CSV file with columns case, src, dst, packets_per_cycle.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file for the latencies.")],
    mode: Annotated[str, typer.Option(help=f"Latency model: {', '.join(MODES)}.")] = "queue",
    stack: Annotated[Path | None, typer.Option(help="TOML file with a stack of one's own.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the links in one case.")] = None,
    case: Annotated[
        str | None, typer.Option(help="Case that --plot draws.", show_default="the one with the busiest link")
    ] = None,
    force: Force = False,
) -> None:
    """Evaluate traffic on the network of a 3-D stack: latency and hops of packets, load of the busiest link."""
    check_files([path for path in (traffic, stack) if path], [path for path in (output, plot) if path], force=force)
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    check_drawn(case, plot)
    chip = load_stack(stack)
    load_thermal(stack)  # which counts for nothing here, but says what is wrong with the file
    names, number, source, target, rate = _read(traffic, chip)
    if case is not None and case not in names:
        raise unknown_name("case", case, names)
    found = evaluate_traffic(chip.tiers, chip.mesh, number, source, target, rate, load_noc(), mode)
    busiest = int(found.highest.argmax())
    if plot is not None:
        drawn = busiest if case is None else names.index(case)
        _draw(plot, names[drawn], found.utilisation[drawn], chip)
    columns = (found.latency, found.hops, found.highest)
    words = [["" if np.isnan(value) else repr(value) for value in column.tolist()] for column in columns]
    saturated = ["true" if full else "false" for full in found.saturated]
    write_rows(output, _OUTPUT, zip(names, *words, saturated, strict=True))
    load = f"{found.highest[busiest]:.3g} flits per cycle in {names[busiest]}"
    typer.echo(f"{count(len(names), 'case')}, {found.saturated.sum()} beyond saturation; busiest link: {load}")


def _draw(path: Path, name: str, utilisation: FloatArray, stack: Stack) -> None:
    from moopim.analysis.stack import link_frame, plot_links
    from moopim.analysis.style import save_figure

    save_figure(plot_links(link_frame(stack.tiers, stack.mesh, utilisation), stack.tiers, stack.mesh, name), path)


def _read(path: Path, stack: Stack) -> _Traffic:
    """Reads and checks the input file, row by row.

    Raises:
        ConfigError: If the file cannot be read or has no rows, or names the row, the field, its value and what is
            allowed.
    """
    rows = read_rows(path, _INPUT, "traffic")[1]
    if not rows:
        raise ConfigError(f"traffic {str(path)!r} has no rows; expected one for each flow")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(row["case"] for row in rows))}
    flows = []
    for number, row in enumerate(rows, start=1):
        try:
            flow = (_node(row, "src", stack), _node(row, "dst", stack), _rate(row))
        except ConfigError as error:
            raise ConfigError(f"{row_name(path, number, row, 'case')}: {error}") from None
        flows.append((numbers[row["case"]], *flow))
    case, source, target, rate = (np.array(column) for column in zip(*flows, strict=True))
    return _Traffic(list(numbers), case, source, target, rate)


def _node(row: dict[str, str], field: str, stack: Stack) -> int:
    word = row[field]
    if not re.fullmatch("[0-9]{1,9}", word) or int(word) >= stack.pes:
        mesh = f"{stack.mesh} x {stack.mesh} x {stack.tiers}"
        raise ConfigError(f"{field} {word!r} is not allowed; expected a node of the mesh {mesh}, 0 .. {stack.pes - 1}")
    return int(word)


def _rate(row: dict[str, str]) -> float:
    word = row["packets_per_cycle"]
    try:
        rate = float(word)
    except ValueError:
        raise ConfigError(f"packets_per_cycle is {word!r}; expected {_RATE.words}") from None
    check_bounds("packets_per_cycle", rate, _RATE)
    return rate
