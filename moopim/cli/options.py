"""What commands do with their options: which were given, and which of them are files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from moopim.errors import ConfigError
from moopim.user_code import referenced_file

__all__ = ["Force", "check_drawn", "given", "own_files"]

Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


def check_drawn(case: str | None, plot: Path | None) -> None:
    """Refuses to choose what is drawn where nothing is.

    Args:
        case: Option ``--case``: the case to draw.
        plot: Option ``--plot``: the picture.

    Raises:
        ConfigError: If there is a case and no picture.
    """
    if case is not None and plot is None:
        raise ConfigError(f"--case {case!r} is the one that --plot draws; expected it with --plot")


def given(**options: Any) -> dict[str, Any]:
    """The options that were given.

    Args:
        **options: Options by name; None, or an empty list, where nothing was given.

    Returns:
        Those that were.
    """
    return {name: value for name, value in options.items() if value not in (None, [])}


def own_files(names: Sequence[str]) -> list[Path]:
    """Finds the files among networks.

    Args:
        names: Names of built-in networks, FILE.py:Name or package.module:Name.

    Returns:
        The files of FILE.py:Name.
    """
    return [file for name in names if (file := referenced_file(name)) is not None]
