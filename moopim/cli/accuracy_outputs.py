"""What ``moopim evaluate accuracy`` writes and prints."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moopim.cli.accuracy_inputs import Inputs
from moopim.csv_files import write_rows
from moopim.network.crossbar.chips import Accuracies, LayerLoss
from moopim.network.crossbar.circuit import Circuit
from moopim.network.noise import mean_interval

__all__ = ["accuracy_text", "layers_text", "write_accuracies", "write_layers"]

_LAYER_COLUMNS = (
    "layer", "shape", "weight_bits", "input_bits", "output_bits", "rows", "row_blocks", "adc_bits", "conversions",
    "clipped_%", "altered_%"
)  # fmt: skip


def accuracy_text(inputs: Inputs, circuit: Circuit, widths: str, found: Accuracies, cells: str) -> str:
    """The accuracies as a table, below what they are of.

    Args:
        inputs: What was evaluated.
        circuit: The circuit.
        widths: Widths in words.
        found: The accuracies.
        cells: What the cells are like, in words.

    Returns:
        The text.
    """
    import pandas as pd

    converters = f"ADC {circuit.adc_bits} bit ({circuit.adc_range} range), DAC {circuit.dac_bits} bit"
    lines = [
        inputs.what,
        f"crossbar {circuit.rows}, cells {circuit.cell_bits} bit, {converters}",
        cells,
        f"{widths}; scales {inputs.scales}",
    ]
    rows = {"float": {"accuracy": found.plain}, "quantised": {"accuracy": found.quantised}}
    count = len(found.chips)
    if count == 1:
        rows["crossbar"] = {"accuracy": float(found.chips[0])}
    else:
        interval = mean_interval(found.chips)
        rows[f"crossbar, mean of {count} chips"] = {
            "accuracy": interval.mean,
            "95%_low": max(0.0, interval.low),
            "95%_high": min(1.0, interval.high),
            "lowest": float(np.min(found.chips)),
            "highest": float(np.max(found.chips)),
        }
    table = pd.DataFrame(rows).T
    lines += ["", *table.to_string(float_format=lambda value: f"{value:.4f}", na_rep="").split("\n")]
    return "\n".join(line.rstrip() for line in lines)


def write_accuracies(path: Path, found: Accuracies) -> None:
    """Writes the accuracies as CSV, one row each; chips by number.

    Args:
        path: The file.
        found: The accuracies.

    Raises:
        ConfigError: If the file cannot be written.
    """
    rows = [["float", "", repr(found.plain)], ["quantised", "", repr(found.quantised)]]
    rows += [["crossbar", str(chip), repr(value)] for chip, value in enumerate(found.chips.tolist())]
    write_rows(path, ("network", "chip", "accuracy"), rows)


def layers_text(layers: Mapping[str, LayerLoss]) -> str:
    """What the ADCs of each layer lose, as a table.

    Args:
        layers: Path -> what they lose.

    Returns:
        The text.
    """
    import pandas as pd

    table = pd.DataFrame([_cells(path, loss) for path, loss in layers.items()], columns=_LAYER_COLUMNS)
    return table.to_string(index=False, float_format=lambda value: f"{value:.2f}")


def write_layers(path: Path, layers: Mapping[str, LayerLoss]) -> None:
    """Writes what the ADCs of each layer lose as CSV.

    Args:
        path: The file.
        layers: Path -> what they lose.

    Raises:
        ConfigError: If the file cannot be written.
    """
    write_rows(path, _LAYER_COLUMNS, ([str(cell) for cell in _cells(name, loss)] for name, loss in layers.items()))


def _cells(path: str, loss: LayerLoss) -> tuple[str | int | float, ...]:
    total, clipped, altered = loss.conversions
    shape = "x".join(map(str, loss.shape))
    shares = (100 * clipped / total, 100 * altered / total)
    return (path, shape, *loss[1:-1], total, *shares)
