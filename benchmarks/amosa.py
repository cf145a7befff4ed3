"""Ablation of `amosa`: the hypervolume that it reaches with one of its parts left out or changed.

    python benchmarks/amosa.py [--quick] [--json FILE] [--seeds N] [--jobs N]

Problems, boxes and measures are those of `search.py`; the hypervolume is that of everything evaluated. Each line has
the medians over the seeds, and how much higher or lower they are than those of the whole algorithm; a star marks
p < .05 in a two-sided Mann-Whitney test against it, not corrected for the number of tests.
"""

import argparse
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu
from search import measure

from moopim import DesignProblem
from moopim.algorithms import AMOSA, recommended_amosa
from moopim.files import write_atomically
from moopim.operators import DesignRepair, RandomSampling, SingleResetMutation, UniformCrossover

FIRST_SEED = 3001  # other seeds than those of `search.py`
PROBLEMS = ("mnk", "assignment", "crossnas-quantisation", "hunt-vgg11", "hunt-resnet34")
BUDGETS = (2_000, 5_000)
CHANGES: dict[str, dict[str, float | str | bool]] = {
    "whole algorithm": {},
    "archive of 100 from the start": {"growth": 0.0},
    "no mating": {"mating": 0.0},
    "no jumps": {"restart_prob": 0.0},
    "repeats allowed": {"repeats": True},
    "truncation by linkage": {"truncation": "linkage"},
    "worse designs never accepted": {"t_max": 1e-6},
    "32 chains": {"chains": 32},
}


def hypervolumes(task: tuple[str, str, int, int]) -> tuple[float, float]:
    """Plain and logarithmic hypervolume of one run: change, problem, budget, seed."""
    change, name, budget, seed = task

    def make(problem: DesignProblem, evaluations: int) -> AMOSA:
        operators = {
            "sampling": RandomSampling(),
            "mutation": SingleResetMutation(),
            "crossover": UniformCrossover(prob_exchange=None),
            "repair": DesignRepair(),
        }
        return recommended_amosa(evaluations, **operators, **CHANGES[change])

    return measure(name, make, [budget], seed)[budget]


def main() -> None:
    """Reads the command line, runs, prints, and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one problem and three seeds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the hypervolumes of all runs here")
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    problems, seeds = (PROBLEMS[:1], 3) if options.quick else (PROBLEMS, options.seeds)
    tasks = list(itertools.product(CHANGES, problems, BUDGETS, range(FIRST_SEED, FIRST_SEED + seeds)))
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = np.array(list(pool.map(hypervolumes, tasks)))
    found = found.reshape(len(CHANGES), len(problems), len(BUDGETS), seeds, 2)
    columns = [
        (f"{problem} {budget:,}{' log' if k else ''}", found[:, i, j, :, k])
        for (i, problem), (j, budget), k in itertools.product(enumerate(problems), enumerate(BUDGETS), range(2))
        if not np.isnan(found[0, i, j, 0, k])
    ]
    print(f"| {' | '.join(['change', *(head for head, _ in columns)])} |\n{'|---' * (len(columns) + 1)}|")
    for row, change in enumerate(CHANGES):
        shown = []
        for _, values in columns:
            middle = float(np.median(values[0]))
            if row == 0:
                shown.append(f"{middle:.4f}")
                continue
            star = "*" if mannwhitneyu(values[0], values[row]).pvalue < 0.05 else ""
            shown.append(f"{float(np.median(values[row])) - middle:+.4f}{star}")
        print(f"| {change} | {' | '.join(shown)} |")
    if options.json:
        keys = ("change", "problem", "budget", "seed")
        rows = [
            dict(zip(keys, task, strict=True)) | {"plain": plain, "log": None if np.isnan(log) else log}
            for task, (plain, log) in zip(tasks, found.reshape(-1, 2).tolist(), strict=True)
        ]
        write_atomically(options.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
