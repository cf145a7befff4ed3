"""Table of the constants of HuNT's system model, from its data files: ``python docs/constants.py`` updates the page."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "hunt.md"
DATA = ROOT / "moopim" / "hardware" / "data"
FILES = ("stack", "stack_factors", "stack_operation", "stack_engine")
# Constants of baselines, which no model of a mapping uses.
BESIDES = ("phi_HX", "g_f")
BEGIN, END = "<!-- constants: begin -->", "<!-- constants: end -->"


def constants(table: dict[str, object], prefix: str = "") -> Iterator[tuple[str, dict[str, object]]]:
    """Constants of a file and of its tables, by name."""
    for name, entry in table.items():
        if isinstance(entry, dict) and "value" in entry:
            yield prefix + name, entry
        elif isinstance(entry, dict):
            yield from constants(entry, f"{prefix}{name}." if prefix or name != "precisions" else "")


def drawing() -> str:
    """The block of docs/hunt.md between its marks."""
    lines = ["| constant | value | unit | kind | source |", "|---|---|---|---|---|"]
    for file in FILES:
        for name, entry in constants(tomllib.loads((DATA / f"{file}.toml").read_text(encoding="utf-8"))):
            if name not in BESIDES:
                cells = (f"`{name}`", f"{entry['value']:g}", entry["unit"], entry["kind"], entry["source"])
                lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([BEGIN, *lines, END])


def main() -> None:
    """Replace the block of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    PAGE.write_text(before + drawing() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
