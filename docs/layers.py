"""Layers of moopim, drawn from the imports in its sources: ``python docs/layers.py`` updates docs/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
FOLDERS = {"moopim": "moopim", "problems": "moopim.problems", "analysis": "moopim.analysis"}
BEGIN, END = "<!-- layers: begin -->", "<!-- layers: end -->"


def module_names() -> dict[str, Path]:
    """Source file of each module, by its name."""
    names = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            names[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return names


def imported(tree: ast.AST) -> Iterator[str]:
    """Names that a module imports, inside of functions too, for type checking not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from imported(node)


def part_of(name: str) -> str:
    """Part of the program that a module belongs to: a package or module right below ``moopim``, or a problem."""
    parts = name.split(".")
    return "/".join(parts[1 : 3 if parts[1:2] == ["problems"] else 2])


def imports() -> dict[str, set[str]]:
    """Parts that each part of the program imports."""
    modules = module_names()
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        part = part_of(name)
        uses = found.setdefault(part, set())
        for target in imported(ast.parse(path.read_text(encoding="utf-8"))):
            known = target if target in modules else target.rpartition(".")[0]
            if known in modules and known != "moopim":
                uses.add(part_of(known))
        uses.discard(part)
    return {part: uses for part, uses in found.items() if part and part != "problems"}


def layers(uses: dict[str, set[str]]) -> list[list[str]]:
    """Parts by layer, the top first: each part lies right above the highest one that it imports."""
    heights: dict[str, int] = {}

    def height(part: str) -> int:
        if part not in heights:
            heights[part] = 1 + max(map(height, uses[part]), default=-1)
        return heights[part]

    found: list[list[str]] = [[] for _ in range(1 + max(map(height, uses)))]
    for part in sorted(uses):
        found[heights[part]].append(part)
    return found[::-1]


def summary(part: str) -> str:
    """First line of the docstring of a part."""
    path = module_names()[f"moopim.{part.replace('/', '.')}"]
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def drawing() -> str:
    """The block of docs/architecture.md between its marks."""
    rows = layers(imports())
    width = max(len(part) for layer in rows for part in layer)
    lines = []
    for height, layer in zip(reversed(range(len(rows))), rows, strict=True):
        lines += [f"{height if part == layer[0] else '':>2}  {part:<{width}}  {summary(part)}" for part in layer]
    return "\n".join([BEGIN, "```text", *lines, "```", END])


def main() -> None:
    """Replace the block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    PAGE.write_text(before + drawing() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
