"""Speed of the thermal model on one thread: temperatures in the loop beside the solver that they come from.

    python benchmarks/thermal.py [--quick] [--json FILE]

In the loop, temperatures are a product with the influence matrix, in batches of 1,000 designs. It stands beside one
solution of the sparse system with the factors at hand, beside assembling and factorising it, beside all solutions that
the whole matrix takes, and beside HotSpot. The 1.8 s a map of HotSpot (commit f18831e, 16 x 16 cells) are quoted: they
were measured on another day. The other numbers are of this run; the best of several repetitions is shown, as other work
on the machine only adds time.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from moopim.hardware.stack.parameters import load_stack
from moopim.hardware.thermal import influence_matrix, load_thermal, temperature_rise
from moopim.hardware.thermal.solving import GRID_MODES, factorised, temperature_map

HOTSPOT_S = 1.8
BATCH = 1000
AREA_MM2 = load_stack().pe_area_mm2


def best_of(call: Callable[[], object], budget: float) -> float:
    """Best time of a call (s) out of as many as the budget (s) allows, at least two."""
    best, calls, end = np.inf, 0, time.perf_counter() + budget
    while calls < 2 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return float(best)


def times(tiers: int, mesh: int, mode: str, budget: float) -> dict[str, float]:
    """Times (s) of the steps for a stack."""
    stack = (tiers, mesh, AREA_MM2, load_thermal())
    power = np.random.default_rng(1).exponential(size=(BATCH, tiers * mesh**2))
    influence = influence_matrix(*stack, mode)
    return {
        "loop": best_of(lambda: temperature_rise(power, influence), budget) / BATCH,
        "solve": best_of(lambda: temperature_map(power[0], *stack, mode), budget),
        "factorise": best_of(lambda: factorised.__wrapped__(*stack, mode), budget),
        "matrix": best_of(lambda: influence_matrix.__wrapped__(*stack, mode), budget),
    }


def main() -> None:
    """Prints a table and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    shapes = [(4, 4), (3, 6)] if options.quick else [(4, 4), (3, 6), (8, 8)]
    budget = 0.3 if options.quick else 3.0
    numbers = {"quoted_hotspot_s_per_map": HOTSPOT_S}
    print(f"{'':26}{'in the loop':>20}{'one solution':>18}{'factorised':>18}{'whole matrix':>18}")
    for tiers, mesh in shapes:
        for mode in GRID_MODES:
            found = times(tiers, mesh, mode, budget)
            cells = "".join(f"{f'{1e3 * found[step]:,.1f} ms':>18}" for step in ("solve", "factorise", "matrix"))
            loop = f"{1 / found['loop']:,.0f} designs/s"
            print(f"{f'{tiers} tiers of {mesh} x {mesh}, {mode}':26}{loop:>20}{cells}")
            key = f"{mode}_{tiers}x{mesh}x{mesh}"
            numbers |= {f"{key}_designs_per_s": 1 / found.pop("loop")}
            numbers |= {f"{key}_{step}_s": seconds for step, seconds in found.items()}
    rate, solution = numbers["hotspot_4x4x4_designs_per_s"], numbers["hotspot_4x4x4_solve_s"]
    afresh = solution + numbers["hotspot_4x4x4_factorise_s"]
    print(f"4 tiers of 4 x 4, hotspot: in the time of one solution, {rate * solution:,.0f} designs in the loop; of one")
    print(
        f"that is assembled and factorised first, {rate * afresh:,.0f}; of HotSpot, as quoted, {rate * HOTSPOT_S:,.0f}"
    )
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
