"""Optimisers on HuNT's mapping search: quality at equal evaluations, with tests, and time.

    python benchmarks/hunt_search.py [--quick] [--json FILE] [--seeds N] [--evaluations N] [--no-repair]

For every network all runs are measured in one box, from the ideal to 1.1 times the nadir point of everything that any
run evaluated. The returned designs of each run are first cut to 100 by one rule, greedy hypervolume. These
hypervolumes are set by extremes and close to saturation, so random search is always shown, and IGD+ and the
hypervolume of log period and log err beside the plain one.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moopim.algorithms.registry import make_algorithm
from moopim.algorithms.truncation import greedy_hypervolume
from moopim.analysis import common_box, hypervolume, igd_plus, non_dominated, significance_table
from moopim.evaluator import Evaluator
from moopim.experiment.frames import evaluations_frame
from moopim.experiment.running import optimise
from moopim.problems.hunt import HuntMapping
from moopim.quantities import oriented

NETWORKS = ("vgg11", "resnet18", "resnet34")
ALGORITHMS = ("amosa-paper", "amosa", "nsga2", "nsga2-hv", "random")
RETURNED = 100
# Of the returned designs; hypervolume_evaluated is that of everything evaluated.
INDICATORS = {"hypervolume": "max", "hypervolume_evaluated": "max", "hypervolume_log": "max", "igd_plus": "min"}
LOG = ("period", "err")


@dataclass(frozen=True)
class SearchRun:
    """A run as the indicators want it, with its wall-clock time (s)."""

    algorithm: str
    seed: int
    evaluations: pd.DataFrame
    front: pd.DataFrame
    seconds: float


def search(problem: HuntMapping, algorithm: str, evaluations: int, seed: int) -> SearchRun:
    """Runs an optimiser and cuts what it returns to the common size."""
    evaluator = Evaluator(problem)
    optimiser = make_algorithm(algorithm, problem, evaluations)
    begun = time.perf_counter()
    optimise(evaluator, optimiser, evaluations, seed, lambda *_: None)
    seconds = time.perf_counter() - begun
    frame = evaluations_frame(problem, evaluator.batches, optimiser.opt.get("F"))
    columns = [quantity.column for quantity in problem.objectives]
    opt = optimiser.opt
    F = np.unique(opt.get("F")[opt.get("FEAS").ravel()], axis=0)
    kept = F[greedy_hypervolume(F, RETURNED)] if len(F) > RETURNED else F
    returned = pd.DataFrame(oriented(kept, problem.objectives), columns=columns).assign(feasible=True)
    return SearchRun(algorithm, seed, frame[["evaluation", *columns, "feasible"]], returned, seconds)


def measure(runs: list[SearchRun], problem: HuntMapping) -> pd.DataFrame:
    """Measures every run in the box of all of them: one row per run with the columns of `INDICATORS`."""
    objectives = problem.objectives
    fronts = [non_dominated(run.evaluations, objectives) for run in runs]
    union = non_dominated(pd.concat(fronts, ignore_index=True), objectives)
    box, log_box = common_box([union], objectives), common_box([union], objectives, LOG)
    rows = [
        {
            "algorithm": run.algorithm,
            "hypervolume": hypervolume(run.front, box),
            "hypervolume_evaluated": hypervolume(front, box),
            "hypervolume_log": hypervolume(run.front, log_box),
            "igd_plus": igd_plus(run.front, union, box),
        }
        for run, front in zip(runs, fronts, strict=True)
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Runs the benchmark and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one network, 3 seeds, 4,000 evaluations")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--no-repair", action="store_true", help="infeasible designs are rejected, not repaired")
    options = parser.parse_args()
    networks, seeds, evaluations = NETWORKS, options.seeds, options.evaluations
    if options.quick:
        networks, seeds, evaluations = ("resnet34",), 3, 4_000
    numbers: dict[str, float] = {"seeds": seeds, "evaluations": evaluations}
    for network in networks:
        problem = HuntMapping(network, repair=not options.no_repair)
        runs = [search(problem, name, evaluations, seed) for name in ALGORITHMS for seed in range(1, seeds + 1)]
        table = measure(runs, problem)
        print(f"\n{network}: {evaluations:,} evaluations, {seeds} seeds, tests against amosa")
        for indicator, sense in INDICATORS.items():
            compared = significance_table(table, indicator, sense, reference="amosa")
            print(f"\n{indicator}\n{compared.to_string(float_format=lambda value: f'{value:.4g}')}")
            numbers |= {f"{network}_{name}_{indicator}": float(row["median"]) for name, row in compared.iterrows()}
        for name in ALGORITHMS:
            numbers[f"{network}_{name}_seconds"] = float(np.median([r.seconds for r in runs if r.algorithm == name]))
        times = {name: numbers[f"{network}_{name}_seconds"] for name in ALGORITHMS}
        print("\nseconds a run: " + ", ".join(f"{name} {value:.2f}" for name, value in times.items()))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
