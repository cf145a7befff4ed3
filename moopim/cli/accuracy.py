"""``moopim evaluate accuracy``: a trained network in floating point, quantised, and on crossbars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from moopim.cli.options import ComputeDevice, Force, given, given_files, network_files
from moopim.csv_files import write_table
from moopim.errors import ConfigError
from moopim.files import check_files
from moopim.messages import count
from moopim.network.crossbar import Circuit
from moopim.network.crossbar.circuit import AdcRange, RowSplit

if TYPE_CHECKING:  # torch is slow to load, and optional
    from torch import Tensor, nn

    from moopim.network.crossbar import CellModel, ChipAccuracies
    from moopim.network.crossbar.accuracy import LayerLoss
    from moopim.network.datasets import ImageData
    from moopim.network.datasets import Split as Images
    from moopim.network.network_files import Trained

_LAYER_COLUMNS = (
    "layer", "shape", "weight_bits", "input_bits", "output_bits", "rows", "row_blocks", "adc_bits", "conversions",
    "clipped_%", "altered_%"
)  # fmt: skip


class _Selection(NamedTuple):
    """Images to evaluate on: name and folder of the data set, split, number from the first on (None: all)."""

    data: str
    root: Path | None
    split: str
    images: int | None


class _Inputs(NamedTuple):
    """Trained network, images to evaluate on and to calibrate with; descriptions of images and scales."""

    trained: Trained
    split: Images
    calibration: Tensor
    images_text: str
    scales_text: str


def _circuit_option(text: str, *names: str, **settings: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Options of the circuit", **settings)


def _cell_option(text: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel="Options of cells that are not ideal", **settings)


def _image_option(text: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel="Options of the images", **settings)


def _quantisation_option(text: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel="Options of the quantisation", **settings)


_Network = Annotated[str, typer.Option(help="FILE.py:Name or package.module:Name of a torch module.")]
_Weights = Annotated[Path, typer.Option(help="Its weights, in safetensors format; quantised with its scales or not.")]
_AdcRange = Annotated[
    AdcRange,
    _circuit_option(
        "Full scale of the ADCs: full has codes for all currents; fix, of MNSIM, is a step below; output goes by the "
        "scale of the layer's output; calibrated loses least on training images; unit has a code for each unit of "
        "current and clips larger sums."
    ),
]
_Calibration = Annotated[
    int | None,
    _quantisation_option(
        "Training images that scales and calibrated ADCs are measured on.", show_default="512, or all if fewer"
    ),
]
_Distribution = Annotated[
    Literal["gaussian", "lognormal"] | None, _cell_option("Of --variation.", show_default="gaussian")
]
_StuckAt = Annotated[
    str | None,
    _cell_option(
        "Share of cells stuck at high and of those at low resistance, such as 0.001; or HRS,LRS.",
        metavar="RATE[,RATE]",
    ),
]
_Chips = Annotated[
    int | None, _cell_option("Chips to draw; from 2 on there is a 95 % interval.", min=1, show_default="1")
]
_Layers = Annotated[Path | None, typer.Option(help="CSV file for the losses of each layer's ADCs; printed as well.")]


def evaluate_accuracy(
    network: _Network,
    weights: _Weights,
    data: Annotated[str, _image_option("Data set by name, such as digits.")],
    crossbar: Annotated[int, _circuit_option("Rows of a crossbar.", min=1, max=2**16)],
    adc_bits: Annotated[int, _circuit_option("Resolution of the ADCs.")],
    dac_bits: Annotated[int, _circuit_option("Resolution of the DACs.")],
    cell_bits: Annotated[int, _circuit_option("Bits of a cell.")] = 1,
    adc_range: _AdcRange = "full",
    split_by: Annotated[RowSplit, _circuit_option("Part of a convolution on a crossbar.", "--row-split")] = "channels",
    weight_bits: Annotated[int, _quantisation_option("Bits of weights, sign included.", min=2, max=16)] = 9,
    activation_bits: Annotated[int, _quantisation_option("Bits of activations, sign included.", min=2, max=16)] = 9,
    input_bits: Annotated[int, _quantisation_option("Bits of a value of the image, sign included.", min=2, max=16)] = 9,
    calibration: _Calibration = None,
    root: Annotated[Path | None, _image_option("Folder of a data set that is read from files.")] = None,
    split: Annotated[Literal["test", "validation"], _image_option("Images to evaluate on.")] = "test",
    images: Annotated[int | None, _image_option("How many of them, from the first on.", show_default="all")] = None,
    devices: Annotated[str | None, _cell_option("Cells by name: rram, pcm, ideal; options change them.")] = None,
    chips: _Chips = None,
    seed: Annotated[int | None, _cell_option("Seed of the chips.", min=0, show_default="1")] = None,
    variation: Annotated[float | None, _cell_option("Relative deviation of a conductance.")] = None,
    distribution: _Distribution = None,
    stuck_at: _StuckAt = None,
    on_off: Annotated[float | None, _cell_option("Largest conductance over the smallest.")] = None,
    read_noise: Annotated[float | None, _cell_option("Relative deviation of a conductance as read.")] = None,
    drift_exponent: Annotated[float | None, _cell_option("Of the drift with time; needs --time.")] = None,
    time: Annotated[float | None, _cell_option("Time since programming (s).")] = None,
    layers: _Layers = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file for the accuracies.")] = None,
    force: Force = False,
    device: ComputeDevice = "cpu",
) -> None:
    """Find the accuracy of a trained network on crossbars, beside that in floating point and quantised.

    Options that describe cells make chips that differ by chance; chip 0 of a seed is the same however many there are.
    """
    check_files([weights, *network_files([network])], given_files(output, layers), force=force)
    circuit = Circuit(crossbar, adc_bits, dac_bits, cell_bits, split=split_by, adc_range=adc_range)
    options = given(
        variation=variation, distribution=distribution, on_off=on_off, read_noise=read_noise,
        drift_exponent=drift_exponent, time_s=time
    )  # fmt: skip
    cells = _cells(devices, options, stuck_at)
    drawn = given(chips=chips, seed=seed)
    _check_drawn(cells, drawn)
    selection = _Selection(data, root, split, images)
    widths = {"weight_bits": weight_bits, "activation_bits": activation_bits, "input_bits": input_bits}
    inputs = _load_inputs(network, weights, selection, calibration, adc_range == "calibrated", device, widths)
    from moopim.network.crossbar import chip_accuracies

    found = chip_accuracies(
        inputs.trained, inputs.split, circuit, cells, images=inputs.calibration, layers=layers is not None, **drawn
    )
    typer.echo(_accuracy_text(inputs, circuit, widths, found, _cells_text(cells, **drawn)))
    losses = [_layer_row(path, loss) for path, loss in found.layers.items()]
    if layers is not None:
        typer.echo(f"\n{_layers_text(losses)}")
        write_table(layers, _LAYER_COLUMNS, [list(zip(*losses, strict=True))])
    if output is not None:
        numbers = range(len(found.chips))
        networks = ["float", "quantised", *("crossbar" for _ in numbers)]
        accuracies = [found.plain, found.quantised, *found.chips.tolist()]
        write_table(output, ("network", "chip", "accuracy"), [[networks, ["", "", *numbers], accuracies]])
    if written := given_files(output, layers):
        typer.echo(f"written: {', '.join(map(str, written))}")


def _cells(name: str | None, options: dict[str, Any], stuck_at: str | None) -> CellModel | None:
    """Model of the cells by name and options; None if they are ideal."""
    if name is None and not options and stuck_at is None:
        return None
    from moopim.network.crossbar import load_cell_model

    if stuck_at is not None:
        options |= dict(zip(("stuck_at_hrs", "stuck_at_lrs"), _rates(stuck_at), strict=True))
    cells = replace(load_cell_model(name or "ideal"), **options)
    if "distribution" in options and "variation" not in options:
        raise ConfigError(f"--distribution {cells.distribution} has no effect without --variation")
    if "time_s" in options and not (cells.drift_exponent or cells.drift_spread or "drift_exponent" in options):
        raise ConfigError(f"--time {cells.time_s} has no effect without --drift-exponent or devices that drift")
    if "drift_exponent" in options and "time_s" not in options and cells.time_s == cells.drift_start_s:
        raise ConfigError(f"--drift-exponent {cells.drift_exponent} has no effect without --time")
    return cells if cells != load_cell_model("ideal") else None


def _rates(text: str) -> list[float]:
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


def _check_drawn(cells: CellModel | None, drawn: Mapping[str, Any]) -> None:
    """Raise ConfigError for options of random chips where all chips are ideal, thus equal."""
    if cells is None and drawn:
        name, value = next(iter(drawn.items()))
        raise ConfigError(
            f"--{name} {value} has no effect: ideal chips are equal; expected --devices, --variation, ..."
        )


def _load_inputs(
    network: str,
    weights: Path,
    selection: _Selection,
    calibration: int | None,
    calibrated: bool,
    device: str,
    widths: Mapping[str, int],
) -> _Inputs:
    """Load network, weights and images, check them against each other, and measure scales that the weights lack.

    `calibration` is the number of training images to calibrate with, None for the usual one; `calibrated` whether ADCs
    will be calibrated. Raises ConfigError if an input is missing, damaged or does not fit the rest.
    """
    from moopim.network.calibration import CALIBRATION, calibration_images
    from moopim.network.datasets import load_data
    from moopim.network.network_files import load_trained
    from moopim.network.quantisation import calibrate
    from moopim.network.tools import check_device
    from moopim.workload.tracing import load_module

    check_device(device)
    if not weights.is_file():  # before images, which may take long
        raise ConfigError(f"weights {str(weights)!r} do not exist; expected a file in safetensors format")
    module = load_module(network).to(device)
    data = load_data(selection.data, selection.root)
    split, images_text = _select(data, selection)
    number = min(CALIBRATION, len(data.train)) if calibration is None else calibration
    images = calibration_images(data, number).to(device)
    _check_network(network, module, data, split.images[:1].to(device))
    trained = load_trained(module, weights, data.image_shape, **widths)
    if not trained.scaled:
        calibrate(trained.quantised, images)
        return _Inputs(trained, split, images, images_text, f"measured on {count(number, 'training image')}")
    if calibration is not None and not calibrated:
        raise ConfigError(
            f"--calibration {calibration} has no effect: {str(weights)!r} has scales of activations, and only ADCs of "
            "--adc-range calibrated are measured"
        )
    scales_text = "as trained; float is the same weights without quantisers"
    return _Inputs(trained, split, images, images_text, scales_text)


def _select(data: ImageData, selection: _Selection) -> tuple[Images, str]:
    """Images to evaluate on, and their description."""
    split: Images = getattr(data, selection.split)
    number = len(split) if selection.images is None else selection.images
    if not 1 <= number <= len(split):
        raise ConfigError(f"--images {number} is not allowed; expected 1..{len(split)} ({selection.split} images)")
    first = f"the first {number} of " if number < len(split) else ""
    name = f"{data.name} (synthetic)" if data.synthetic else data.name
    chosen = replace(split, images=split.images[:number], labels=split.labels[:number])
    return chosen, f"{name}, {first}{count(len(split), f'{selection.split} image')}"


def _check_network(name: str, module: nn.Module, data: ImageData, image: Tensor) -> None:
    """Raise ConfigError unless a network maps two images of a data set to scores of its classes."""
    import torch

    from moopim.network.tools import evaluating
    from moopim.user_code import reason

    size = "x".join(map(str, data.image_shape))
    try:
        with evaluating(module):
            output = module(torch.cat([image, image]))
    except (Exception, SystemExit) as error:
        words = " ".join(reason(error).split())
        raise ConfigError(
            f"network {name!r} cannot be run on images of {size} of data {data.name!r}: {words}"
        ) from error
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (2, data.classes):
        raise ConfigError(
            f"network {name!r} makes {shape} of two images; expected (2, {data.classes}) for the {data.classes} "
            f"classes of data {data.name!r}"
        )


def _cells_text(cells: CellModel | None, chips: int = 1, seed: int = 1) -> str:
    """Parameters of the cells that are not ideal, and the chips that were drawn."""
    if cells is None:
        return "ideal cells"
    changed = [field for field in fields(cells) if getattr(cells, field.name) != field.default]
    words = ", ".join(f"{field.name} {getattr(cells, field.name)}" for field in changed)
    return f"cells with {words}; {count(chips, 'random chip')} of seed {seed}"


def _accuracy_text(
    inputs: _Inputs, circuit: Circuit, widths: Mapping[str, int], found: ChipAccuracies, cells_text: str
) -> str:
    """Table of the accuracies below a description of network, circuit and images."""
    import pandas as pd

    from moopim.network.noise import mean_interval

    converters = f"ADC {circuit.adc_bits} bit ({circuit.adc_range} range), DAC {circuit.dac_bits} bit"
    weights, activations, image = widths.values()
    lines = [
        inputs.images_text,
        f"crossbar {circuit.rows}, cells {circuit.cell_bits} bit, {converters}",
        cells_text,
        f"weights {weights} bit, activations {activations} bit, image {image} bit; scales {inputs.scales_text}",
    ]
    rows = {"float": {"accuracy": found.plain}, "quantised": {"accuracy": found.quantised}}
    if len(found.chips) == 1:
        rows["crossbar"] = {"accuracy": float(found.chips[0])}
    else:
        interval = mean_interval(found.chips)
        rows[f"crossbar, mean of {len(found.chips)} chips"] = {
            "accuracy": interval.mean,
            "95%_low": max(0.0, interval.low),
            "95%_high": min(1.0, interval.high),
            "lowest": float(found.chips.min()),
            "highest": float(found.chips.max()),
        }
    table = pd.DataFrame(rows).T
    lines += ["", *table.to_string(float_format=lambda value: f"{value:.4f}", na_rep="").split("\n")]
    return "\n".join(line.rstrip() for line in lines)


def _layer_row(path: str, loss: LayerLoss) -> tuple[str | int | float, ...]:
    """Cells of `_LAYER_COLUMNS` for a layer."""
    total, clipped, altered = loss.conversions
    shape = "x".join(map(str, loss.shape))
    shares = (100 * clipped / total, 100 * altered / total)
    return (path, shape, *loss[1:-1], total, *shares)


def _layers_text(rows: list[tuple[str | int | float, ...]]) -> str:
    import pandas as pd

    table = pd.DataFrame(rows, columns=_LAYER_COLUMNS)
    return table.to_string(index=False, float_format=lambda value: f"{value:.2f}")
