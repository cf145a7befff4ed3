"""Speed of HuNT's system model on one thread: designs per second by network, batch size, traffic and stack.

    python benchmarks/hunt_model.py [--quick] [--json FILE]

The designs are drawn uniformly but for the tier farthest from the heat sink, which is SRAM, so that all fit: infeasible
ones would cost less. The best of several repetitions is shown, as other work on the machine only adds time.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from moopim.hardware.stack import SystemModel, evaluate_system, system_model
from moopim.hardware.stack.model import TRAFFIC
from moopim.workload import WORKLOADS, load_workload

BATCHES = (1, 16, 100, 1000)
STACKS = ((3, 6), (8, 8))


def seconds_per_call(model: SystemModel, batch: int, budget: float) -> float:
    """Best time of a call (s) out of as many as the budget (s) allows, at least three."""
    rng = np.random.default_rng(1)
    tiers = rng.integers(0, len(model.devices), (batch, model.stack.tiers))
    tiers[:, -1] = np.flatnonzero(model.can_serve_bp)[0]
    genes = rng.integers(0, model.slots, (batch, len(model.workload)))
    best, calls, end = np.inf, 0, time.perf_counter() + budget
    while calls < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        evaluate_system(model, tiers, genes)
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return float(best)


def main() -> None:
    """Prints a table and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    budget = 0.3 if options.quick else 3.0
    numbers = {}

    def row(label: str, key: str, model: SystemModel) -> None:
        cells = []
        for batch in BATCHES:
            seconds = seconds_per_call(model, batch, budget)
            numbers[f"{key}_batch{batch}_designs_per_s"] = batch / seconds
            numbers[f"{key}_batch{batch}_us_per_call"] = 1e6 * seconds
            cells.append(f"{f'{batch / seconds:,.0f} ({1e6 * seconds:,.0f})':>20}")
        print(f"{label:36}" + "".join(cells))

    print(f"{'designs/s (us a call)':36}" + "".join(f"{f'batch {batch}':>20}" for batch in BATCHES))
    for traffic in TRAFFIC:
        for network in WORKLOADS:
            model = system_model(load_workload(network), traffic=traffic)
            row(f"{network}, {len(model.workload)} layers, {traffic}", f"{network.lower()}_{traffic}", model)
    for tiers, mesh in STACKS:
        model = system_model(load_workload("ResNet34"), figures=f"tiers={tiers},mesh={mesh}")
        row(f"ResNet34, {tiers} tiers of {mesh} x {mesh}", f"resnet34_{tiers}x{mesh}x{mesh}", model)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
