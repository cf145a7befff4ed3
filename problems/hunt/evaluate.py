"""``moopim evaluate hunt``: quantities of mappings in a CSV file."""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import typer

from moopim.csv_files import Column, Table, write_table
from moopim.errors import ConfigError, unknown_name
from moopim.files import check_files
from moopim.hardware.stack.parameters import load_parameters
from moopim.hardware.thermal import load_thermal
from moopim.problems.hunt.mapping import HuntMapping
from moopim.workload import INPUTS

_INPUT = tuple(map(Column, ("case", "set", "workload", "tiers", "genes")))
# Quantities whose columns come first, in this order.
_FIRST = (
    *("violation", "area", "pes", "period", "latency", "energy", "power", "peak", "err"),
    *("tops_per_W", "tops_per_mm2", "link_util"),
)
_Group = tuple[str, str]  # factor set and network


class _Row(NamedTuple):
    """Mapping of the input file: indices of the devices of its tiers, genes of its layers."""

    case: str
    group: _Group
    tiers: list[int]
    genes: list[int]


def evaluate_file(
    designs: Annotated[Path, typer.Argument(help="CSV file with columns case, set, workload, tiers, genes.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    dataset: Annotated[str, typer.Option(help="Data set that sets input size and classes.")] = "cifar10",
    devices: Annotated[str, typer.Option(help="Devices that tiers may name, such as S,R,F:parallel.")] = "S,R,F",
    stack: Annotated[str, typer.Option(help="TOML file with another stack and its materials.")] = "",
    override: Annotated[str, typer.Option(help="Parameters to override: NAME=VALUE[,NAME=VALUE].")] = "",
    traffic: Annotated[
        Literal["graph", "chain"], typer.Option(help="Traffic between layers: graph or chain.")
    ] = "graph",
    noc: Annotated[Literal["queue", "paper"], typer.Option(help="NoC latency model: queue or paper.")] = "queue",
    thermal: Annotated[Literal["hotspot", "full", "paper", "paper+"], typer.Option(help="Thermal model.")] = "hotspot",
    equations: Annotated[
        Literal["system", "paper"], typer.Option(help="system, or paper for the surrogates as printed.")
    ] = "system",
    bp_tier: Annotated[
        Literal["free", "farthest"], typer.Option(help="Tier for back-propagation: free or farthest.")
    ] = "free",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Evaluate HuNT mappings: the tiers as letters from the heat sink outwards, one gene per layer."""
    check_files([designs, *([Path(stack)] if stack else [])], [output], force=force)

    @cache
    def problem(group: _Group) -> HuntMapping:
        options: dict[str, Any] = {
            "dataset": dataset,
            "devices": devices,
            "stack": stack,
            "override": override,
            "traffic": traffic,
            "noc": noc,
            "thermal": thermal,
            "equations": equations,
            "bp_tier": bp_tier,
        }
        return HuntMapping(workload=group[1], factors=group[0], **options)

    # Check options first, so that no row is blamed for them.
    if dataset.lower() not in INPUTS:
        raise unknown_name("dataset", dataset, INPUTS)
    load_parameters("physical", devices, stack, override)
    load_thermal(Path(stack) if stack else None)
    table = Table("designs", "at least one mapping", _INPUT, key="case", convert=partial(_parse, problem))
    rows = table.read(designs)
    names = _quantities(problem(rows[0].group))
    results = {name: np.full(len(rows), np.nan) for name in names}
    for group in dict.fromkeys(row.group for row in rows):
        members = [i for i, row in enumerate(rows) if row.group == group]
        tiers, genes = (np.array([getattr(rows[i], name) for i in members]) for name in ("tiers", "genes"))
        found = problem(group).evaluate_mappings(tiers, genes)
        for name in names:
            results[name][members] = found[name]
    write_table(output, ["case", *names.values()], [[[row.case for row in rows], *results.values()]])


def _quantities(problem: HuntMapping) -> dict[str, str]:
    """Columns of the quantities by their names."""
    columns = {quantity.name: quantity.column for quantity in problem.quantities}
    return {name: columns[name] for name in (*_FIRST, *columns) if name in columns}


def _parse(problem: Callable[[_Group], HuntMapping], record: dict[str, str]) -> _Row:
    group = (record["set"], record["workload"])
    model = problem(group).model
    letters = "".join(device.letter for device in model.devices)
    tiers = record["tiers"]
    if len(tiers) != model.stack.tiers or not set(tiers) <= set(letters):
        raise ConfigError(f"tiers {tiers!r} are not allowed; expected {model.stack.tiers} letters out of {letters}")
    genes = _integers(record["genes"].split())
    if len(genes) != len(model.workload) or not all(0 <= gene < model.slots for gene in genes):
        wrong = next((gene for gene in genes if not 0 <= gene < model.slots), f"{len(genes)} numbers")
        expected = f"{len(model.workload)} whole numbers 0 .. {model.slots - 1}"
        raise ConfigError(f"genes have {wrong}; expected {expected}, one per layer of {model.workload.network}")
    return _Row(record["case"], group, [letters.index(letter) for letter in tiers], genes)


def _integers(words: Sequence[str]) -> list[int]:
    for word in words:
        if not re.fullmatch("-?[0-9]{1,9}", word):
            raise ConfigError(f"gene {word!r} is not allowed; expected a whole number")
    return [int(word) for word in words]
