"""Hypervolume that screened optimisers reach with 500 evaluations, beside the others with 500 and 1,000.

    python benchmarks/screen.py [--quick] [--json FILE] [--seeds N] [--jobs N] [--screened NAMES]

Problems, boxes and the plain and logarithmic hypervolume of everything evaluated are those of `search.py`, and two
problems more: 0/1 knapsacks of 250 items, and CrossNAS's search for a network on handwritten digits, with the measured
accuracies of all networks of the space (`ACCURACIES`) and the EDP of the planar chip.

For each problem and measure, the screened optimisers are compared with the optimiser of the highest median of all at
1,000 evaluations without a screen: two-sided Mann-Whitney test, adjusted by Holm's rule over all of these tests, and
A12, the probability that a screened run is better. Of the screened runs the processor time is shown, the rank
correlation on held-out designs, and the share of the evaluations that was screened.

Settings of the surrogate were chosen on runs with the seeds 101 to 106, which are not among those compared.
``--json FILE`` keeps the results of all runs; the benchmark goes on from there.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import search
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from search import BUDGETED, FLOOR, SEEDS, Array, Case, box

from moopim import DesignProblem, Objective
from moopim.algorithms.registry import ALGORITHMS, make_algorithm
from moopim.algorithms.screening import Screen, prepare
from moopim.analysis import a12, holm
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.files import write_atomically
from moopim.genome import Designs
from moopim.pareto import normalised_hypervolume
from moopim.problems.benchmarks import Knapsack
from moopim.problems.crossnas import CrossNasSpace
from moopim.problems.crossnas.simulators import PlanarSimulator, hardware_metrics
from moopim.problems.crossnas.space import layer_features

SCREENED = ("semo", "amosa", "nsga2-hv")
LEFT_OUT = ("amosa-paper", "pls")  # never among the best with so few evaluations
SHORT, LONG = 500, 1_000
ACCURACIES = Path(__file__).with_name("screen_accuracies.json")
CHIP = {"crossbar": (128,), "adc_bits": (8,), "dac_bits": (1,), "weight_bits": (9,), "activation_bits": (9,)}


class DigitsSearch(DesignProblem):
    """CNN for digits of up to four blocks, by measured error and EDP; 7,299 networks.

    `ACCURACIES` holds the validation images that each network classifies wrongly with the weights of one supernet, in
    the order of the networks' genes (`measure_accuracies`). The error is that of Laplace's rule, which is never 0.
    """

    objectives = (Objective("error"), Objective("edp", "mJ ms"))

    def __init__(self) -> None:
        self.space = CrossNasSpace(max_blocks=4, channels=(16, 32, 64), size=8, image_channels=1, **CHIP)
        self.genome = self.space.genome
        if not ACCURACIES.exists():
            measure_accuracies()
        stored = json.loads(ACCURACIES.read_text())
        self.images: int = stored["images"]
        wrong = zip(networks(self.space).tolist(), stored["wrong"], strict=True)
        self.wrong = {tuple(genes): number for genes, number in wrong}
        self._simulator = PlanarSimulator("paper")
        super().__init__()

    def repair_designs(self, X: NDArray[np.int64]) -> NDArray[np.int64]:
        """Genes without effect get one value, shape ``(pop, n_genes)``."""
        return self.space.canonical(X)

    def surrogate_features(self, designs: Designs) -> Array:
        """Sizes of the layers, those of the problem `crossnas-architecture`."""
        return layer_features(self.space.layer_table(designs))

    def evaluate_designs(self, designs: Designs) -> dict[str, Array]:
        """The objectives, shape ``(designs,)`` each."""
        wrong = np.array([self.wrong[tuple(genes)] for genes in designs.genes.tolist()])
        found = hardware_metrics(self._simulator, self.space.layer_table(designs), self.space.chip_parameters(designs))
        return {"error": (wrong + 1) / (self.images + 2), "edp": found["energy"] * found["latency"]}


def networks(space: CrossNasSpace) -> NDArray[np.int64]:
    """Genes of all networks of a space, in ascending order, shape ``(networks, n_genes)``."""
    return np.unique(space.canonical(space.genome.unrank(np.arange(space.genome.size))), axis=0)


def measure_accuracies() -> None:
    """Train the supernet of CrossNAS's demo and count the wrong images of every network; ten minutes, needs torch."""
    from moopim.problems.crossnas import ArchitectureSearch, Pipeline, Settings

    with TemporaryDirectory() as folder:
        Pipeline(Settings(Path(folder), preset="demo"), asked=("supernet",)).run()
        problem = ArchitectureSearch(f"{folder}/supernet/supernet.safetensors", calibration=256)
        accuracy = problem.tabulate(networks(problem.space))[:, 0]
        images = len(problem._accuracies._data.validation.labels)
    wrong = np.rint((1 - accuracy) * images).astype(int).tolist()
    write_atomically(ACCURACIES, json.dumps({"images": images, "wrong": wrong}) + "\n")


NAMES = ("hunt-vgg11", "hunt-resnet34", "crossnas-digits", "knapsack", "mnk", "assignment")
search.CASES |= {"knapsack": Case(Knapsack, False), "crossnas-digits": Case(DigitsSearch, True)}


class Task(NamedTuple):
    """One run."""

    problem: str
    optimiser: str
    screen: bool
    evaluations: int
    seed: int


@cache
def made(name: str) -> DesignProblem:
    """Problem of a name, made once in each process."""
    return search.CASES[name].make()


def perform(task: Task) -> list[dict[str, object]]:
    """Rows of a run: hypervolumes, processor time (s), share of screened evaluations, rank correlation.

    A run that does not depend on its budget has a row for the first evaluations, too.
    """
    problem, (ideal, nadir) = made(task.problem), box(task.problem)
    begun = time.process_time()
    evaluator, screen = Evaluator(problem), Screen(problem, task.seed) if task.screen else None
    optimiser = make_algorithm(task.optimiser, problem, task.evaluations)
    if screen is not None:
        prepare(optimiser, problem, task.evaluations, task.optimiser)
    optimise(evaluator, optimiser, task.evaluations, task.seed, lambda *_: None, screen)
    seconds = round(time.process_time() - begun, 2)
    table = np.concatenate([batch.table for batch in evaluator.batches])
    rows = []
    for n in dict.fromkeys([SHORT, LONG] if is_split(task) else [task.evaluations]):
        F = problem.objective_values(table[:n])[problem.feasible(table[:n])]
        row = task._asdict() | {"evaluations": n, "seconds": seconds, "plain": normalised_hypervolume(F, ideal, nadir)}
        if search.CASES[task.problem].logarithms:
            logarithms = (np.log10(np.maximum(x, FLOOR)) for x in (F, ideal, nadir))
            row["log"] = normalised_hypervolume(*logarithms)
        if screen is not None:
            row |= {"screened": screen.n_screened / len(table), "correlation": round(screen.correlation, 3)}
        rows.append(row)
    return rows


def is_split(task: Task) -> bool:
    """Whether a run is measured after the smaller number of evaluations, too."""
    return not task.screen and task.optimiser not in BUDGETED


def tasks(names: Sequence[str], optimisers: Sequence[str], screened: Sequence[str], seeds: int) -> Iterator[Task]:
    """Yield all runs, five seeds of everything before the next five."""
    for first in range(1, seeds + 1, 5):
        for problem, seed in itertools.product(names, range(first, min(first + 5, seeds + 1))):
            yield from (Task(problem, name, True, SHORT, seed) for name in screened)
            yield from (Task(problem, name, False, LONG, seed) for name in optimisers)
            yield from (Task(problem, name, False, SHORT, seed) for name in optimisers if name in BUDGETED)


def report(rows: pd.DataFrame) -> None:
    """Print a table of each measure and one of the screens."""
    rows = rows.assign(run=rows["optimiser"] + np.where(rows["screen"], " --screen", ""))
    tests, p_values = [], []
    for value in ("plain", "log"):
        for problem in NAMES:
            some = rows[rows["problem"] == problem].dropna(subset=[value])
            medians = some.groupby(["screen", "evaluations", "run"])[value].median()
            if not {(True, SHORT), (False, LONG)} <= set(medians.index.droplevel("run")):
                continue
            best = {n: medians[False, n].idxmax() for n in (SHORT, LONG)}
            rival = some[(some["run"] == best[LONG]) & (some["evaluations"] == LONG)][value].to_numpy(float)
            for run, median in medians[True, SHORT].items():
                values = some[some["run"] == run][value].to_numpy(float)
                p_values.append(float(mannwhitneyu(values, rival).pvalue))
                cells = [problem, value, *(f"{best[n]} {medians[False, n].max():.4f}" for n in (SHORT, LONG))]
                tests.append([*cells, run, f"{median:.4f}", f"{a12(values, rival):.2f}"])
    columns = [
        "problem",
        "measure",
        f"best at {SHORT}",
        f"best at {LONG}",
        "screened",
        f"at {SHORT}",
        "A12",
        "p (Holm)",
    ]
    rated = [[*cells, f"{p:.2g}"] for cells, p in zip(tests, holm(np.array(p_values)), strict=True)]
    print(pd.DataFrame(rated, columns=columns).to_string(index=False))
    screens = rows[rows["screen"]].groupby(["problem", "run"])[["correlation", "screened", "seconds"]].median()
    print(f"\nmedians of screened runs\n{screens.round(2).to_string()}")


def main() -> None:
    """Run what the results lack and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two problems, three optimisers, 3 seeds")
    parser.add_argument("--json", type=Path, help="keep the results here")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--screened", default=",".join(SCREENED), help="optimisers to screen, separated by commas")
    options = parser.parse_args()
    names, screened, seeds = NAMES, options.screened.split(","), options.seeds
    optimisers = tuple(name for name in ALGORITHMS if name not in LEFT_OUT)
    if options.quick:
        names, optimisers, screened, seeds = ("hunt-vgg11", "knapsack"), ("semo", "nsga2", "random"), ["semo"], 3
    for name in names:
        box(name)
    stored = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    known = {tuple(row[name] for name in Task._fields) for row in stored}
    missing = [task for task in tasks(names, optimisers, screened, seeds) if task not in known]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(perform, task) for task in missing]
        for i, done in enumerate(as_completed(waiting), 1):
            stored += done.result()
            if options.json and (i % 20 == 0 or i == len(waiting)):
                write_atomically(options.json, json.dumps(stored) + "\n")
    report(pd.DataFrame(stored).astype({"plain": float, "log": float}))


if __name__ == "__main__":
    main()
