"""``moopim evaluate hunt``: results of mappings in a CSV file."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import typer

from moopim.csv_files import Column, Table, read_rows, write_table
from moopim.errors import ConfigError, unknown_name
from moopim.files import check_files
from moopim.hardware.stack.parameters import parameter_names
from moopim.problems.hunt.mapping import EQUATIONS, HuntMapping
from moopim.typing import FloatArray

_COLUMNS = ("case", "workload", "tiers", "genes")
_OPTIONAL = ("set", "dataset", "options")
# Network for which the options of the command are checked.
_ANY = "vgg11"
# Options of the command that a row may have as well; names besides are limits or overrides.
_OPTIONS = ("precision", "wear", "bp_tier", "devices", "stack", "thermal", "traffic", "noc")
# Short forms of device parameters in the options of rows.
_SHORT = {"bp": "serves_back_propagation"}
# Results that are lists of whole numbers: by layer, or by forward tier from the sink outwards.
_LISTS = ("copies", "levels", "tiles")
# Quantities whose columns come first, in this order.
_FIRST = ("violation", "period", "latency", "area", "pes", "energy", "err", "power", "peak")
# Likeness of a column to a known one from which on it is taken for a slip.
_SLIP = 0.8
# Columns without the unit of their quantity.
_PLAIN = ("slowest",)


class _Group(NamedTuple):
    """Rows that one model evaluates."""

    workload: str
    dataset: str
    factors: str
    options: str


class _Row(NamedTuple):
    """Mapping of the input file: indices of the devices of its tiers, genes of its layers, pace."""

    case: str
    group: _Group
    tiers: list[int]
    genes: list[int]
    pace: int


def evaluate_file(
    designs: Annotated[
        Path, typer.Argument(help="CSV file with columns case, workload, tiers, genes, pace; set, dataset, options.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    equations: Annotated[
        Literal["system", "idealised", "paper"],
        typer.Option(help="The system model, the idealised one, or the paper's surrogates as printed."),
    ] = "system",
    dataset: Annotated[str, typer.Option(help="Data set of rows that name none.")] = "cifar10",
    precision: Annotated[
        Literal["int8", "fp16", "fp32"], typer.Option(help="Number format of the gradient engine.")
    ] = "int8",
    wear: Annotated[
        Literal["cell", "tier"], typer.Option(help="End of life: the first worn-out cell, or a whole tier.")
    ] = "cell",
    max: Annotated[str, typer.Option(help="Upper limits, such as power=20,peak=330.")] = "",
    min: Annotated[str, typer.Option(help="Lower limits, such as trainings=1.")] = "",
    devices: Annotated[str, typer.Option(help="Devices that tiers may name, such as S,R,F:parallel.")] = "S,R,F",
    stack: Annotated[str, typer.Option(help="TOML file with another stack and its materials.")] = "",
    override: Annotated[str, typer.Option(help="Parameters to override: NAME=VALUE[,NAME=VALUE].")] = "",
    traffic: Annotated[
        Literal["graph", "chain"], typer.Option(help="Traffic of the idealised model: graph or chain.")
    ] = "graph",
    noc: Annotated[
        Literal["queue", "paper"], typer.Option(help="NoC latency of the idealised model: queue or paper.")
    ] = "queue",
    thermal: Annotated[Literal["hotspot", "full", "paper", "paper+"], typer.Option(help="Thermal model.")] = "hotspot",
    bp_tier: Annotated[
        Literal["free", "farthest"], typer.Option(help="Tier for back-propagation: free or farthest.")
    ] = "free",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Evaluate HuNT mappings: the tiers as letters from the heat sink outwards, one gene per layer, and the pace.

    The column options of a row, such as wear=tier;R.endurance=1e12;max_peak=330, goes before the options of the
    command.
    """
    check_files([designs, *([Path(stack)] if stack else [])], [output], force=force)
    given: dict[str, Any] = {
        "precision": precision,
        "wear": wear,
        "max": max,
        "min": min,
        "devices": devices,
        "stack": stack,
        "override": override,
        "traffic": traffic,
        "noc": noc,
        "thermal": thermal,
        "bp_tier": bp_tier,
    }

    @cache
    def problem(group: _Group) -> HuntMapping:
        options = _merged(given, group.options)
        return HuntMapping(group.workload, group.dataset, equations, factors=group.factors, repair=False, **options)

    problem(_Group(_ANY, dataset, "physical", ""))  # so that no row is blamed for the options of the command
    paced = equations == "system"
    columns = [*map(Column, _COLUMNS), *(Column(name, required=False) for name in _OPTIONAL)]
    columns += [Column("pace")] if paced else []
    table = Table("designs", "at least one mapping", columns, key="case", convert=partial(_parse, problem, dataset))
    found_columns, cells = read_rows(designs, _COLUMNS)
    if paced and found_columns.count("pace") != 1:
        count = "more than one column" if "pace" in found_columns else "no column"
        raise ConfigError(
            f"designs {str(designs)!r} has {count} 'pace'; expected {', '.join(_COLUMNS)}, pace; designs of the "
            "idealised model need --equations idealised"
        )
    _check_columns(found_columns, paced=paced)
    rows: list[_Row] = table.read(designs, cells)
    groups = dict.fromkeys(row.group for row in rows)
    names = {name: column for group in groups for name, column in _quantities(problem(group)).items()}
    results: dict[str, FloatArray] = {name: np.full(len(rows), np.nan) for name in names}
    lists = {name: [""] * len(rows) for name in (_LISTS if paced else ())}
    for group in groups:
        members = [i for i, row in enumerate(rows) if row.group == group]
        tiers, genes, pace = (
            np.array([getattr(rows[i], name) for i in members], dtype=np.int64) for name in ("tiers", "genes", "pace")
        )
        mappings = problem(group).evaluate_mappings(tiers, genes, pace if paced else None)
        found = problem(group).quantities_of(mappings)
        for name, values in found.items():
            results[name][members] = values
        for name, texts in lists.items():
            for i, numbers in zip(members, mappings.results[name].tolist(), strict=True):
                texts[i] = " ".join(f"{number:.0f}" for number in numbers if np.isfinite(number))
    header = ["case", *names.values(), *lists]
    write_table(output, header, [[[row.case for row in rows], *results.values(), *lists.values()]])


def _check_columns(columns: Sequence[str], *, paced: bool) -> None:
    """Raise ConfigError for a column that is there twice, belongs to another model or is likely a slip of the pen."""
    known = [*_COLUMNS, *_OPTIONAL, "pace"]
    for column in columns:
        if column in known and columns.count(column) > 1:
            raise ConfigError(f"column {column!r} is there twice; expected it once")
        if column == "pace" and not paced:
            raise ConfigError("column 'pace' belongs to equations 'system'; expected a file without it")
        if column not in known and get_close_matches(column.lower(), known, n=1, cutoff=_SLIP):
            raise unknown_name("column", column, known)


def _merged(given: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Options of the command with those of a row, ``NAME=VALUE`` joined by ``;``, before them."""
    options = dict(given)
    parts: dict[str, dict[str, str]] = {name: _assignments(given[name], ",") for name in ("override", "max", "min")}
    for name, value in _assignments(text, ";").items():
        bound, _, quantity = name.partition("_")
        if name in _OPTIONS:
            options[name] = value
        elif "," in value:
            raise ConfigError(f"option {f'{name}={value}'!r} is not allowed; expected NAME=VALUE joined by ';'")
        elif bound in ("max", "min"):
            parts[bound][quantity] = value
        else:
            device, dot, parameter = name.partition(".")
            if not dot and name not in parameter_names():
                known = (*_OPTIONS, "max_NAME", "min_NAME", *parameter_names(), "LETTER.PARAMETER")
                raise unknown_name("option", name, known)
            parts["override"][f"{device}{dot}{_SHORT.get(parameter, parameter)}"] = value
    return options | {
        option: ",".join(f"{name}={value}" for name, value in values.items()) for option, values in parts.items()
    }


def _assignments(text: str, separator: str) -> dict[str, str]:
    """Values by name of ``NAME=VALUE`` joined by a separator; raise ConfigError if one is given twice."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(separator))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise ConfigError(f"option {part!r} is not allowed; expected NAME=VALUE, such as kappa=4")
        if name in found:
            raise ConfigError(f"option {name!r} is given twice; expected it once")
        found[name] = value
    return found


def _quantities(problem: HuntMapping) -> dict[str, str]:
    """Columns of the quantities by their names."""
    columns = {quantity.name: quantity.column for quantity in problem.quantities}
    columns |= {name: name for name in _PLAIN if name in columns}
    table = [entry.quantity.name for entry in EQUATIONS[problem.equations].table]
    return {name: columns[name] for name in dict.fromkeys((*_FIRST, *table)) if name in columns}


def _parse(problem: Callable[[_Group], HuntMapping], dataset: str, record: dict[str, str]) -> _Row:
    group = _Group(
        record["workload"],
        record.get("dataset") or dataset,
        record.get("set") or "physical",
        record.get("options") or "",
    )
    model = problem(group).model
    letters = "".join(device.letter for device in model.devices)
    tiers = record["tiers"]
    if len(tiers) != model.stack.tiers or not set(tiers) <= set(letters):
        raise ConfigError(f"tiers {tiers!r} are not allowed; expected {model.stack.tiers} letters out of {letters}")
    genes = _integers("gene", record["genes"].split())
    if len(genes) != len(model.workload) or not all(0 <= gene < model.slots for gene in genes):
        wrong = next((gene for gene in genes if not 0 <= gene < model.slots), f"{len(genes)} numbers")
        expected = f"{len(model.workload)} whole numbers 0 .. {model.slots - 1}"
        raise ConfigError(f"genes have {wrong}; expected {expected}, one per layer of {model.workload.network}")
    (pace,) = _integers("pace", [record["pace"]]) if "pace" in record else (0,)
    if "pace" in record and not 0 <= pace < problem(group).levels:
        raise ConfigError(f"pace {pace} is not allowed; expected a whole number 0 .. {problem(group).levels - 1}")
    return _Row(record["case"], group, [letters.index(letter) for letter in tiers], genes, pace)


def _integers(what: str, words: Sequence[str]) -> list[int]:
    for word in words:
        if not re.fullmatch("-?[0-9]{1,9}", word):
            raise ConfigError(f"{what} {word!r} is not allowed; expected a whole number")
    return [int(word) for word in words]
