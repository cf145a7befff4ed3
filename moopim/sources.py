"""The Python files that a user's file is made of: itself and what it imports from its own folder."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["source_files"]


def source_files(files: Iterable[Path]) -> list[Path]:
    """Follows the import statements of files within their own folders.

    Installed packages are not followed; their versions are another matter.

    Args:
        files: Python files.

    Returns:
        The files and those that they import, directly or not, from the folder that they lie in; sorted.

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


def _imported(path: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for name in _module_names(tree):
        base = path.parent.joinpath(*name.split("."))
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                yield candidate.resolve()


def _module_names(tree: ast.AST) -> Iterator[str]:
    """Every module that a file may import, as written; ``from a import b`` may mean a module ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            if node.module:
                yield node.module
            yield from (prefix + alias.name for alias in node.names if alias.name != "*")
