"""Python code that a user names: a file, or a module that can be imported."""

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from moopim.errors import ConfigError, MoopimError
from moopim.sources import where_raised

__all__ = ["import_source", "make_room", "reason"]

# Folders that were put on ``sys.path`` -> names of the modules that had been imported before.
_folders: dict[Path, frozenset[str]] = {}


def import_source(source: str) -> types.ModuleType:
    """Imports what stands before the colon of ``path/to/file.py:Name`` or ``package.module:Name``.

    Args:
        source: A path that ends in ``.py``, or the name of a module.

    Returns:
        The module. The folder of a file, or the current one, stays on ``sys.path``.

    Raises:
        ConfigError: If there is no such file or module, or it cannot be imported.
    """
    return _import_file(Path(source)) if source.endswith(".py") else _import_module(source)


def make_room(path: Path) -> None:
    """Forgets modules that earlier files brought, where the folder of a file has others of the same names.

    So files of one name in several folders can be imported one after the other, each with its neighbours. What was made
    with the forgotten modules stays as it is, but cannot be pickled any more.

    Args:
        path: The file.
    """
    folder = path.resolve().parent
    for name, module in list(sys.modules.items()):
        if "." in name or not _has(folder, name):
            continue
        if any(place != folder and name not in _folders.get(place, {name}) for place in _places(module)):
            for part in [part for part in sys.modules if part == name or part.startswith(f"{name}.")]:
                del sys.modules[part]


def reason(error: BaseException) -> str:
    """What a user's code raised, in words.

    Args:
        error: The exception.

    Returns:
        Its type, and its text if it has one.
    """
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def _import_module(name: str) -> types.ModuleType:
    if str(Path.cwd()) not in sys.path:
        _put_on_path(Path.cwd())  # as ``python -m`` does
    return _import(name, f"module {name!r}", Path.cwd() / name)


def _import_file(path: Path) -> types.ModuleType:
    """Imports a Python file as a module of its own name, as ``python -m`` in its directory would."""
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"file {str(path)!r} does not exist")
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None or path.stem in sys.stdlib_module_names or not path.stem.isidentifier():
        raise ConfigError(f"file name {path.name!r} cannot be used as a module name; rename the file")
    _put_on_path(path.parent)  # stays: worker processes import the file, and the file its neighbours
    return _import(path.stem, f"file {str(path)!r}", path)


def _import(name: str, what: str, path: Path) -> types.ModuleType:
    """Imports a module; a failure names the file and the line of the user's code."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        cause = str(error) if isinstance(error, MoopimError) else reason(error)
        raise ConfigError(f"{what} cannot be imported: {cause}{where_raised(error, [path])}") from error


def _put_on_path(folder: Path) -> None:
    _folders.setdefault(folder.resolve(), frozenset(sys.modules))
    sys.path.insert(0, str(folder))


def _has(folder: Path, name: str) -> bool:
    """Whether a folder has a module or a package of a name."""
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _places(module: types.ModuleType) -> Iterator[Path]:
    """Folders in which a module or a package lies."""
    for path in [*getattr(module, "__path__", ())] or [getattr(module, "__file__", None)]:
        if path:
            yield Path(path).resolve().parent
