"""Python code that a user names: a file, or a module that can be imported."""

import importlib
import sys
import types
from pathlib import Path

from moopim.errors import ConfigError

__all__ = ["import_source"]


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


def _import_module(name: str) -> types.ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as ``python -m`` does
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"module {name!r} cannot be imported: {error}") from None


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
    sys.path.insert(0, str(path.parent))  # stays: worker processes import the file, and the file its neighbours
    try:
        return importlib.import_module(path.stem)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"file {str(path)!r} cannot be imported: {type(error).__name__}: {error}") from error
