"""What ``moopim evaluate hardware`` evaluates: designs of a file, or networks by name."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from moopim.csv_files import read_rows, row_name
from moopim.errors import ConfigError
from moopim.genome import Designs as Genes
from moopim.genome import Genome
from moopim.hardware.planar.chip import Chip, make_chip
from moopim.hardware.planar.components import load_components
from moopim.hardware.planar.design_json import Designs, read_designs, read_ids
from moopim.typing import IntArray
from moopim.user_code import referenced_file, split_reference
from moopim.workload import BUILT_IN_NETWORKS, LayerTable, network_table
from moopim.workload.networks import network_error

__all__ = ["Space", "load_networks", "read_file"]

# Column by which a run names its rows.
_EVALUATION = "evaluation"

_CLASSES = 10
_BITS = 9


class Space(Protocol):
    """What genes stand for; an entry point of the group ``moopim.spaces``, called with ``classes=``.

    Attributes:
        genome: The genes.
    """

    genome: Genome

    def layer_table(self, designs: Genes) -> LayerTable:
        """Layers of designs."""

    def chip_parameters(self, designs: Genes) -> dict[str, IntArray]:
        """Parameters of their chips by the names of `moopim.hardware.planar.chip.Chip`, shape ``(designs,)``."""


def load_networks(names: Sequence[str], options: Mapping[str, Any]) -> list[Designs]:
    """Makes a batch of each network.

    Args:
        names: Built-in networks, or FILE.py:Name for one of the user.
        options: Options of the command by name, without those that were not given.

    Returns:
        The batches; a built-in network has one design for each number of classes.

    Raises:
        ConfigError: If a network is unknown or an option is not allowed.
    """
    for name in names:
        if ":" not in name and name.lower() not in BUILT_IN_NETWORKS:
            raise network_error(name, BUILT_IN_NETWORKS)
    chip = _chip(options, {})
    own = [name for name in names if ":" in name]
    _check_own(own, [name for name in names if ":" not in name], options)
    _check_different("network", [_identity(name) for name in names])
    _check_different("--classes", options.get("classes", []))
    labels = _labels(own)
    tables: dict[str, LayerTable] = {}
    for name in names:
        if name in labels:
            tables[labels[name]] = _trace(name, options["image"])
        else:
            for classes in options.get("classes", [_CLASSES]):
                tables[f"{name.lower()}-{classes}"] = network_table(name, classes)
    return [Designs([name], _with_bits(table, options), chip) for name, table in tables.items()]


def _identity(name: str) -> str:
    """The name under which a network is the same, however it is written."""
    reference, file = split_reference(name), referenced_file(name)
    if reference is None:
        return name.lower()
    return f"{reference[0] if file is None else file.resolve()}:{reference[1]}"


def _check_different(what: str, given: Sequence[object]) -> None:
    for place, value in enumerate(given):
        if value in given[:place]:
            raise ConfigError(f"{what} {str(value)!r} is given twice; expected different ones")


def _labels(own: Sequence[str]) -> dict[str, str]:
    """Short names of the user's networks: Name, file:Name where several have it, else as given."""
    forms = {name: _forms(name) for name in own}
    every = [form for some in forms.values() for form in some]
    return {name: next((form for form in forms[name] if every.count(form) == 1), name) for name in own}


def _forms(name: str) -> tuple[str, str]:
    source, member = split_reference(name) or (name, "")
    file = referenced_file(name)
    return member, f"{source.rpartition('.')[2] if file is None else file.stem}:{member}"


def _trace(name: str, image: str) -> LayerTable:
    from moopim.workload.tracing import load_module, parse_input, trace  # torch is slow to load, and optional

    shape = parse_input(image)
    return trace(load_module(name), shape)


def _check_own(own: Sequence[str], built_in: Sequence[str], options: Mapping[str, Any]) -> None:
    """Checks the options that are for the user's networks only, or for built-in ones only."""
    if own and "image" not in options:
        raise ConfigError(f"network {own[0]!r} needs --input, the size of its image; such as --input 3x32x32")
    if built_in and "image" in options:
        raise ConfigError(f"--input is for networks FILE.py:Name; got network {built_in[0]!r}")
    if own and "classes" in options:
        raise ConfigError(f"--classes is for built-in networks; network {own[0]!r} has its own")


def read_file(path: Path, options: Mapping[str, Any]) -> Designs:
    """Reads designs as JSON or as genes.

    Args:
        path: A CSV file with the columns ``id`` and ``design``, or with the genes of a space and maybe ``id``.
        options: As in `load_networks`.

    Returns:
        The designs.

    Raises:
        ConfigError: If the file cannot be used, or an option is not allowed.
    """
    columns, rows = read_rows(path)
    if "design" in columns:
        for name in (name for name in options if name != "profile"):
            why = "which have no parts by name" if name == "components" else "which say it themselves"
            raise ConfigError(
                f"{_option(name)} is not allowed with the designs of {str(path)!r}, {why}; expected it with --network "
                "or a file of genes"
            )
        return read_designs(path, options.get("profile"))
    for name in ("image", "weight_bits", "activation_bits"):
        if name in options:
            raise ConfigError(f"{_option(name)} is not allowed with a file of genes; expected it with --network")
    classes = options.get("classes", [_CLASSES])
    if len(classes) > 1:
        raise ConfigError(f"--classes was given {len(classes)} times; expected one number for a file of genes")
    space = _find_space(path, columns, classes[0])
    if not rows:
        raise ConfigError(f"designs {str(path)!r} has no rows; expected at least one design")
    ids = read_ids(path, rows) if "id" in columns else [str(number) for number in range(1, len(rows) + 1)]
    genes = space.genome.decode(_read_genes(path, rows, space.genome))
    return Designs(ids, space.layer_table(genes), _chip(options, space.chip_parameters(genes)))


def _find_space(path: Path, columns: Sequence[str], classes: int) -> Space:
    """The installed space whose genes are columns of a file."""
    reasons = []
    for entry in sorted(entry_points(group="moopim.spaces"), key=lambda entry: entry.name):
        space: Space = entry.load()(classes=classes)
        lacking = [name for name in space.genome.columns if name not in columns]
        if not lacking:
            return space
        reasons.append(f"gene {lacking[0]!r} of {entry.name}")
    lacks = " and no ".join(["column 'design'", *reasons])
    raise ConfigError(f"designs {str(path)!r} has no {lacks}; expected id and design, or all genes of a space")


def _read_genes(path: Path, rows: Sequence[Mapping[str, str]], genome: Genome) -> IntArray:
    """Finds the index of each gene's value, shape ``(designs, n_genes)``."""
    X = np.empty((len(rows), genome.n_genes), dtype=np.int64)
    places = [(name, group) for group in genome.groups for name in group.columns]
    index = {
        group.name: {_plain(str(value)): i for i, value in enumerate(group.values.tolist())} for group in genome.groups
    }
    for number, row in enumerate(rows, start=1):
        for gene, (name, group) in enumerate(places):
            found = index[group.name].get(_plain(row[name]))
            if found is None:
                where = row_name(path, number, row, "id" if "id" in row else _EVALUATION)
                raise ConfigError(f"{where}: {name}={row[name]!r} is not allowed; expected {group.describe()}")
            X[number - 1, gene] = found
    return X


def _plain(word: str) -> str:
    """A word without spaces around it; a whole number without the point that spreadsheets and pandas write."""
    return re.sub(r"^([+-]?\d+)\.0*$", r"\1", word.strip())


def _chip(options: Mapping[str, Any], genes: Mapping[str, IntArray]) -> Chip:
    components = load_components(options["components"]) if "components" in options else None
    profile = options.get("profile", "cur")
    others = ("image", "weight_bits", "activation_bits", "classes", "profile", "components")
    parameters = {name: value for name, value in options.items() if name not in others}
    for name in genes:
        for given in {name, name.removesuffix("_bits")} & parameters.keys():
            raise ConfigError(f"{_option(given)} is not allowed: the gene {name} of the file says it")
    return make_chip(profile, components, **parameters, **genes)


def _with_bits(table: LayerTable, options: Mapping[str, Any]) -> LayerTable:
    weights, activations = (options.get(f"{kind}_bits", _BITS) for kind in ("weight", "activation"))
    shape = table.kind.shape
    return table.with_bits(np.full(shape, weights), np.full(shape, activations))


def _option(name: str) -> str:
    return f"--{'input' if name == 'image' else name.replace('_', '-')}"
