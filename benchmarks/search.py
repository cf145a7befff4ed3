"""Hypervolume that the optimisers reach, by problem and number of evaluations; tests of `amosa` against the others.

    python benchmarks/search.py [--quick] [--json FILE] [--only NAMES] [--seeds N] [--jobs N] [--report]

Each optimiser runs on seven problems with 500, 2,000, 5,000 and 20,000 evaluations and 15 seeds. The hypervolume is
that of all feasible designs that were evaluated, as a share of the box from the ideal point to the nadir point plus a
tenth of the range; designs better than the ideal point count in full, so that it may exceed 1. Objectives to be
maximised are negated. The ideal and the nadir point of a problem are those of the non-dominated designs of reference
runs: `REFERENCES`, 20,000 evaluations, two seeds that the comparison does not use. `BOXES` holds them; delete an entry
where its problem has changed, and it is made again.

The logarithmic hypervolume is that of log10 of all objectives, in the box of the logarithms. Values below 1e-6 count as
1e-6, of which there are only those of HuNT's error, which is 0 for many mappings. Problems whose objectives are
maximised or are sums from 0 (mnk, assignment) have only the plain one.

For each measure and each cell, a problem with a budget, `amosa` is compared with the other optimiser of the highest
median and with random search: two-sided Mann-Whitney test, adjusted by Holm's rule over the cells of the measure, and
A12, the probability that a run of `amosa` is better. `topk` is left out: it searches for the best of one weighted sum.

Optimisers that do not ask for the budget (all but `BUDGETED`) run once to the largest budget: their first evaluations
are those of shorter runs (of `moead`, whose generations do not divide the budgets, up to the last generation). ``--json
FILE`` keeps the results of all runs; the benchmark goes on from there. ``--only`` repeats the runs of the named
optimisers. ``--report`` runs nothing, and puts the tables of the results into `PAGE`.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymoo.core.algorithm import Algorithm
from scipy.stats import mannwhitneyu

from moopim import DesignProblem, Genome, Objective
from moopim.algorithms.registry import ALGORITHMS, make_algorithm
from moopim.analysis import a12, holm
from moopim.evaluator import Evaluator
from moopim.experiment.running import optimise
from moopim.files import write_atomically
from moopim.genes import Choice
from moopim.genome import Designs
from moopim.messages import count
from moopim.network.subnets import Block, network_layers
from moopim.pareto import ideal_nadir, non_dominated, normalised_hypervolume
from moopim.problems.benchmarks import Assignment, MnkLandscape
from moopim.problems.crossnas import HardwareSearch
from moopim.problems.crossnas.simulators import PlanarSimulator, hardware_metrics
from moopim.problems.crossnas.space import CIRCUIT
from moopim.problems.hunt import HuntMapping

Array = NDArray[np.float64]
Factory = Callable[[DesignProblem, int], Algorithm]

BUDGETS = (500, 2_000, 5_000, 20_000)
SEEDS = 15
NETWORK = (Block("RES", 16), Block("VGG", 32))
PAGE = Path(__file__).parents[1] / "docs" / "optimisers.md"
BEGIN, END = "<!-- search: begin -->", "<!-- search: end -->"
BOXES = Path(__file__).with_name("search_boxes.json")
ACCURACIES = Path(__file__).with_name("search_accuracies.json")
REFERENCES = ("nsga2-hv", "ibea", "semo", "random")
REFERENCE_SEEDS = (1001, 1002)
FLOOR = 1e-6  # of logarithms
# Their set-up or course depends on the budget.
BUDGETED = ("amosa", "amosa-paper", "nsga2-hv", "rvea")
LEFT_OUT = ("topk",)


class CrossNasQuantisation(DesignProblem):
    """Bits of the layers of a network for digits, and its circuit, with measured accuracies.

    `ACCURACIES` holds the images that the network classifies wrongly on each circuit with all layers at 8 bits, and
    with another pair of widths in one layer (`measure_accuracies`). What the layers add is summed. The error is that
    of Laplace's rule, which is never 0: (wrong + 1) / (images + 2).
    """

    objectives = (Objective("error"), Objective("energy", "mJ"), Objective("latency", "ms"))
    widths = (2, 3, 4, 6, 8)
    circuits: Mapping[str, tuple[int, ...]] = {"crossbar": (64, 128, 256), "adc_bits": (4, 6, 8), "dac_bits": (1, 2)}

    def __init__(self) -> None:
        if not ACCURACIES.exists():
            measure_accuracies()
        stored = json.loads(ACCURACIES.read_text())
        self.images: int = stored["images"]
        self.layers: list[str] = stored["layers"]
        wrong = np.array(stored["wrong"], dtype=float)  # (circuits, layers, pairs of widths); the last pair is 8, 8
        self.base, self.added = wrong[:, 0, -1], wrong - wrong[:, :1, -1:]
        self.table = network_layers(NETWORK, (1, 8, 8), 10)
        self.columns = [self.table.names.index(name) for name in self.layers]
        self._simulator = PlanarSimulator("paper")
        n = len(self.layers)
        self.genome = Genome(
            Choice("weight_bits", self.widths, n),
            Choice("activation_bits", self.widths, n),
            *(Choice(name, values) for name, values in self.circuits.items()),
        )
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, Array]:
        """The objectives, shape ``(designs,)`` each."""
        n, genes = len(self.layers), designs.genes.astype(np.int64)
        circuit = np.ravel_multi_index(tuple(genes[:, 2 * n :].T), [len(values) for values in self.circuits.values()])
        pairs = genes[:, :n] * len(self.widths) + genes[:, n : 2 * n]
        wrong = self.base[circuit] + self.added[circuit[:, None], np.arange(n), pairs].sum(axis=1)
        bits = np.ones((2, len(designs), self.table.layers), dtype=np.int64)
        bits[0][:, self.columns], bits[1][:, self.columns] = designs.weight_bits, designs.activation_bits
        chosen = {name: designs[name] for name in CIRCUIT}
        found = hardware_metrics(self._simulator, self.table.with_bits(*bits), chosen)
        error = (wrong.clip(0, self.images) + 1) / (self.images + 2)
        return {"error": error, "energy": found["energy"], "latency": found["latency"]}


def measure_accuracies() -> None:
    """Train the network of `CrossNasQuantisation` and count wrong validation images; minutes, needs torch."""
    import torch

    from moopim.network.blocks import make_network
    from moopim.network.calibration import calibration_images
    from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies
    from moopim.network.datasets import load_data
    from moopim.network.quantisation import calibrate, quantise_module, quantised_layers, sampling_forward
    from moopim.network.training import fit

    torch.set_num_threads(1)
    data = load_data("digits")
    network = make_network(NETWORK, data.image_shape, data.classes, seed=1)
    fit(network, data, "digits-float")
    net = quantise_module(network, data.image_shape)
    images = calibration_images(data, 128)
    calibrate(net, images)
    fit(net, data, "digits-qat", forward=sampling_forward(CrossNasQuantisation.widths))
    layers, n_images, wrong = list(quantised_layers(net)), len(data.validation.labels), []
    pairs = list(itertools.product(CrossNasQuantisation.widths, repeat=2))
    for rows, adc, dac in itertools.product(*CrossNasQuantisation.circuits.values()):
        circuit = Circuit(rows=rows, adc_bits=adc, dac_bits=dac, adc_range="output")
        designs = []
        for layer, (weight, activation) in itertools.product(range(len(layers)), pairs):
            bits = np.full((2, len(layers)), CrossNasQuantisation.widths[-1])
            bits[:, layer] = weight, activation
            designs.append(CrossbarDesign(tuple(bits[0].tolist()), tuple(bits[1].tolist()), circuit))
        accuracies = crossbar_accuracies(net, designs, data.validation, images)
        wrong.append(np.rint((1 - accuracies) * n_images).astype(int).reshape(len(layers), -1).tolist())
    write_atomically(ACCURACIES, json.dumps({"images": n_images, "layers": layers, "wrong": wrong}) + "\n")


class Case(NamedTuple):
    """A problem, and whether it is compared by the logarithms of its objectives, too."""

    make: Callable[[], DesignProblem]
    logarithms: bool


# The cheapest first.
CASES = {
    "mnk": Case(lambda: MnkLandscape(m=3, n=40, k=2, q=4), False),
    "assignment": Case(lambda: Assignment(n=30), False),
    "crossnas-quantisation": Case(CrossNasQuantisation, True),
    "hunt-vgg11": Case(lambda: HuntMapping("vgg11"), True),
    "hunt-resnet34": Case(lambda: HuntMapping("resnet34"), True),
    "hunt-densenet40": Case(lambda: HuntMapping("densenet40"), True),
    "crossnas-hardware": Case(HardwareSearch, True),
}


def named(name: str) -> Factory:
    """Factory of an optimiser of the registry, from problem and budget."""
    return lambda problem, evaluations: make_algorithm(name, problem, evaluations)


def evaluated(problem: DesignProblem, factory: Factory, budget: int, seed: int) -> Array:
    """Objectives of everything that a run evaluates, infinite where infeasible; shape ``(designs, n_obj)``."""
    evaluator = Evaluator(problem)
    optimise(evaluator, factory(problem, budget), budget, seed, lambda *_: None)
    table = np.concatenate([batch.table for batch in evaluator.batches])
    return np.where(problem.feasible(table)[:, None], problem.objective_values(table), np.inf)


def box(name: str) -> tuple[Array, Array]:
    """Ideal and nadir point of a problem, shape ``(n_obj,)`` each, from `BOXES`, where they are added if missing."""
    boxes = json.loads(BOXES.read_text()) if BOXES.exists() else {}
    if name not in boxes:
        problem = CASES[name].make()
        runs = [
            evaluated(problem, named(optimiser), BUDGETS[-1], seed)
            for optimiser, seed in itertools.product(REFERENCES, REFERENCE_SEEDS)
        ]
        ideal, nadir = ideal_nadir(np.concatenate(runs))
        boxes[name] = {"ideal": ideal.tolist(), "nadir": nadir.tolist()}
        write_atomically(BOXES, json.dumps(boxes, indent=2) + "\n")
    return np.array(boxes[name]["ideal"]), np.array(boxes[name]["nadir"])


def measure(name: str, factory: Factory, budgets: Sequence[int], seed: int) -> dict[int, tuple[float, float]]:
    """Plain and logarithmic hypervolume (NaN if there is none) after each budget, of one run to the last budget."""
    case, (ideal, nadir) = CASES[name], box(name)
    F = evaluated(case.make(), factory, budgets[-1], seed)
    front, found = F[:0], {}
    for start, end in itertools.pairwise([0, *budgets]):
        front = np.concatenate([front, F[start:end]])
        front = front[non_dominated(front)]
        logarithmic = math.nan
        if case.logarithms:
            logarithmic = normalised_hypervolume(*(np.log10(np.maximum(x, FLOOR)) for x in (front, ideal, nadir)))
        found[end] = normalised_hypervolume(front, ideal, nadir), logarithmic
    return found


class Task(NamedTuple):
    """One run, and the budgets to measure it at."""

    problem: str
    optimiser: str
    seed: int
    budgets: tuple[int, ...]


def perform(task: Task) -> list[dict[str, object]]:
    """Rows of the results of a run, one per budget, with its time (s)."""
    begun = time.perf_counter()
    found = measure(task.problem, named(task.optimiser), task.budgets, task.seed)
    seconds = round(time.perf_counter() - begun, 2)
    return [
        {"problem": task.problem, "optimiser": task.optimiser, "budget": budget, "seed": task.seed}
        | {"plain": plain, "log": None if math.isnan(log) else log, "seconds": seconds}
        for budget, (plain, log) in found.items()
    ]


def tasks(
    problems: Sequence[str], optimisers: Sequence[str], budgets: Sequence[int], seeds: int, rows: pd.DataFrame
) -> Iterator[Task]:
    """Yield the runs that the results lack, five seeds of everything before the next five."""
    known = set(zip(*(rows[column] for column in ("problem", "optimiser", "budget", "seed")), strict=True))
    for first in range(1, seeds + 1, 5):
        block = range(first, min(first + 5, seeds + 1))
        for problem, optimiser, seed in itertools.product(problems, optimisers, block):
            missing = tuple(b for b in budgets if (problem, optimiser, b, seed) not in known)
            runs = [(budget,) for budget in missing] if optimiser in BUDGETED else [missing] if missing else []
            yield from (Task(problem, optimiser, seed, run) for run in runs)


def framed(stored: list[dict[str, object]]) -> pd.DataFrame:
    """Results as a frame, one row per run and budget."""
    columns = ["problem", "optimiser", "budget", "seed", "plain", "log", "seconds"]
    return pd.DataFrame(stored, columns=columns).astype({"plain": float, "log": float})


# Tables -------------------------------------------------------------------------------------------------------------


def cells(rows: pd.DataFrame, value: str) -> Iterator[tuple[tuple[str, int], dict[str, Array]]]:
    """Yield the cells that have `value`, problem and budget, with the values of each optimiser, shape ``(seeds,)``."""
    for problem, budget in itertools.product(CASES, BUDGETS):
        cell = rows[(rows["problem"] == problem) & (rows["budget"] == budget)].dropna(subset=[value])
        if len(cell):
            yield (problem, budget), {str(n): g[value].to_numpy(float) for n, g in cell.groupby("optimiser")}


def compared(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """`amosa` against the best other optimiser and against random search in each cell; empty without its runs."""
    found = []
    for (problem, budget), values in cells(rows, value):
        others = {name: float(np.median(sample)) for name, sample in values.items() if name != "amosa"}
        if "amosa" not in values or not others:
            continue
        best = max(others, key=others.__getitem__)
        row: dict[str, object] = {"problem": problem, "budget": budget, "best": best}
        row["difference"] = float(np.median(values["amosa"])) - others[best]
        for against, name in (("best", best), ("random", "random")):
            if name in values:
                p = float(mannwhitneyu(values["amosa"], values[name], alternative="two-sided").pvalue)
                row |= {f"p_{against}": 1.0 if math.isnan(p) else p}
                row |= {f"a12_{against}": a12(values["amosa"], values[name])}
        found.append(row)
    table = pd.DataFrame(found)
    for column in [name for name in table.columns if name.startswith("p_")]:
        table[column] = holm(table[column])
    return table


def medians(rows: pd.DataFrame, value: str) -> list[str]:
    """Markdown table of the medians, the best bold, with the test of `amosa` against the best other optimiser."""
    names = [name for name in ALGORITHMS if name in set(rows["optimiser"])]
    tests = compared(rows, value)
    verdicts = {(t["problem"], t["budget"]): t for _, t in tests.iterrows()}
    head = ["problem", "budget", *names, *(["p", "A12"] if verdicts else [])]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (problem, budget), values in cells(rows, value):
        middle = {name: f"{np.median(sample):.4f}" for name, sample in values.items()}
        best = max(middle.values())
        shown = [f"**{middle[n]}**" if middle.get(n) == best else middle.get(n, "") for n in names]
        if verdicts:
            test = verdicts.get((problem, budget))
            shown += ["", ""] if test is None else [f"{test['p_best']:.2g}", f"{test['a12_best']:.2f}"]
        lines.append(f"| {problem} | {budget:,} | {' | '.join(shown)} |")
    return [*lines, "", *sentences(tests)]


def sentences(tests: pd.DataFrame) -> list[str]:
    """Where `amosa` is worse or better than the best other optimiser, and where not better than random search."""
    if tests.empty:
        return []
    significant, lines = tests["p_best"] < 0.05, []
    for word, chosen in (("better", tests["a12_best"] > 0.5), ("worse", tests["a12_best"] < 0.5)):
        where = [f"{t['problem']} {t['budget']:,}" for _, t in tests[significant & chosen].iterrows()]
        lines.append(f"`amosa` is {word} than the best other optimiser (p < .05) in {len(where)} of {len(tests)} cells")
        lines[-1] += f": {', '.join(where)}." if where else "."
    if "p_random" in tests:
        short = tests[(tests["p_random"] >= 0.05) | (tests["a12_random"] < 0.5)]
        where = [f"{t['problem']} {t['budget']:,}" for _, t in short.iterrows()]
        lines.append(f"It is better than random search in all cells{' but ' if where else ''}{', '.join(where)}.")
    return lines


def ranks(rows: pd.DataFrame) -> list[str]:
    """Markdown table of the mean rank of each optimiser by budget, 1 for the highest median."""
    columns = {}
    for value, budget in itertools.product(("plain", "log"), BUDGETS):
        places = [
            pd.Series({name: np.median(sample) for name, sample in values.items()}).rank(ascending=False)
            for (_, cell_budget), values in cells(rows, value)
            if cell_budget == budget
        ]
        columns[f"{value} {budget:,}"] = pd.concat(places, axis=1).mean(axis=1) if places else pd.Series(dtype=float)
    table = pd.DataFrame(columns).dropna(axis=1, how="all")
    table = table.loc[table.mean(axis=1).sort_values().index]
    lines = [f"| optimiser | {' | '.join(table.columns)} |", "|---" * (len(table.columns) + 1) + "|"]
    return lines + [
        f"| `{name}` | {' | '.join('' if math.isnan(x) else f'{x:.1f}' for x in row)} |"
        for name, row in table.iterrows()
    ]


def report(rows: pd.DataFrame) -> str:
    """The tables in Markdown."""
    parts = [runs(rows), "", "Mean rank of the median over the problems, by measure and evaluations:", "", *ranks(rows)]
    for value, title in (("plain", "Hypervolume"), ("log", "Hypervolume of the logarithms")):
        if rows[value].notna().any():
            parts += ["", f"{title}; p and A12 of `amosa` against the best other optimiser:", "", *medians(rows, value)]
    return "\n".join(parts) + "\n"


def runs(rows: pd.DataFrame) -> str:
    """Number of runs by budget and optimiser, the least over the problems, in words."""
    counts = rows.groupby(["problem", "optimiser", "budget"])["seed"].nunique().unstack("problem").min(axis=1)
    parts = []
    for budget, column in counts.astype(int).groupby("budget"):
        numbers = column.droplevel("budget").sort_values(ascending=False)
        groups = list(numbers.groupby(numbers, sort=False))
        names = [f" ({', '.join(sorted(group.index))})" if len(groups) > 1 else "" for _, group in groups]
        words = [count(n, "run") + who for (n, _), who in zip(groups, names, strict=True)]
        parts.append(f"{budget:,} evaluations: {'; '.join(words)}")
    return ". ".join(parts) + "."


def spread(rows: pd.DataFrame) -> str:
    """Median and quartiles of every optimiser in every cell, as text."""
    groups = rows.groupby(["problem", "budget", "optimiser"], sort=False)
    parts = {
        f"{value} {name}": groups[value].quantile(q)
        for value in ("plain", "log")
        for name, q in (("median", 0.5), ("q25", 0.25), ("q75", 0.75))
    }
    table = pd.DataFrame(parts).assign(runs=groups.size(), seconds=groups["seconds"].median())
    return table.to_string(float_format=lambda value: f"{value:.4f}", na_rep="")


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two problems, three optimisers, 500 and 2,000, 3 seeds")
    parser.add_argument("--json", type=Path, help="results: read, continued and written")
    parser.add_argument("--only", help="optimisers to run, also where the results have them, such as amosa,ibea")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--report", action="store_true", help="put the tables of --json into the docs, run nothing")
    options = parser.parse_args()
    problems, budgets, seeds = list(CASES), BUDGETS, options.seeds
    optimisers: Sequence[str] = [name for name in ALGORITHMS if name not in LEFT_OUT]
    if options.quick:
        problems, optimisers, budgets, seeds = ["mnk", "hunt-resnet34"], ["amosa", "nsga2-hv", "random"], BUDGETS[:2], 3
    stored = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    if options.report:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text[: text.index(BEGIN)], text[text.index(END) :]
        PAGE.write_text(f"{before}{BEGIN}\n{report(framed(stored))}{after}", encoding="utf-8")
        return
    if options.only:
        optimisers = options.only.split(",")
        stored = [row for row in stored if row["optimiser"] not in optimisers]
    for name in problems:
        box(name)
    waiting = list(tasks(problems, optimisers, budgets, seeds, framed(stored)))
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        futures = [pool.submit(perform, task) for task in waiting]
        for future in as_completed(futures):
            stored += future.result()
            if options.json:
                write_atomically(options.json, json.dumps(stored, indent=0) + "\n")
    rows = framed(stored)
    print(spread(rows), "\n")
    print(report(rows))


if __name__ == "__main__":
    main()
