"""``moopim evaluate hardware``: energy, latency, area and power of networks on planar chips.

Designs come from a CSV file, as JSON or as genes, or are networks by name, whose results are broken down.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
import typer
from numpy.typing import NDArray

from moopim.cli.options import Force, given, given_files, network_files
from moopim.csv_files import Column, Rows, Table, id_column, read_rows, write_table
from moopim.errors import ConfigError
from moopim.files import check_files, file_format
from moopim.genome import Designs as Genes
from moopim.genome import Genome
from moopim.hardware.planar.chip import Chip, make_chip
from moopim.hardware.planar.components import load_components
from moopim.hardware.planar.designs import PlanarDesigns, read_designs
from moopim.hardware.planar.model import break_down, evaluate_planar, not_modelled
from moopim.messages import count
from moopim.typing import FloatArray, IntArray
from moopim.user_code import referenced_file, split_reference
from moopim.workload import BUILT_IN_NETWORKS, LayerKind, LayerTable, network_table
from moopim.workload.networks import network_error

if TYPE_CHECKING:
    import pandas as pd

_CLASSES = 10
_BITS = 9
# Column of the results -> total of the model.
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

Totals = dict[str, FloatArray]


class Space(Protocol):
    """Meaning of genes; an entry point of the group ``moopim.spaces``, called with ``classes=``.

    Attributes:
        genome: The genes.
    """

    genome: Genome

    def layer_table(self, designs: Genes) -> LayerTable:
        """Layers of designs."""

    def chip_parameters(self, designs: Genes) -> dict[str, IntArray]:
        """Parameters of their chips by the names of `moopim.hardware.planar.chip.Chip`, shape ``(designs,)``."""


class _Outputs(NamedTuple):
    """Files to write, as far as they were asked for."""

    results: Path | None
    layers: Path | None
    plot: Path | None


def _network_option(text: str, *names: str, **settings: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Options of networks", **settings)


def _chip_option(text: str, **settings: Any) -> Any:
    return typer.Option(help=text, rich_help_panel="Options of the chip", **settings)


def evaluate_hardware(
    designs: Annotated[
        Path | None,
        typer.Argument(help="CSV file: columns id and design, or the genes of a space.", show_default=False),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file for the results.")] = None,
    layers: Annotated[Path | None, typer.Option(help="CSV file for the results layer by layer.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Plot of the breakdown of one network.")] = None,
    force: Force = False,
    mode: Annotated[
        Literal["compat", "physical"], typer.Option(help="Numbers of MNSIM 2.0, or with its quirks mended.")
    ] = "compat",
    network: Annotated[
        list[str] | None, _network_option("Built-in network or FILE.py:Name; may be given several times.")
    ] = None,
    image: Annotated[str | None, _network_option("Image of FILE.py:Name, such as 3x32x32.", "--input")] = None,
    classes: Annotated[
        list[int] | None,
        _network_option(
            "Classes of built-in networks and of a space; may be given several times.",
            min=2,
            max=1_000_000,
            show_default="10",
        ),
    ] = None,
    weight_bits: Annotated[
        int | None, _network_option("Bits of weights, sign included.", min=2, max=64, show_default="9")
    ] = None,
    activation_bits: Annotated[
        int | None, _network_option("Bits of activations.", min=1, max=64, show_default="9")
    ] = None,
    profile: Annotated[
        Literal["cur", "paper"] | None,
        _chip_option("Chip to start from: MNSIM of 2024, or that of 2022, which CrossNAS used.", show_default="cur"),
    ] = None,
    crossbar: Annotated[int | None, _chip_option("Rows of a crossbar.")] = None,
    adc_bits: Annotated[int | None, _chip_option("Resolution of the ADCs.")] = None,
    dac_bits: Annotated[int | None, _chip_option("Resolution of the DACs.")] = None,
    adc: Annotated[str | None, _chip_option("ADC by name.")] = None,
    dac: Annotated[str | None, _chip_option("DAC by name.")] = None,
    device: Annotated[str | None, _chip_option("Memory device by name.")] = None,
    components: Annotated[Path | None, _chip_option("TOML file with ADCs, DACs, devices of one's own.")] = None,
    groups: Annotated[int | None, _chip_option("Groups of a PE.")] = None,
    adcs: Annotated[int | None, _chip_option("ADCs of a group.")] = None,
    dacs: Annotated[int | None, _chip_option("DACs of a group.")] = None,
    pes: Annotated[int | None, _chip_option("PEs of a tile.")] = None,
    grid: Annotated[int | None, _chip_option("Tiles along a side.")] = None,
) -> None:
    """Evaluate networks on planar PIM chips: energy, latency, area, power and whether they fit.

    Give either a file of designs or --network.
    """
    options = given(
        image=image, weight_bits=weight_bits, activation_bits=activation_bits, classes=classes, profile=profile,
        components=components, crossbar=crossbar, adc_bits=adc_bits, dac_bits=dac_bits, adc=adc, dac=dac,
        device=device, groups=groups, adcs=adcs, dacs=dacs, pes=pes, grid=grid
    )  # fmt: skip
    outputs = _Outputs(output, layers, plot)
    check_files([*given_files(designs, components), *network_files(network or [])], given_files(*outputs), force=force)
    if designs and (found := file_format(designs)) and designs.suffix.lower() != ".csv":
        raise ConfigError(f"designs {str(designs)!r} is {found}; expected a CSV file, or --network for a network")
    if designs and not network:
        _evaluate_file(designs, outputs, mode, options)
    elif network and not designs:
        _evaluate_networks(network, outputs, mode, options)
    else:
        given_both = f"both ({str(designs)!r} and {network[0]!r})" if network else "neither"
        raise ConfigError(f"a file of designs or --network is needed; got {given_both}")


def _evaluate_file(designs: Path, outputs: _Outputs, mode: str, options: Mapping[str, Any]) -> None:
    if outputs.results is None:
        raise ConfigError("a file of designs needs --output, the CSV file for the results")
    if outputs.plot is not None:
        raise ConfigError(f"--plot {str(outputs.plot)!r} shows one network; expected it with --network")
    batch = read_file(designs, options)
    totals = evaluate_planar(batch.table, batch.chip, mode)
    _write_results(outputs.results, [batch], [totals])
    if outputs.layers is not None:
        _write_layers(outputs.layers, [batch], mode)
    feasible = int((totals["violation"] <= 0).sum())
    typer.echo(f"{count(len(batch.ids), 'design')}, {feasible} feasible; written to {outputs.results}")


def _evaluate_networks(names: Sequence[str], outputs: _Outputs, mode: str, options: Mapping[str, Any]) -> None:
    n_networks = len(names) * len(options.get("classes", [None]))
    if outputs.plot is not None and n_networks > 1:
        raise ConfigError(f"--plot {str(outputs.plot)!r} shows one network; got {n_networks}")
    batches = _load_networks(names, options)
    breakdowns = [break_down(batch.table, batch.chip, mode) for batch in batches]
    totals = [breakdown.totals for breakdown in breakdowns]
    text = f"{_chip_text(batches[0].chip, mode)}\n\n{_totals_text(batches, totals)}"
    if len(batches) == 1:
        from moopim.analysis.hardware import breakdown_frame, component_table, layer_table, plot_breakdown

        frame = breakdown_frame(breakdowns[0], batches[0].table)
        tables = (component_table(frame), layer_table(frame, breakdowns[0]))
        text += "".join(f"\n\n{_table_text(table)}" for table in tables)
        if outputs.plot is not None:
            from moopim.analysis.style import save_figure

            save_figure(plot_breakdown(frame, _title(batches[0].ids[0], mode, totals[0])), outputs.plot)
    if outputs.results is not None:
        _write_results(outputs.results, batches, totals)
    if outputs.layers is not None:
        _write_layers(outputs.layers, batches, mode)
    typer.echo(text)
    if written := given_files(*outputs):
        typer.echo(f"written: {', '.join(map(str, written))}")


def _load_networks(names: Sequence[str], options: Mapping[str, Any]) -> list[PlanarDesigns]:
    """One batch per network by name; a built-in network has one design for each number of classes."""
    for name in names:
        if ":" not in name and name.lower() not in BUILT_IN_NETWORKS:
            raise network_error(name, BUILT_IN_NETWORKS)
    chip = _make_chip(options, {})
    references = [name for name in names if ":" in name]
    _check_network_options(references, [name for name in names if ":" not in name], options)
    _check_different("network", [_identity(name) for name in names])
    _check_different("--classes", options.get("classes", []))
    labels = _labels(references)
    tables: dict[str, LayerTable] = {}
    for name in names:
        if name in labels:
            tables[labels[name]] = _trace(name, options["image"])
        else:
            for classes in options.get("classes", [_CLASSES]):
                tables[f"{name.lower()}-{classes}"] = network_table(name, classes)
    return [PlanarDesigns([name], _with_bits(table, options), chip) for name, table in tables.items()]


def _identity(name: str) -> str:
    """Key of a network that is the same however its name is written."""
    reference, file = split_reference(name), referenced_file(name)
    if reference is None:
        return name.lower()
    return f"{reference[0] if file is None else file.resolve()}:{reference[1]}"


def _check_different(label: str, values: Sequence[object]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ConfigError(f"{label} {str(value)!r} is given twice; expected different ones")


def _labels(references: Sequence[str]) -> dict[str, str]:
    """Short names of the user's networks: Name, file:Name where several have it, else as given."""
    forms = {reference: _forms(reference) for reference in references}
    every = [form for some in forms.values() for form in some]
    return {name: next((form for form in forms[name] if every.count(form) == 1), name) for name in references}


def _forms(reference: str) -> tuple[str, str]:
    source, _, name = reference.rpartition(":")
    file = referenced_file(reference)
    return name, f"{source.rpartition('.')[2] if file is None else file.stem}:{name}"


def _trace(name: str, image: str) -> LayerTable:
    from moopim.workload.tracing import load_module, parse_input, trace  # torch is slow to load, and optional

    shape = parse_input(image)
    return trace(load_module(name), shape)


def _check_network_options(references: Sequence[str], built_in: Sequence[str], options: Mapping[str, Any]) -> None:
    """Check the options for the user's networks only, or for built-in ones only."""
    if references and "image" not in options:
        raise ConfigError(f"network {references[0]!r} needs --input, the size of its image; such as --input 3x32x32")
    if built_in and "image" in options:
        raise ConfigError(f"--input is for networks FILE.py:Name; got network {built_in[0]!r}")
    if references and "classes" in options:
        raise ConfigError(f"--classes is for built-in networks; network {references[0]!r} has its own")


def read_file(path: Path, options: Mapping[str, Any]) -> PlanarDesigns:
    """Designs of a CSV file: columns ``id`` and ``design`` (JSON), or the genes of a space and perhaps ``id``.

    `options` are those of the command that were given. Raises ConfigError if the file or an option is not allowed.
    """
    columns, rows = read_rows(path)
    if "design" in columns:
        for name in (name for name in options if name != "profile"):
            why = "which have no parts by name" if name == "components" else "which say it themselves"
            raise ConfigError(
                f"{_option_name(name)} is not allowed with the designs of {str(path)!r}, {why}; expected it with "
                "--network or a file of genes"
            )
        return read_designs(path, options.get("profile"))
    for name in ("image", "weight_bits", "activation_bits"):
        if name in options:
            raise ConfigError(f"{_option_name(name)} is not allowed with a file of genes; expected it with --network")
    classes = options.get("classes", [_CLASSES])
    if len(classes) > 1:
        raise ConfigError(f"--classes was given {len(classes)} times; expected one number for a file of genes")
    space = _find_space(path, columns, classes[0])
    ids, X = _read_genes(path, columns, rows, space.genome)
    genes = space.genome.decode(X)
    return PlanarDesigns(ids, space.layer_table(genes), _make_chip(options, space.chip_parameters(genes)))


def _find_space(path: Path, columns: Sequence[str], classes: int) -> Space:
    """Installed space whose genes are columns of a file."""
    reasons = []
    for entry in sorted(entry_points(group="moopim.spaces"), key=lambda entry: entry.name):
        space: Space = entry.load()(classes=classes)
        lacking = [name for name in space.genome.columns if name not in columns]
        if not lacking:
            return space
        reasons.append(f"gene {lacking[0]!r} of {entry.name}")
    lacks = " and no ".join(["column 'design'", *reasons])
    raise ConfigError(f"designs {str(path)!r} has no {lacks}; expected id and design, or all genes of a space")


def _read_genes(path: Path, columns: Sequence[str], rows: Rows, genome: Genome) -> tuple[list[str], IntArray]:
    """Names of the designs, and the index of each gene's value, shape ``(designs, n_genes)``."""
    genes = [
        _gene_column(name, {_plain(str(value)): i for i, value in enumerate(group.values.tolist())}, group.describe())
        for group in genome.groups
        for name in group.columns
    ]
    key = "id" if "id" in columns else "evaluation"  # by which a run numbers its rows
    table = Table("designs", "at least one design", (id_column(required=False), *genes), key=key)
    ids, X = [], np.empty((len(rows), len(genes)), dtype=np.int64)
    for number, row in enumerate(table.iterate(path, rows)):
        ids.append(row.get("id", str(number + 1)))
        X[number] = [row[gene.name] for gene in genes]
    return ids, X


def _gene_column(name: str, index: Mapping[str, int], allowed: str) -> Column:
    """Column of a gene; its cells are parsed to the index of their value."""

    def parse(cell: str) -> int:
        found = index.get(_plain(cell))
        if found is None:
            raise ConfigError(f"{name}={cell!r} is not allowed; expected {allowed}")
        return found

    return Column(name, parse)


def _plain(cell: str) -> str:
    """Text without spaces around it; a whole number without the point that spreadsheets and pandas write."""
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", cell.strip())


def _make_chip(options: Mapping[str, Any], genes: Mapping[str, IntArray]) -> Chip:
    components = load_components(options["components"]) if "components" in options else None
    profile = options.get("profile", "cur")
    others = ("image", "weight_bits", "activation_bits", "classes", "profile", "components")
    parameters = {name: value for name, value in options.items() if name not in others}
    for name in genes:
        for option in {name, name.removesuffix("_bits")} & parameters.keys():
            raise ConfigError(f"{_option_name(option)} is not allowed: the gene {name} of the file says it")
    return make_chip(profile, components, **parameters, **genes)


def _with_bits(table: LayerTable, options: Mapping[str, Any]) -> LayerTable:
    weights, activations = (options.get(f"{kind}_bits", _BITS) for kind in ("weight", "activation"))
    shape = table.kind.shape
    return table.with_bits(np.full(shape, weights), np.full(shape, activations))


def _option_name(name: str) -> str:
    return f"--{'input' if name == 'image' else name.replace('_', '-')}"


def _write_results(path: Path, batches: Sequence[PlanarDesigns], totals: Sequence[Totals]) -> None:
    """Write the totals of each design, and whether its tiles fit."""
    blocks = (
        [
            batch.ids,
            *(found[name].astype(np.int64) if name == "tiles" else found[name] for name in _COLUMNS.values()),
            found["violation"] <= 0,
        ]
        for batch, found in zip(batches, totals, strict=True)
    )
    write_table(path, ["id", *_COLUMNS, "feasible"], blocks)


def _write_layers(path: Path, batches: Sequence[PlanarDesigns], mode: str) -> None:
    """Write the results of each layer; energy, power and area that are not modelled stay empty."""
    blocks = (block for batch in batches for block in _layer_blocks(batch, mode))
    first = next(blocks)
    write_table(path, list(first), (list(block.values()) for block in chain([first], blocks)))


def _layer_blocks(batch: PlanarDesigns, mode: str) -> Iterator[dict[str, Sequence[Any] | NDArray[Any]]]:
    """Columns of some designs at a time, one row per layer: all of them would take gigabytes."""
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
        designs, layers = np.nonzero(kind != LayerKind.NONE)
        names = table.names or [str(layer) for layer in range(table.layers)]
        yield {
            "id": [batch.ids[start + design] for design in designs.tolist()],
            "layer": layers,
            "name": [names[layer] for layer in layers.tolist()],
            "kind": [LayerKind(value).name.lower() for value in kind[designs, layers]],
            **{name: column[designs, layers] for name, column in columns.items()},
        }


def _chip_text(chip: Chip, mode: str) -> str:
    """Parameters of one chip in a line."""
    names = ("crossbar", "groups", "adcs", "adc_bits", "dacs", "dac_bits", "pes", "grid")
    crossbar, groups, adcs, adc_bits, dacs, dac_bits, pes, grid = (int(getattr(chip, name)[0]) for name in names)
    return (
        f"crossbar {crossbar}, {groups} groups with {adcs} ADCs ({adc_bits} bit) and {dacs} DACs ({dac_bits} bit) in a "
        f"PE, {pes} PEs in a tile, {grid} x {grid} tiles; mode {mode}"
    )


def _totals_text(batches: Sequence[PlanarDesigns], totals: Sequence[Totals]) -> str:
    """Totals of networks as a table with one column per network."""
    import pandas as pd

    columns = {}
    for batch, found in zip(batches, totals, strict=True):
        column = {name: f"{found[total][0]:.6g}" for name, total in _PRINTED.items()}
        columns[batch.ids[0]] = column | {"feasible": str(found["violation"][0] <= 0)}
    return pd.DataFrame(columns).to_string()


def _table_text(table: "pd.DataFrame") -> str:
    """Table with four digits, and shares with one digit behind the point."""
    shown = {}
    for name in table.columns:
        if table[name].dtype.kind == "f":
            form = ".1f" if name.endswith("%") else ".4g"
            missing = "not modelled" if name in ("energy_mJ", "area_mm2") else ""
            shown[name] = [missing if math.isnan(value) else format(value, form) for value in table[name]]
    lines = table.assign(**shown).to_string(index=False).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _title(name: str, mode: str, totals: Mapping[str, Any]) -> str:
    energy, latency, area = (f"{totals[total][0]:.4g}" for total in ("energy", "latency", "area"))
    return f"{name}, mode {mode}: {energy} mJ, {latency} ms, {area} mm²"
