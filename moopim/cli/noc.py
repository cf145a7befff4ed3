"""``moopim evaluate noc``: packet latency of traffic matrices in a CSV file."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from moopim.cli.options import Force, StackFile, check_case, given_files
from moopim.constants import Bounds
from moopim.csv_files import Column, Table, number_column, whole_number_column, write_table
from moopim.errors import unknown_name
from moopim.files import check_files
from moopim.hardware.noc import MODES, evaluate_traffic, load_noc
from moopim.hardware.stack.parameters import Stack, load_stack
from moopim.hardware.thermal.description import load_thermal
from moopim.messages import count
from moopim.typing import FloatArray

# A link saturates below 1 packet per cycle; more say that it does, far more that the rate is per another time.
_RATE = Bounds("1", 0, 100)
_RESULTS = ("case", "packet_latency_cycles", "hops", "max_link_util", "saturated")


def evaluate_noc(
    traffic: Annotated[Path, typer.Argument(help="CSV file with columns case, src, dst, packets_per_cycle.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file for the latencies.")],
    mode: Annotated[str, typer.Option(help=f"Latency model: {', '.join(MODES)}.")] = "queue",
    stack: StackFile = None,
    plot: Annotated[Path | None, typer.Option(help="Plot of the links in one case.")] = None,
    case: Annotated[
        str | None, typer.Option(help="Case to plot.", show_default="the one with the busiest link")
    ] = None,
    force: Force = False,
) -> None:
    """Evaluate traffic on the network of a 3-D stack: latency and hops of packets, load of the busiest link."""
    check_files(given_files(traffic, stack), given_files(output, plot), force=force)
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    check_case(case, plot)
    description = load_stack(stack)
    load_thermal(stack)  # not needed, but names a fault of the file
    cases, source, target, rate = zip(*_flows(description).read(traffic), strict=True)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(cases))}
    names = list(numbers)
    if case is not None and case not in names:
        raise unknown_name("case", case, names)
    number = np.array([numbers[name] for name in cases])
    flows = (number, np.array(source), np.array(target), np.array(rate))
    found = evaluate_traffic(description.tiers, description.mesh, *flows, load_noc(), mode)
    busiest = int(found.highest.argmax())
    if plot is not None:
        plotted = busiest if case is None else numbers[case]
        _plot(plot, names[plotted], found.utilisation[plotted], description)
    saturated = ["true" if full else "false" for full in found.saturated]
    write_table(output, _RESULTS, [[names, found.latency, found.hops, found.highest, saturated]])
    load = f"{found.highest[busiest]:.3g} flits per cycle in {names[busiest]}"
    typer.echo(f"{count(len(names), 'case')}, {found.saturated.sum()} beyond saturation; busiest link: {load}")


def _flows(stack: Stack) -> Table:
    """Input table: source and target node of a flow, and its rate in packets per cycle."""
    nodes = f"a node of the mesh {stack.mesh} x {stack.mesh} x {stack.tiers}"
    return Table(
        "traffic",
        "one for each flow",
        (
            Column("case"),
            *(whole_number_column(name, stack.pes - 1, nodes) for name in ("src", "dst")),
            number_column("packets_per_cycle", _RATE),
        ),
        key="case",
        convert=lambda row: tuple(row.values()),
    )


def _plot(path: Path, name: str, utilisation: FloatArray, stack: Stack) -> None:
    from moopim.analysis.stack import link_frame, plot_links
    from moopim.analysis.style import save_figure

    save_figure(plot_links(link_frame(stack.tiers, stack.mesh, utilisation), stack.tiers, stack.mesh, name), path)
