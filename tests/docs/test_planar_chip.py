"""The effects of the fixes that the page on the planar chip states."""

import re
from pathlib import Path

import pytest

from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import FIXES, evaluate_planar
from moopim.workload import network_table

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "planar_chip.md").read_text(encoding="utf-8")
CHIPS = [make_chip("paper", crossbar=128, adc_bits=6), make_chip("cur")]
NETWORKS = [network_table(name) for name in ("alexnet", "vgg16", "resnet18")]
ROWS = {
    name.strip("`: "): cells
    for name, *cells in (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")
    )
}


def changes(chip, fixes, quantity):
    """Change of each network in per cent, as the page writes it."""
    found = []
    for table in NETWORKS:
        before, after = (evaluate_planar(table, chip, mode)[quantity][0] for mode in ((), fixes))
        found.append(f"{100 * (after / before - 1):+.1f}")
    return " / ".join(found)


@pytest.mark.parametrize("name", [*FIXES, "all of them"])
def test_the_page_states_the_effect_of_each_fix(name):
    fixes = tuple(FIXES) if name == "all of them" else (name,)
    (cells,) = (cells for first, cells in ROWS.items() if re.match(rf"{name}\b", first))
    for cell, chip in zip(cells[-2:], CHIPS, strict=True):
        stated = {part.split(" ", 1)[0]: part.split(" ", 1)[1] for part in cell.split(", ") if cell != "none"}
        for quantity in ("energy", "latency", "power", "area"):
            effect = changes(chip, fixes, quantity)
            if quantity in stated:
                assert stated[quantity] == effect
            else:
                assert set(effect.replace("-", "+").split(" / ")) == {"+0.0"}, quantity
