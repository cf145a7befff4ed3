"""Speed and memory of the planar chip's model on one thread, for random CrossNAS designs.

    python benchmarks/hardware.py [--quick] [--json FILE]

A design is timed from its genes to its energy, latency and area. The loops that numba compiles, where it is installed,
and the array code that takes their place without it are timed apart; compiling is left out. The best of several
repetitions is shown, as other work on the machine only adds time. MNSIM 2.0 itself takes 0.165 s for a network of four
blocks and 0.25 s for VGG16 (median, one thread); these two figures were measured elsewhere, the others in this run.
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from moopim.hardware.planar import compiled
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.problems.crossnas import CrossNasSpace
from moopim.workload import network_table

BATCHES = (1, 100, 1_000, 10_000)
MNSIM_S = {"random": 0.165, "vgg16": 0.25}
SPACE = CrossNasSpace()


def random_genes(count: int, depth: int | None = None) -> np.ndarray:
    """Random designs, of one depth if given."""
    genes = SPACE.genome.sample(count, np.random.default_rng(1))
    if depth is not None:
        genes[:, SPACE.genome.group("depth").columns.index("depth")] = depth - 1
    return genes


def evaluate(genes: np.ndarray) -> None:
    """From genes to figures."""
    designs = SPACE.genome.decode(genes)
    evaluate_planar(SPACE.layer_table(designs), make_chip("paper", **SPACE.chip_parameters(designs)))


def seconds(call: Callable[[], None], budget: float) -> float:
    """Best time of a call (s) out of as many as the budget (s) allows, at least three."""
    best, calls, end = np.inf, 0, time.perf_counter() + budget
    while calls < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return float(best)


def peak_MB(call: Callable[[], None]) -> float:  # noqa: N802 (the unit is MB)
    """Most memory that a call holds at a time (MB)."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    """Prints tables and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    budget = 0.5 if options.quick else 4.0
    ways = {"arrays": np.inf} | ({"compiled": 0} if find_spec("numba") else {})
    numbers = {}
    for way, threshold in ways.items():
        compiled._WORTH_COMPILING = threshold
        evaluate(random_genes(2))
        print(f"\n{way:10}{'designs/s':>14}{'us/design':>14}{'x MNSIM':>12}{'peak MB':>12}")
        for batch in BATCHES:
            genes = random_genes(batch)
            each = seconds(lambda genes=genes: evaluate(genes), budget) / batch
            peak = peak_MB(lambda genes=genes: evaluate(genes))
            ratio = MNSIM_S["random"] / each
            numbers[f"{way}_batch{batch}_designs_per_s"] = 1 / each
            numbers[f"{way}_batch{batch}_peak_MB"] = peak
            print(f"{f'batch {batch}':10}{1 / each:14,.0f}{1e6 * each:14,.1f}{ratio:12,.0f}{peak:12,.0f}")
        network, chip = network_table("vgg16"), make_chip("paper", crossbar=128, adc_bits=6)
        each = seconds(lambda network=network, chip=chip: evaluate_planar(network, chip), budget / 2)
        numbers[f"{way}_vgg16_ms"] = 1e3 * each
        print(f"{'one VGG16':10}{1 / each:14,.0f}{1e6 * each:14,.1f}{MNSIM_S['vgg16'] / each:12,.0f}")
        print(f"{'depth':10}{'designs/s in batches of 1000':>40}")
        for depth in (1, 2, 4, 8):
            genes = random_genes(1_000, depth)
            each = seconds(lambda genes=genes: evaluate(genes), budget / 2) / len(genes)
            numbers[f"{way}_depth{depth}_designs_per_s"] = 1 / each
            print(f"{depth:<10}{1 / each:40,.0f}")
    if len(ways) > 1:
        numbers["compiled_over_arrays"] = (
            numbers["compiled_batch1000_designs_per_s"] / numbers["arrays_batch1000_designs_per_s"]
        )
        print(f"\ncompiled loops over array code, batch 1000: {numbers['compiled_over_arrays']:.1f} x")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
