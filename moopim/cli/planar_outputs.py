"""What ``moopim evaluate hardware`` writes and prints."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from moopim.csv_files import write_rows
from moopim.hardware.planar.chip import Chip
from moopim.hardware.planar.design_json import Designs
from moopim.hardware.planar.model import Breakdown, break_down, not_modelled
from moopim.typing import FloatArray
from moopim.workload import LayerKind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["breakdown_text", "chip_text", "totals_text", "write_layers", "write_results"]

Totals = dict[str, FloatArray]

# Column of the results -> figure of the model.
_COLUMNS = {
    "energy_mJ": "energy",
    "latency_ms": "latency",
    "area_mm2": "area",
    "edp_mJms": "edp",
    "power_W": "power",
    "tiles": "tiles",
}
_PRINTED = {
    **_COLUMNS,
    "edap_mJmsmm2": "edap",
    "tops_per_W": "tops_per_W",
    "tops_per_mm2": "tops_per_mm2",
}
# Designs that are broken down at a time: layers have some sixty columns.
_BLOCK = 1000


def write_results(path: Path, batches: Sequence[Designs], totals: Sequence[Totals]) -> None:
    """Writes the figures of each design, and whether its tiles fit.

    Args:
        path: The CSV file.
        batches: The designs.
        totals: Figures of each batch.

    Raises:
        ConfigError: If the file cannot be written.
    """

    def rows() -> Iterator[list[str]]:
        for batch, figures in zip(batches, totals, strict=True):
            columns = [_words(_whole(name, figures[figure])) for name, figure in _COLUMNS.items()]
            feasible = _words(figures["violation"] <= 0)
            yield from map(list, zip(batch.ids, *columns, feasible, strict=True))

    write_rows(path, ["id", *_COLUMNS, "feasible"], rows())


def write_layers(path: Path, batches: Sequence[Designs], mode: str) -> None:
    """Writes the figures of each layer of each design; energy, power and area that are not modelled stay empty.

    Args:
        path: The CSV file.
        batches: The designs.
        mode: Mode of the model.

    Raises:
        ConfigError: If the file cannot be written.
    """
    blocks = _layer_blocks(batches, mode)
    columns, first = next(blocks)
    write_rows(path, columns, chain(first, chain.from_iterable(rows for _, rows in blocks)))


def _layer_blocks(batches: Sequence[Designs], mode: str) -> Iterator[tuple[list[str], Iterable[Sequence[str]]]]:
    """Columns and rows of some designs at a time: all of them would take gigabytes."""
    for batch in batches:
        for start in range(0, len(batch.ids), _BLOCK):
            block = slice(start, start + _BLOCK)
            table = batch.table.take(block)
            found = break_down(table, batch.chip.take(block), mode)
            unknown = not_modelled(table, found)
            columns = {
                name: np.where(unknown, np.nan, column)
                if name.startswith("energy_") or name in ("power_W", "area_um2")
                else column
                for name, column in found.layers.items()
            }
            kind = np.broadcast_to(table.kind, next(iter(columns.values())).shape)
            designs, places = np.nonzero(kind != LayerKind.NONE)
            names = table.names or [str(place) for place in range(table.layers)]
            rows = zip(
                [batch.ids[start + design] for design in designs.tolist()],
                _words(places),
                [names[place] for place in places.tolist()],
                [LayerKind(value).name.lower() for value in kind[designs, places]],
                *(_words(column[designs, places]) for column in columns.values()),
                strict=True,
            )
            yield ["id", "layer", "name", "kind", *columns], rows


def chip_text(chip: Chip, mode: str) -> str:
    """The circuit of a chip in one line.

    Args:
        chip: One chip.
        mode: Mode of the model.

    Returns:
        The text.
    """
    names = ("crossbar", "groups", "adcs", "adc_bits", "dacs", "dac_bits", "pes", "grid")
    crossbar, groups, adcs, adc_bits, dacs, dac_bits, pes, grid = (int(getattr(chip, name)[0]) for name in names)
    return (
        f"crossbar {crossbar}, {groups} groups with {adcs} ADCs ({adc_bits} bit) and {dacs} DACs ({dac_bits} bit) in a "
        f"PE, {pes} PEs in a tile, {grid} x {grid} tiles; mode {mode}"
    )


def totals_text(batches: Sequence[Designs], totals: Sequence[Totals]) -> str:
    """The figures of networks as a table: one column per network.

    Args:
        batches: The networks, one design each.
        totals: Their figures.

    Returns:
        The text.
    """
    import pandas as pd

    columns = {}
    for batch, figures in zip(batches, totals, strict=True):
        column = {name: f"{figures[figure][0]:.6g}" for name, figure in _PRINTED.items()}
        columns[batch.ids[0]] = column | {"feasible": str(figures["violation"][0] <= 0)}
    return pd.DataFrame(columns).to_string()


def breakdown_text(frame: "pd.DataFrame", breakdown: Breakdown) -> str:
    """What the figures of a network are made up of, by component and by layer.

    Args:
        frame: From `moopim.analysis.hardware.breakdown_frame`.
        breakdown: What it was made of.

    Returns:
        The text of two tables.
    """
    from moopim.analysis.hardware import component_table, layer_table

    tables = (component_table(frame), layer_table(frame, breakdown))
    return "\n\n".join(_text(table) for table in tables)


def _text(table: "pd.DataFrame") -> str:
    """A table with four digits, and shares with one behind the point."""
    shown = {}
    for name in table.columns:
        if table[name].dtype.kind == "f":
            form = ".1f" if name.endswith("%") else ".4g"
            missing = "not modelled" if name in ("energy_mJ", "area_mm2") else ""
            shown[name] = [missing if math.isnan(value) else format(value, form) for value in table[name]]
    lines = table.assign(**shown).to_string(index=False).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _whole(name: str, values: FloatArray) -> NDArray[np.generic]:
    return values.astype(np.int64) if name == "tiles" else values


def _words(values: NDArray[np.generic]) -> list[str]:
    """Values as words that read back to the same; nothing where there is no value."""
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    return ["" if math.isnan(value) else repr(value) for value in values.tolist()]
