"""``moopim evaluate hardware``: designs on planar chips from a file, or networks by name, with their breakdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from moopim.cli.options import Force, given, own_files
from moopim.errors import ConfigError
from moopim.files import check_files, file_format
from moopim.messages import count

__all__ = ["evaluate_hardware"]

_CIRCUIT = "Options of the chip"
_NETWORK = "Options of networks"


def evaluate_hardware(
    designs: Annotated[
        Path | None,
        typer.Argument(help="CSV file: columns id and design, or the genes of a space.", show_default=False),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file for the results.")] = None,
    layers: Annotated[Path | None, typer.Option(help="CSV file for the results layer by layer.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the breakdown of one network.")] = None,
    force: Force = False,
    mode: Annotated[
        Literal["compat", "physical"], typer.Option(help="Numbers of MNSIM 2.0, or with its quirks mended.")
    ] = "compat",
    network: Annotated[
        list[str] | None,
        typer.Option(help="Built-in network or FILE.py:Name; may be given several times.", rich_help_panel=_NETWORK),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--input", help="Image of FILE.py:Name, such as 3x32x32.", rich_help_panel=_NETWORK),
    ] = None,
    classes: Annotated[
        list[int] | None,
        typer.Option(
            min=2,
            max=1_000_000,
            help="Classes of built-in networks and of a space; may be given several times.",
            show_default="10",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    weight_bits: Annotated[
        int | None,
        typer.Option(min=2, max=64, help="Bits of weights, sign included.", show_default="9", rich_help_panel=_NETWORK),
    ] = None,
    activation_bits: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Bits of activations.", show_default="9", rich_help_panel=_NETWORK),
    ] = None,
    profile: Annotated[
        Literal["cur", "paper"] | None,
        typer.Option(
            help="Chip to start from: MNSIM of 2024, or that of 2022, which CrossNAS used.",
            show_default="cur",
            rich_help_panel=_CIRCUIT,
        ),
    ] = None,
    crossbar: Annotated[int | None, typer.Option(help="Rows of a crossbar.", rich_help_panel=_CIRCUIT)] = None,
    adc_bits: Annotated[int | None, typer.Option(help="Resolution of the ADCs.", rich_help_panel=_CIRCUIT)] = None,
    dac_bits: Annotated[int | None, typer.Option(help="Resolution of the DACs.", rich_help_panel=_CIRCUIT)] = None,
    adc: Annotated[str | None, typer.Option(help="ADC by name.", rich_help_panel=_CIRCUIT)] = None,
    dac: Annotated[str | None, typer.Option(help="DAC by name.", rich_help_panel=_CIRCUIT)] = None,
    device: Annotated[str | None, typer.Option(help="Memory device by name.", rich_help_panel=_CIRCUIT)] = None,
    components: Annotated[
        Path | None, typer.Option(help="TOML file with ADCs, DACs, devices of one's own.", rich_help_panel=_CIRCUIT)
    ] = None,
    groups: Annotated[int | None, typer.Option(help="Groups of a PE.", rich_help_panel=_CIRCUIT)] = None,
    adcs: Annotated[int | None, typer.Option(help="ADCs of a group.", rich_help_panel=_CIRCUIT)] = None,
    dacs: Annotated[int | None, typer.Option(help="DACs of a group.", rich_help_panel=_CIRCUIT)] = None,
    pes: Annotated[int | None, typer.Option(help="PEs of a tile.", rich_help_panel=_CIRCUIT)] = None,
    grid: Annotated[int | None, typer.Option(help="Tiles along a side.", rich_help_panel=_CIRCUIT)] = None,
) -> None:
    """Evaluate networks on planar PIM chips: energy, latency, area, power and whether they fit.

    Give either a file of designs or --network.
    """
    options = given(
        image=image, weight_bits=weight_bits, activation_bits=activation_bits, classes=classes, profile=profile,
        components=components, crossbar=crossbar, adc_bits=adc_bits, dac_bits=dac_bits, adc=adc, dac=dac,
        device=device, groups=groups, adcs=adcs, dacs=dacs, pes=pes, grid=grid
    )  # fmt: skip
    read = [path for path in (designs, components, *own_files(network or [])) if path]
    check_files(read, [path for path in (output, layers, plot) if path], force=force)
    if designs and (found := file_format(designs)) and designs.suffix.lower() != ".csv":
        raise ConfigError(f"designs {str(designs)!r} is {found}; expected a CSV file, or --network for a network")
    if designs and not network:
        _evaluate_file(designs, output, layers, plot, mode, options)
    elif network and not designs:
        _evaluate_networks(network, output, layers, plot, mode, options)
    else:
        given_both = f"both ({str(designs)!r} and {network[0]!r})" if network else "neither"
        raise ConfigError(f"a file of designs or --network is needed; got {given_both}")


def _evaluate_file(
    designs: Path, output: Path | None, layers: Path | None, plot: Path | None, mode: str, options: Mapping[str, Any]
) -> None:
    from moopim.cli.planar_inputs import read_file
    from moopim.cli.planar_outputs import write_layers, write_results
    from moopim.hardware.planar.model import evaluate_planar

    if output is None:
        raise ConfigError("a file of designs needs --output, the CSV file for the results")
    if plot is not None:
        raise ConfigError(f"--plot {str(plot)!r} draws one network; expected it with --network")
    batch = read_file(designs, options)
    totals = evaluate_planar(batch.table, batch.chip, mode)
    write_results(output, [batch], [totals])
    if layers is not None:
        write_layers(layers, [batch], mode)
    feasible = int((totals["violation"] <= 0).sum())
    typer.echo(f"{count(len(batch.ids), 'design')}, {feasible} feasible; written to {output}")


def _evaluate_networks(
    names: Sequence[str],
    output: Path | None,
    layers: Path | None,
    plot: Path | None,
    mode: str,
    options: Mapping[str, Any],
) -> None:
    from moopim.cli.planar_inputs import load_networks
    from moopim.cli.planar_outputs import breakdown_text, chip_text, totals_text, write_layers, write_results
    from moopim.hardware.planar.model import break_down

    count = len(names) * len(options.get("classes", [None]))
    if plot is not None and count > 1:
        raise ConfigError(f"--plot {str(plot)!r} draws one network; got {count}")
    batches = load_networks(names, options)
    breakdowns = [break_down(batch.table, batch.chip, mode) for batch in batches]
    totals = [breakdown.totals for breakdown in breakdowns]
    text = f"{chip_text(batches[0].chip, mode)}\n\n{totals_text(batches, totals)}"
    if len(batches) == 1:
        from moopim.analysis.hardware import breakdown_frame

        frame = breakdown_frame(breakdowns[0], batches[0].table)
        text += f"\n\n{breakdown_text(frame, breakdowns[0])}"
        if plot is not None:
            from moopim.analysis.hardware import plot_breakdown
            from moopim.analysis.style import save_figure

            save_figure(plot_breakdown(frame, _title(batches[0].ids[0], mode, totals[0])), plot)
    if output is not None:
        write_results(output, batches, totals)
    if layers is not None:
        write_layers(layers, batches, mode)
    typer.echo(text)
    if written := [str(path) for path in (output, layers, plot) if path]:
        typer.echo(f"written: {', '.join(written)}")


def _title(name: str, mode: str, totals: Mapping[str, Any]) -> str:
    energy, latency, area = (f"{totals[figure][0]:.4g}" for figure in ("energy", "latency", "area"))
    return f"{name}, mode {mode}: {energy} mJ, {latency} ms, {area} mm²"
