"""Speed of HuNT's models on one thread: designs per second by model, network, batch size and stack.

    OMP_NUM_THREADS=1 python benchmarks/hunt_model.py [--quick] [--json FILE]

The system model runs as array code and as the kernel that numba compiles, where it is installed; the idealised model
with both kinds of traffic. Designs are drawn at random, and those that do not fit are left out: they would cost less.
The best of several repetitions is shown, as other work on the machine only adds time.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from moopim.hardware.stack import (
    TRAFFIC,
    StackModel,
    SystemModel,
    compiled,
    evaluate_idealised,
    evaluate_system,
    idealised_model,
    system_model,
)
from moopim.workload import WORKLOADS, load_workload

BATCHES = (1, 16, 100, 1000)
STACKS = ((3, 6), (8, 8))

Mappings = tuple[np.ndarray, ...]


def evaluate(model: StackModel, mappings: Mappings) -> dict[str, np.ndarray]:
    """Results of mappings; the idealised model has no pace."""
    if isinstance(model, SystemModel):
        return evaluate_system(model, *mappings)
    return evaluate_idealised(model, *mappings[:2])


def feasible_mappings(model: StackModel, count: int) -> Mappings:
    """Random mappings that fit."""
    rng = np.random.default_rng(1)
    found: list[Mappings] = []
    while sum(len(some[0]) for some in found) < count:
        tiers = rng.integers(0, len(model.devices), (count, model.stack.tiers))
        genes = rng.integers(0, model.slots, (count, len(model.workload)))
        mappings = (tiers, genes, rng.integers(0, model.levels if isinstance(model, SystemModel) else 1, count))
        fit = evaluate(model, mappings)["violation"] == 0
        found.append(tuple(column[fit] for column in mappings))
    return tuple(np.concatenate(columns)[:count] for columns in zip(*found, strict=True))


def seconds(call: Callable[[], object], budget: float) -> float:
    """Best time of a call (s) out of as many as the budget (s) allows, at least three."""
    best, calls, end = np.inf, 0, time.perf_counter() + budget
    while calls < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return float(best)


def compiling_seconds(model: SystemModel) -> float:
    """Time to compile the kernel (s)."""
    mappings = feasible_mappings(model, 1)
    compiled._WORTH_COMPILING = 0
    begun = time.perf_counter()
    evaluate(model, mappings)
    return time.perf_counter() - begun


def models() -> Iterator[tuple[str, str, StackModel]]:
    """Label, key and model of each row."""
    for network in WORKLOADS:
        workload, key = load_workload(network), network.lower()
        yield f"{network}, system", f"{key}_system", system_model(workload)
        for traffic in TRAFFIC:
            model = idealised_model(workload, traffic=traffic)
            yield f"{network}, idealised, {traffic}", f"{key}_idealised_{traffic}", model
    for tiers, mesh in STACKS:
        model = system_model(load_workload("ResNet34"), override=f"tiers={tiers},mesh={mesh}")
        yield f"ResNet34, {tiers} tiers of {mesh} x {mesh}, system", f"resnet34_{tiers}x{mesh}x{mesh}_system", model


def main() -> None:
    """Prints a table and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    budget = 0.2 if options.quick else 2.0
    thresholds = {"arrays": np.inf} | ({"compiled": 0} if find_spec("numba") else {})
    numbers: dict[str, float] = {}
    if "compiled" in thresholds:
        numbers["compile_s"] = compiling_seconds(system_model(load_workload("ResNet34")))
        print(f"compiling, once a process: {numbers['compile_s']:.1f} s\n")
    print(f"{'designs/s (us a call)':44}" + "".join(f"{f'batch {batch}':>20}" for batch in BATCHES))
    for label, key, model in models():
        mappings = feasible_mappings(model, max(BATCHES))
        compiles = isinstance(model, SystemModel) and model.stack.pes <= compiled._MOST_PES
        for way in thresholds if compiles else ("arrays",):
            compiled._WORTH_COMPILING = thresholds[way]
            print(f"{f'{label}, {way}':44}", end="")
            for batch in BATCHES:
                some = tuple(column[:batch] for column in mappings)
                best = seconds(lambda model=model, some=some: evaluate(model, some), budget)
                numbers[f"{key}_{way}_batch{batch}_designs_per_s"] = batch / best
                numbers[f"{key}_{way}_batch{batch}_us_per_call"] = 1e6 * best
                print(f"{f'{batch / best:,.0f} ({1e6 * best:,.0f})':>20}", end="", flush=True)
            print()
    if "compiled" in thresholds:
        name = "resnet34_system_{}_batch1000_designs_per_s"
        numbers["compiled_over_arrays"] = numbers[name.format("compiled")] / numbers[name.format("arrays")]
        print(f"\ncompiled over arrays, ResNet34, batch 1000: {numbers['compiled_over_arrays']:.1f} x")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
