"""``moopim evaluate hunt``: given mappings in a CSV file, their metrics in another."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer

from moopim.errors import ConfigError, MoopimError
from moopim.hardware.stack.system import SystemModel, evaluate_system, system_model
from moopim.problems.hunt.mapping import HuntMapping
from moopim.rows import read_rows, row_name, write_rows
from moopim.workload import load_workload

__all__ = ["evaluate_file"]

_INPUT = ("case", "set", "workload", "tiers", "genes")
_METRICS = ("violation", "area", "period", "energy", "power", "peak", "err", "tops_per_W", "tops_per_mm2")
_QUANTITIES = {q.name: q for q in (*HuntMapping.objectives, *HuntMapping.constraints, *HuntMapping.metrics)}
# Column of the output -> metric of the model.
_OUTPUT = {_QUANTITIES[name].column: name for name in _METRICS}


class _Row(NamedTuple):
    """A mapping of the input file."""

    case: str
    group: tuple[str, str]
    tiers: list[int]
    genes: list[int]


def evaluate_file(
    designs: Annotated[Path, typer.Argument(help="CSV file with columns case, set, workload, tiers, genes.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    traffic: Annotated[str, typer.Option(help="Traffic model.")] = "chain",
    dataset: Annotated[str, typer.Option(help="Data set that sets input size and classes.")] = "cifar10",
) -> None:
    """Evaluate HuNT mappings: the tiers as letters from the heat sink outwards, one gene per layer."""
    rows = list(_read(designs, traffic, dataset))
    results: list[list[str]] = [[] for _ in rows]
    for group in dict.fromkeys(row.group for row in rows):
        members = [i for i, row in enumerate(rows) if row.group == group]
        metrics = evaluate_system(
            _model(group, traffic, dataset),
            np.array([rows[i].tiers for i in members]),
            np.array([rows[i].genes for i in members]),
        )
        for place, i in enumerate(members):
            values = [float(metrics[name][place]) for name in _OUTPUT.values()]
            results[i] = ["" if np.isnan(value) else repr(value) for value in values]
    lines = ([row.case, *values] for row, values in zip(rows, results, strict=True))
    write_rows(output, ["case", *_OUTPUT], lines)


def _model(group: tuple[str, str], traffic: str, dataset: str) -> SystemModel:
    factors, workload = group
    return system_model(load_workload(workload, dataset), factors, traffic)


def _read(path: Path, traffic: str, dataset: str) -> Iterator[_Row]:
    """Reads and checks the input file, row by row.

    Raises:
        ConfigError: If the file cannot be read, or names the row, the field, its value and what is allowed.
    """
    for number, record in enumerate(read_rows(path, _INPUT)[1], start=1):
        try:
            yield _parse(record, traffic, dataset)
        except MoopimError as error:
            raise ConfigError(f"{row_name(path, number, record, 'case')}: {error}") from None


def _parse(record: dict[str, str], traffic: str, dataset: str) -> _Row:
    group = (record["set"], record["workload"])
    model = _model(group, traffic, dataset)
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
