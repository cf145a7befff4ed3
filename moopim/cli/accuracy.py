"""``moopim evaluate accuracy``: a trained network in floating point, quantised, and on crossbars."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from moopim.cli.options import Force, given, own_files
from moopim.errors import ConfigError
from moopim.files import check_files
from moopim.messages import count
from moopim.network.crossbar.circuit import Circuit, Range, Split

if TYPE_CHECKING:
    from moopim.network.crossbar.devices import CellModel

__all__ = ["evaluate_accuracy"]

_CIRCUIT = "Options of the circuit"
_CELLS = "Options of cells that are not ideal"
_WIDTHS = "Options of the quantisation"
_IMAGES = "Options of the images"


def evaluate_accuracy(
    network: Annotated[str, typer.Option(help="FILE.py:Name or package.module:Name of a torch module.")],
    weights: Annotated[
        Path, typer.Option(help="Its weights, in safetensors format; quantised with its scales or not.")
    ],
    data: Annotated[str, typer.Option(help="Data set by name, such as digits.", rich_help_panel=_IMAGES)],
    crossbar: Annotated[int, typer.Option(min=1, max=2**16, help="Rows of a crossbar.", rich_help_panel=_CIRCUIT)],
    adc_bits: Annotated[int, typer.Option(help="Resolution of the ADCs.", rich_help_panel=_CIRCUIT)],
    dac_bits: Annotated[int, typer.Option(help="Resolution of the DACs.", rich_help_panel=_CIRCUIT)],
    cell_bits: Annotated[int, typer.Option(help="Bits of a cell.", rich_help_panel=_CIRCUIT)] = 1,
    adc_range: Annotated[
        Range,
        typer.Option(
            help="Full scale of the ADCs: full has codes for all currents; fix, of MNSIM, is a step below; output goes "
            "by the scale of the layer's output; calibrated loses least on training images; unit has a code for each "
            "unit of current and clips larger sums.",
            rich_help_panel=_CIRCUIT,
        ),
    ] = "full",
    split_by: Annotated[
        Split,
        typer.Option("--row-split", help="What a crossbar takes of a convolution.", rich_help_panel=_CIRCUIT),
    ] = "channels",
    weight_bits: Annotated[
        int, typer.Option(min=2, max=16, help="Bits of weights, sign included.", rich_help_panel=_WIDTHS)
    ] = 9,
    activation_bits: Annotated[
        int, typer.Option(min=2, max=16, help="Bits of activations, sign included.", rich_help_panel=_WIDTHS)
    ] = 9,
    input_bits: Annotated[
        int, typer.Option(min=2, max=16, help="Bits of a value of the image, sign included.", rich_help_panel=_WIDTHS)
    ] = 9,
    calibration: Annotated[
        int | None,
        typer.Option(
            help="Training images that scales and calibrated ADCs are measured on.",
            show_default="512, or all if fewer",
            rich_help_panel=_WIDTHS,
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of a data set that is read from files.", rich_help_panel=_IMAGES)
    ] = None,
    split: Annotated[
        Literal["test", "validation"], typer.Option(help="Images to evaluate on.", rich_help_panel=_IMAGES)
    ] = "test",
    images: Annotated[
        int | None,
        typer.Option(help="How many of them, from the first on.", show_default="all", rich_help_panel=_IMAGES),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="Cells by name: rram, pcm, ideal; options change them.", rich_help_panel=_CELLS),
    ] = None,
    chips: Annotated[
        int | None,
        typer.Option(
            min=1, help="Chips to draw; from 2 on there is a 95 % interval.", show_default="1", rich_help_panel=_CELLS
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the chips.", show_default="1", rich_help_panel=_CELLS)
    ] = None,
    variation: Annotated[
        float | None, typer.Option(help="Relative deviation of a conductance.", rich_help_panel=_CELLS)
    ] = None,
    distribution: Annotated[
        Literal["gaussian", "lognormal"] | None,
        typer.Option(help="Of --variation.", show_default="gaussian", rich_help_panel=_CELLS),
    ] = None,
    stuck_at: Annotated[
        str | None,
        typer.Option(
            help="Share of cells stuck at high and of those at low resistance, such as 0.001; or HRS,LRS.",
            metavar="RATE[,RATE]",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    on_off: Annotated[
        float | None, typer.Option(help="Largest conductance over the smallest.", rich_help_panel=_CELLS)
    ] = None,
    read_noise: Annotated[
        float | None, typer.Option(help="Relative deviation of a conductance as read.", rich_help_panel=_CELLS)
    ] = None,
    drift_exponent: Annotated[
        float | None, typer.Option(help="Of the drift with time; needs --time.", rich_help_panel=_CELLS)
    ] = None,
    time: Annotated[float | None, typer.Option(help="Time since programming (s).", rich_help_panel=_CELLS)] = None,
    layers: Annotated[
        Path | None, typer.Option(help="CSV file for what the ADCs of each layer lose; printed as well.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file for the accuracies.")] = None,
    force: Force = False,
    device: Annotated[str, typer.Option(help="Where to compute, such as cuda.")] = "cpu",
) -> None:
    """Find the accuracy of a trained network on crossbars, beside that in floating point and quantised.

    Options that describe cells make chips that differ by chance; chip 0 of a seed is the same however many there are.
    """
    check_files([weights, *own_files([network])], [path for path in (output, layers) if path], force=force)
    circuit = Circuit(crossbar, adc_bits, dac_bits, cell_bits, split=split_by, adc_range=adc_range)
    options = given(
        variation=variation, distribution=distribution, on_off=on_off, read_noise=read_noise,
        drift_exponent=drift_exponent, time_s=time
    )  # fmt: skip
    cells = _devices(devices, options, stuck_at)
    drawn = given(chips=chips, seed=seed)
    _check_drawn(cells, drawn)
    from moopim.cli.accuracy_inputs import Selection, load_inputs
    from moopim.cli.accuracy_outputs import accuracy_text, layers_text, write_accuracies, write_layers
    from moopim.network.crossbar.chips import chip_accuracies

    inputs = load_inputs(
        network,
        weights,
        Selection(data, root, split, images),
        calibration,
        circuit.adc_range == "calibrated",
        device,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        input_bits=input_bits,
    )
    found = chip_accuracies(
        inputs.trained, inputs.split, circuit, cells, images=inputs.calibration, layers=layers is not None, **drawn
    )
    widths = f"weights {weight_bits} bit, activations {activation_bits} bit, image {input_bits} bit"
    typer.echo(accuracy_text(inputs, circuit, widths, found, _chips_text(cells, **drawn)))
    if layers is not None:
        typer.echo(f"\n{layers_text(found.layers)}")
        write_layers(layers, found.layers)
    if output is not None:
        write_accuracies(output, found)
    if written := [str(path) for path in (output, layers) if path]:
        typer.echo(f"written: {', '.join(written)}")


def _devices(name: str | None, options: dict[str, Any], stuck_at: str | None) -> "CellModel | None":
    """What cells are like; None if they are ideal."""
    if name is None and not options and stuck_at is None:
        return None
    from moopim.network.crossbar.devices import load_devices  # torch is slow to load, and optional

    if stuck_at is not None:
        options |= dict(zip(("stuck_at_hrs", "stuck_at_lrs"), _rates(stuck_at), strict=True))
    devices = replace(load_devices(name or "ideal"), **options)
    if "distribution" in options and "variation" not in options:
        raise ConfigError(f"--distribution {devices.distribution} has no effect without --variation")
    if "time_s" in options and not (devices.drift_exponent or devices.drift_spread or "drift_exponent" in options):
        raise ConfigError(f"--time {devices.time_s} has no effect without --drift-exponent or devices that drift")
    if "drift_exponent" in options and "time_s" not in options and devices.time_s == devices.drift_start_s:
        raise ConfigError(f"--drift-exponent {devices.drift_exponent} has no effect without --time")
    return devices if devices != load_devices("ideal") else None


def _check_drawn(cells: "CellModel | None", drawn: dict[str, Any]) -> None:
    """Refuses to draw chips that are all alike."""
    if cells is None and drawn:
        name, value = next(iter(drawn.items()))
        raise ConfigError(
            f"--{name} {value} has no effect: ideal chips are equal; expected --devices, --variation, ..."
        )


def _chips_text(cells: "CellModel | None", chips: int = 1, seed: int = 1) -> str:
    """What the cells are like, and which chips were drawn."""
    if cells is None:
        return "ideal cells"
    told = [field for field in fields(cells) if getattr(cells, field.name) != field.default]
    words = ", ".join(f"{field.name} {getattr(cells, field.name)}" for field in told)
    return f"cells with {words}; {count(chips, 'random chip')} of seed {seed}"


def _rates(text: str) -> Sequence[float]:
    """Shares of cells stuck at high and at low resistance."""
    try:
        rates = [float(word) for word in text.split(",")]
    except ValueError:
        rates = []
    if len(rates) not in (1, 2):
        raise ConfigError(
            f"--stuck-at {text!r} is not allowed; expected a rate, or two as HRS,LRS, such as 0.001,0.002"
        )
    return rates * 2 if len(rates) == 1 else rates
