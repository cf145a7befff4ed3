"""``moopim evaluate hunt``: given mappings in a CSV file, their metrics in another."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import typer

from moopim.csv_files import read_rows, row_name, write_rows
from moopim.errors import ConfigError, MoopimError, unknown_name
from moopim.files import check_files
from moopim.hardware.stack.parameters import load_parameters
from moopim.hardware.thermal import load_thermal
from moopim.problems.hunt.mapping import HuntMapping
from moopim.workload import INPUTS

__all__ = ["evaluate_file"]

_INPUT = ("case", "set", "workload", "tiers", "genes")
# Metrics in the order of their columns, as far as the model has them.
_METRICS = (
    *("violation", "area", "pes", "period", "latency", "energy", "power", "peak", "err"),
    *("tops_per_W", "tops_per_mm2", "link_util"),
)
_Group = tuple[str, str]


class _Row(NamedTuple):
    """A mapping of the input file."""

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
    traffic: Annotated[Literal["graph", "chain"], typer.Option(help="Who talks to whom: graph or chain.")] = "graph",
    noc: Annotated[
        Literal["queue", "paper"], typer.Option(help="How packets of the graph wait: queue or paper.")
    ] = "queue",
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

    # Says what is wrong with an option before a row is blamed for it.
    if dataset.lower() not in INPUTS:
        raise unknown_name("dataset", dataset, INPUTS)
    load_parameters("physical", devices, stack, override)
    load_thermal(Path(stack) if stack else None)
    rows = list(_read(designs, problem))
    if not rows:
        raise ConfigError(f"designs {str(designs)!r} has no rows; expected at least one mapping")
    results: list[list[str]] = [[] for _ in rows]
    for group in dict.fromkeys(row.group for row in rows):
        members = [i for i, row in enumerate(rows) if row.group == group]
        tiers, genes = (np.array([getattr(rows[i], name) for i in members]) for name in ("tiers", "genes"))
        metrics = problem(group).evaluate_mappings(tiers, genes)
        for place, i in enumerate(members):
            values = [float(metrics[name][place]) for name in _METRICS if name in metrics]
            results[i] = ["" if np.isnan(value) else repr(value) for value in values]
    lines = ([row.case, *values] for row, values in zip(rows, results, strict=True))
    write_rows(output, ["case", *_columns(problem(rows[0].group))], lines)


def _columns(problem: HuntMapping) -> list[str]:
    quantities = {q.name: q.column for q in (*problem.objectives, *problem.constraints, *problem.metrics)}
    return [quantities[name] for name in _METRICS if name in quantities]


def _read(path: Path, problem: Callable[[_Group], HuntMapping]) -> Iterator[_Row]:
    """Reads and checks the input file, row by row.

    Raises:
        ConfigError: If the file cannot be read, or names the row, the field, its value and what is allowed.
    """
    for number, record in enumerate(read_rows(path, _INPUT)[1], start=1):
        try:
            yield _parse(record, problem)
        except MoopimError as error:
            raise ConfigError(f"{row_name(path, number, record, 'case')}: {error}") from None


def _parse(record: dict[str, str], problem: Callable[[_Group], HuntMapping]) -> _Row:
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
