"""Options that several commands share, and checks of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from moopim.errors import ConfigError
from moopim.user_code import referenced_file

Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.")]
Evaluations = Annotated[int, typer.Option(help="Budget of evaluations.")]
Jobs = Annotated[int, typer.Option(help="Number of processes; the result does not depend on it.")]
Screen = Annotated[
    bool, typer.Option("--screen", help="Let a surrogate choose among the proposals, for expensive problems.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Design = Annotated[int | None, typer.Option(help="Number of a design in the column 'evaluation' of evaluations.csv.")]
RunDirectory = Annotated[Path, typer.Argument(help="A run directory.")]
StackFile = Annotated[Path | None, typer.Option(help="TOML file with a stack of one's own.")]
ComputeDevice = Annotated[str, typer.Option(help="Where to compute, such as cuda.")]


def check_case(case: str | None, plot: Path | None) -> None:
    """Raise ConfigError for ``--case`` without ``--plot``."""
    if case is not None and plot is None:
        raise ConfigError(f"--case {case!r} is the one that --plot shows; expected it with --plot")


def given(**options: Any) -> dict[str, Any]:
    """Options by name without those that were not given: None or an empty list."""
    return {name: value for name, value in options.items() if value not in (None, [])}


def given_files(*paths: Path | None) -> list[Path]:
    """Paths that were given."""
    return [path for path in paths if path is not None]


def network_files(names: Sequence[str]) -> list[Path]:
    """Files of the networks that are named by FILE.py:Name."""
    return given_files(*map(referenced_file, names))
