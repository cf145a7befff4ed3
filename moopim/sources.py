"""The Python files that a user's file is made of: itself and what it imports from its own folder or package."""

import ast
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

__all__ = ["source_files", "where_raised"]


def source_files(files: Iterable[Path]) -> list[Path]:
    """Follows the import statements of files within their own folders and packages.

    Installed packages are not followed; their versions are another matter.

    Args:
        files: Python files.

    Returns:
        The files and those that they import, directly or not, from the folder or the package that they lie in; sorted.

    Raises:
        OSError: If a file cannot be read.
    """
    found: set[Path] = set()
    waiting = [path.resolve() for path in files]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path))
    return sorted(found)


def where_raised(error: BaseException, files: Iterable[Path]) -> str:
    """File and line of a user's code in which an exception arose, for messages.

    Args:
        error: The exception.
        files: Files of the user; what lies in their folders, below them or in no file at all (a notebook) counts too,
            installed packages do not.

    Returns:
        Such as `` (mine.py, line 7)``, the innermost such line; nothing if there is none.
    """
    folders = {path.resolve().parent for path in files}
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        ours = frame.f_globals.get("__name__", "").split(".")[0] == "moopim"
        notebook = "ipython" in path.name or "ipykernel" in str(path)
        if not ours and (notebook or _is_below(path, folders)):
            return f" ({path.name}, line {line})"
    return ""


def _is_below(path: Path, folders: Collection[Path]) -> bool:
    """Whether a file lies in one of some folders or below, outside of installed packages."""
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return path.is_file() and not installed and any(folder in folders for folder in path.resolve().parents)


def _imported(path: Path) -> Iterator[Path]:
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
    """Every module that a file may import: number of dots before it, and name.

    ``from a import b`` may mean a module ``a.b``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            if node.module:
                yield node.level, node.module
            yield from ((node.level, prefix + alias.name) for alias in node.names if alias.name != "*")
