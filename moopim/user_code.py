"""Python code of the user: import of FILE.py:Name or package.module:Name, its source files, where it raised."""

import ast
import importlib
import sys
import traceback
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from moopim.errors import ConfigError, MoopimError, unknown_name

# Folders that were put on ``sys.path`` -> names of the modules that had been imported before.
_folders: dict[Path, frozenset[str]] = {}
_MISSING = object()


def split_reference(reference: str) -> tuple[str, str] | None:
    """Source and name of ``path/to/file.py:Name`` or ``package.module:Name``; None without a colon."""
    source, colon, name = reference.rpartition(":")
    return (source, name) if colon else None


def referenced_file(reference: str) -> Path | None:
    """File of ``path/to/file.py:Name``; None for other references."""
    source = reference.rpartition(":")[0]
    return Path(source) if source.endswith(".py") else None


def import_member(source: str, name: str, kind: str, accept: Callable[[Any], bool]) -> Any:
    """Import a member of a file or a module.

    The folder of a file, or the current one for a module, stays on ``sys.path``. The error for a missing member lists
    those that `accept` allows.
    """
    module = _import_file(Path(source)) if source.endswith(".py") else _import_module(source)
    found = getattr(module, name, _MISSING)
    if found is _MISSING:
        allowed = [key for key, value in vars(module).items() if not key.startswith("_") and accept(value)]
        raise unknown_name(f"{kind} in {source}", name, allowed)
    return found


def forget_namesakes(path: Path) -> None:
    """Forget imported modules of earlier files where the folder of a file has others of the same names.

    Files of one name in several folders can then be imported one after the other, each with its neighbours. Objects
    made with the forgotten modules stay usable, but cannot be pickled any more.
    """
    folder = path.resolve().parent
    for name, module in list(sys.modules.items()):
        if "." in name or not _has(folder, name):
            continue
        if any(home != folder and name not in _folders.get(home, {name}) for home in _homes(module)):
            for part in [part for part in sys.modules if part == name or part.startswith(f"{name}.")]:
                del sys.modules[part]


def reason(error: BaseException) -> str:
    """Type of an exception and its text, if it has one."""
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def where_raised(error: BaseException, files: Iterable[Path]) -> str:
    """Innermost file and line of user code in a traceback, such as `` (mine.py, line 7)``; empty if there is none.

    User code lies in or below the folders of `files`, or in no file at all (a notebook); never in installed packages.
    """
    folders = {path.resolve().parent for path in files}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        ours = frame.f_globals.get("__name__", "").split(".")[0] == "moopim"
        notebook = "ipython" in path.name or "ipykernel" in str(path)
        if not ours and (notebook or _is_below(path, folders)):
            return f" ({path.name}, line {line})"
    return ""


def source_files(files: Iterable[Path]) -> list[Path]:
    """Python files and those that they import, directly or not, from their folder or package; sorted.

    Installed packages are not followed: their versions are recorded elsewhere. Raises OSError if a file is unreadable.
    """
    found: set[Path] = set()
    waiting = [path.resolve() for path in files]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported_files(path))
    return sorted(found)


def _import_module(name: str) -> types.ModuleType:
    if str(Path.cwd()) not in sys.path:
        _put_on_path(Path.cwd())  # as ``python -m`` does
    return _import(name, f"module {name!r}", Path.cwd() / name)


def _import_file(path: Path) -> types.ModuleType:
    """Import a file as a module of its own name, as ``python -m`` in its directory would."""
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


def _import(name: str, label: str, path: Path) -> types.ModuleType:
    """Import a module; a failure names the file and the line of the user's code."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        cause = str(error) if isinstance(error, MoopimError) else reason(error)
        raise ConfigError(f"{label} cannot be imported: {cause}{where_raised(error, [path])}") from error


def _put_on_path(folder: Path) -> None:
    _folders.setdefault(folder.resolve(), frozenset(sys.modules))
    sys.path.insert(0, str(folder))


def _has(folder: Path, name: str) -> bool:
    """Whether a folder has a module or a package of a name."""
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _homes(module: types.ModuleType) -> Iterator[Path]:
    """Folders in which a module or a package lies."""
    for path in [*getattr(module, "__path__", ())] or [getattr(module, "__file__", None)]:
        if path:
            yield Path(path).resolve().parent


def _is_below(path: Path, folders: Collection[Path]) -> bool:
    """Whether a file lies in one of some folders or below, outside of installed packages."""
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return path.is_file() and not installed and any(folder in folders for folder in path.resolve().parents)


def _imported_files(path: Path) -> Iterator[Path]:
    """Files that a file may import from its own folder or package."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for level, name in _module_names(tree):
        parts = name.split(".")
        for folder in _roots(path, level, parts):
            base = folder.joinpath(*parts)
            for candidate in (base.with_suffix(".py"), base / "__init__.py"):
                if candidate.is_file():
                    yield candidate.resolve()


def _roots(path: Path, level: int, parts: Sequence[str]) -> list[Path]:
    """Folders from which an import of a file starts: its own, or the one that holds its package."""
    if level:
        return list(path.parents[level - 1 : level])
    package = parts[0] if parts[0] != "moopim" else None  # whose version is known
    return [path.parent, *(folder.parent for folder in path.parents if folder.name == package)]


def _module_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Number of leading dots and name of every module that may be imported; of ``from a import b`` also ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            if node.module:
                yield node.level, node.module
            yield from ((node.level, prefix + alias.name) for alias in node.names if alias.name != "*")
