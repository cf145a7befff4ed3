"""What commands do with their options: which were given, and files that are read and written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moopim.errors import ConfigError
from moopim.rows import check_output

__all__ = ["check_files", "given", "own_files"]


def check_files(read: Sequence[Path], written: Sequence[Path]) -> None:
    """Refuses outputs that have no place or would overwrite an input or each other.

    Args:
        read: Files that are read.
        written: Files that are to be written.

    Raises:
        ConfigError: If there is one; names it.
    """
    for path in written:
        check_output(path)
    taken = {path.resolve() for path in read}
    for path in written:
        if path.resolve() in taken:
            raise ConfigError(f"file {str(path)!r} is given twice; expected different files")
        taken.add(path.resolve())


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
    sources = (name.rpartition(":")[0] for name in names)
    return [Path(source) for source in sources if source.endswith(".py")]
