"""Ablation of `amosa`: the hypervolume that it reaches with one of its parts left out or changed.

    python benchmarks/amosa.py [--quick] [--json FILE] [--seeds N] [--jobs N]

Problems, boxes and measures are those of `search.py`; the hypervolume is that of everything evaluated. Medians over
the seeds: of the whole algorithm, and how much higher or lower those of the others are; a star marks p < .05 in a
two-sided Mann-Whitney test against it, not corrected for the number of tests.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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


def table(found: NDArray[np.float64], problems: Sequence[str]) -> str:
    """Markdown table of hypervolumes ``(changes, problems, budgets, seeds, 2)``, a line for each problem and budget."""
    lines = [f"| problem | {' | '.join(CHANGES)} |", "|---" * (len(CHANGES) + 1) + "|"]
    for (i, problem), (j, budget), k in itertools.product(enumerate(problems), enumerate(BUDGETS), range(2)):
        whole, *changed = found[:, i, j, :, k]
        if np.isnan(whole).any():
            continue
        shown = [f"{np.median(whole):.4f}"]
        for values in changed:
            star = "*" if mannwhitneyu(whole, values).pvalue < 0.05 else ""
            shown.append(f"{np.median(values) - np.median(whole):+.4f}{star}")
        lines.append(f"| {problem} {budget:,}{' log' if k else ''} | {' | '.join(shown)} |")
    return "\n".join(lines)


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
    print(table(found, problems))
    if options.json:
        keys = ("change", "problem", "budget", "seed")
        rows = [
            dict(zip(keys, task, strict=True)) | {"plain": plain, "log": None if np.isnan(log) else log}
            for task, (plain, log) in zip(tasks, found.reshape(-1, 2).tolist(), strict=True)
        ]
        write_atomically(options.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
