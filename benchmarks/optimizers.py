"""Speed of the optimisers, and the hypervolume that they reach with equal evaluations.

    python benchmarks/optimizers.py [--quick] [--json FILE]

Two problems: a free one (40 genes of 16 values, 4 objectives, a matrix product), which shows the cost of the optimisers
themselves, and HuNT's mapping of ResNet34. AMOSA runs as published with 1, 16, 64 and 256 chains and in its recommended
preset, NSGA-II with moopim's integer operators and as pymoo sets it up, with rounding. One thread, one seed.

The package pyamosa is measured beside them where it can be imported. It turns warnings into errors and writes files
into the working directory, so it belongs into an environment of its own:

    python -m venv peers && peers/bin/pip install -e . pyamosa && peers/bin/python benchmarks/optimizers.py

Hypervolumes are those of the returned sets, at most 100 designs, in the box of all of them (reference 1.1).

A third problem has ten objectives, where exact hypervolumes take hours: it shows the time of the optimisers that
select by hypervolume, beside that of NSGA-II.

Last come the time of the greedy hypervolume truncation alone, and time and memory of a long run of the free problem
with its log and files, in a process of its own.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.algorithm import Algorithm
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

import moopim
from moopim import DesignProblem, Genome, Index, Objective, pareto
from moopim.algorithms.amosa import AMOSA
from moopim.algorithms.registry import make_algorithm
from moopim.algorithms.truncation import greedy_hypervolume
from moopim.genome import Designs
from moopim.operators import DesignRepair, Perturbation, RandomSampling
from moopim.problems.hunt import HuntMapping

SEED = 1
PEER = "pyamosa"
STOCK = "pymoo NSGA-II"


@dataclass(frozen=True)
class Measured:
    """One run: number of evaluations, seconds, objectives of the returned designs ``(designs, objectives)``."""

    evaluations: int
    seconds: float
    front: NDArray[np.float64]

    @property
    def rate(self) -> float:
        """Evaluations per second."""
        return self.evaluations / self.seconds


class Free(DesignProblem):
    """Four weighted squared distances to as many random designs; costs next to nothing."""

    genome = Genome(Index("gene", 16, repeat=40))
    objectives = tuple(Objective(name, "1") for name in ("f1", "f2", "f3", "f4"))

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        weight, target = rng.random((40, 4)) ** 3, rng.integers(0, 16, (40, 4))
        self.square, self.linear, self.constant = weight, -2 * weight * target, (weight * target**2).sum(axis=0)

    def evaluate_designs(self, designs: Designs) -> dict[str, NDArray[np.float64]]:
        """The four distances of each design, shape ``(designs,)`` each."""
        x = designs.indices("gene").astype(float)
        distance = (x * x) @ self.square + x @ self.linear + self.constant
        return {objective.name: distance[:, k] for k, objective in enumerate(self.objectives)}


class Ten(DesignProblem):
    """Ten objectives of twelve genes of 41 values; costs next to nothing."""

    genome = Genome(Index("gene", 41, repeat=12))
    objectives = tuple(Objective(f"f{k}", "1") for k in range(10))

    def evaluate_designs(self, designs: Designs) -> dict[str, NDArray[np.float64]]:
        """A square and a product of neighbouring genes, shape ``(designs,)`` each."""
        x = designs.indices("gene") / 40
        return {f"f{k}": (x[:, k] - 0.3) ** 2 + x[:, (k + 1) % 12] * x[:, (k + 2) % 12] for k in range(10)}


def chains(n: int) -> Callable[[DesignProblem, int], Algorithm]:
    """AMOSA as published but for the number of chains; about 1,600 proposals per iteration of pymoo."""

    def make(problem: DesignProblem, evaluations: int) -> Algorithm:
        operators = {"sampling": RandomSampling(), "mutation": Perturbation(), "repair": DesignRepair()}
        return AMOSA(chains=n, steps_per_iteration=max(1, 1600 // n), **operators)

    return make


def stock_nsga2(problem: DesignProblem, evaluations: int) -> Algorithm:
    """NSGA-II of pymoo with its own operators, rounded."""
    return NSGA2(pop_size=100, sampling=IntegerRandomSampling(), repair=RoundingRepair())


ALGORITHMS: dict[str, Callable[[DesignProblem, int], Algorithm]] = {
    "AMOSA, 1 chain": chains(1),
    "AMOSA, 16 chains": chains(16),
    "AMOSA, 64 chains": chains(64),
    "AMOSA, 256 chains": chains(256),
    "AMOSA, preset mapping": lambda problem, evaluations: make_algorithm("amosa", problem, evaluations),
    "NSGA-II": lambda problem, evaluations: make_algorithm("nsga2", problem, evaluations),
    STOCK: stock_nsga2,
}


def measure(name: str, problem: DesignProblem, evaluations: int) -> Measured:
    """Runs one optimiser of `ALGORITHMS`."""
    algorithm = ALGORITHMS[name](problem, evaluations)
    begun = time.perf_counter()
    result = minimize(problem, algorithm, ("n_eval", evaluations), seed=SEED)
    return Measured(result.algorithm.evaluator.n_eval, time.perf_counter() - begun, result.F)


def measure_peer(problem: DesignProblem, evaluations: int) -> Measured:
    """Runs pyamosa with the settings of AMOSA as published, in an empty directory, its cache of results on disk off."""
    with warnings.catch_warnings():
        import pyamosa

        class Peer(pyamosa.Problem):
            count = 0

            def evaluate(self, x: list[int], out: dict[str, object]) -> None:
                self.count += 1
                F = problem.evaluate(problem.repair_designs(np.array([x])), return_values_of=["F"])
                out["f"] = np.nan_to_num(F[0], posinf=1e9).tolist()

            def load_cache(self, directory: str) -> None: ...

            def store_cache(self, directory: str) -> None: ...

        n_initial, n_climb, n_levels = 200, 10, 97
        settings = {
            "archive_hard_limit": 100,
            "archive_soft_limit": n_initial,
            "archive_gamma": 1,
            "hill_climbing_iterations": n_climb,
            "initial_temperature": 200,
            "cooling_factor": 0.8,
            "annealing_iterations": max(1, (evaluations - n_initial * (1 + n_climb)) // n_levels),
            "multiprocessing_enabled": False,
        }
        integer, upper = [pyamosa.Type.INTEGER] * problem.n_var, [int(u) + 1 for u in problem.xu]
        random.seed(SEED)
        with silence_in_empty_directory():
            peer = Peer(problem.n_var, integer, [0] * problem.n_var, upper, problem.n_obj, 0)
            optimiser = pyamosa.Optimizer(pyamosa.Config(**settings))
            begun = time.perf_counter()
            optimiser.run(peer, pyamosa.StopMinTemperature(1e-7))
            seconds = time.perf_counter() - begun
    return Measured(peer.count, seconds, np.array(optimiser.archive.get_front()))


@contextlib.contextmanager
def silence_in_empty_directory() -> Iterator[None]:
    """For code that prints and writes where it runs."""
    with (
        tempfile.TemporaryDirectory() as directory,
        contextlib.chdir(directory),
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def compare(label: str, problem: DesignProblem, speed_budget: int, budget: int, peer: bool) -> dict[str, float]:
    """Measures all optimisers on one problem and prints a table.

    Args:
        label: Name of the problem, for the table and the numbers.
        problem: The problem.
        speed_budget: Evaluations of the timed runs; pyamosa is timed over `budget`, since it is slow.
        budget: Evaluations of the runs whose hypervolume is compared.
        peer: Whether to run pyamosa too.

    Returns:
        Named numbers.
    """
    runs = {name: measure(name, problem, budget) for name in ALGORITHMS}
    timed = {name: measure(name, problem, speed_budget) for name in ALGORITHMS}
    if peer:
        runs = runs | {PEER: measure_peer(problem, budget)}
        timed = timed | {PEER: runs[PEER]}
    ideal, nadir = pareto.ideal_nadir(np.concatenate([run.front for run in runs.values()]))
    print(f"\n{label}: timed over {speed_budget:,} evaluations, hypervolume after {budget:,}")
    print(f"{'':24}{'evals/s':>10}{'us/eval':>10}{'x ' + STOCK:>18}{'x ' + PEER:>12}{'hypervolume':>14}")
    numbers: dict[str, float] = {}
    for name, run in timed.items():
        volume = pareto.normalised_hypervolume(runs[name].front, ideal, nadir)
        over_stock, over_peer = (run.rate / timed[other].rate if other in timed else None for other in (STOCK, PEER))
        print(
            f"{name:24}{run.rate:10,.0f}{1e6 / run.rate:10.1f}{over_stock:18.2f}"
            f"{'-' if over_peer is None else f'{over_peer:.1f}':>12}{volume:14.4f}"
        )
        key = f"{label}_{name.lower().replace(', ', '_').replace(' ', '_').replace('-', '')}"
        numbers |= {f"{key}_evals_per_s": run.rate, f"{key}_hypervolume": volume, f"{key}_over_pymoo_nsga2": over_stock}
        if over_peer is not None:
            numbers[f"{key}_over_pyamosa"] = over_peer
    return numbers


def many_objectives(evaluations: int = 5_000) -> dict[str, float]:
    """Times optimisers by name on ten objectives and prints a table; returns named numbers."""
    print(f"\nten objectives: {evaluations:,} evaluations")
    numbers = {}
    for name in ("amosa", "nsga2-hv", "smsemoa", "nsga2"):
        problem = Ten()
        begun = time.perf_counter()
        minimize(problem, make_algorithm(name, problem, evaluations), ("n_eval", evaluations), seed=SEED)
        numbers[f"ten_{name.replace('-', '')}_seconds"] = seconds = time.perf_counter() - begun
        print(f"{name:24}{seconds:8.1f} s")
    return numbers


def truncations() -> dict[str, float]:
    """Times the greedy hypervolume truncation of fronts on spheres and prints a table; returns named numbers."""
    print("\ngreedy hypervolume truncation, best of 20")
    numbers = {}
    for n_obj, n, limit in ((3, 200, 100), (4, 200, 100), (4, 120, 100), (4, 60, 50), (10, 200, 100)):
        points = np.abs(np.random.default_rng(SEED).normal(size=(n, n_obj)))
        F, seconds = 1 - points / np.linalg.norm(points, axis=1, keepdims=True), []
        for _ in range(20):
            begun = time.perf_counter()
            greedy_hypervolume(F, limit)
            seconds.append(time.perf_counter() - begun)
        numbers[f"cut_{n_obj}_objectives_{n}_to_{limit}_ms"] = best = 1e3 * min(seconds)
        print(f"{f'{n_obj} objectives, {n} to {limit}':24}{best:8.2f} ms")
    return numbers


def long_run(evaluations: int) -> dict[str, float]:
    """Time and peak memory of a run of the free problem with log and files."""
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        moopim.run(Free(), evaluations=evaluations, seed=SEED, output=Path(directory) / "run", progress=False)
        seconds = time.perf_counter() - begun
    return {"long_seconds": seconds, "long_peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Reads the command line, measures, prints, and writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers here")
    options = parser.parse_args()
    has_peer = find_spec(PEER) is not None
    if not has_peer:
        print(f"{PEER} is not installed and left out; to measure it too, as the head of this file says:")
        print(
            "  python -m venv peers && peers/bin/pip install -e . pyamosa && peers/bin/python benchmarks/optimizers.py"
        )
    for name in ALGORITHMS:
        measure(name, Free(), 500)
    hunt = HuntMapping(workload="resnet34")
    if options.quick:
        numbers = compare("free", Free(), 20_000, 3_000, has_peer)
        # pyamosa takes half a minute here.
        numbers |= compare("hunt", hunt, 4_000, 3_000, peer=False)
    else:
        # pyamosa slows down as it goes on; 20,000 evaluations take it a quarter of an hour.
        numbers = compare("free", Free(), 20_000, 6_000, has_peer)
        numbers |= compare("hunt", hunt, 20_000, 6_000, has_peer)
    numbers |= many_objectives() | truncations()
    evaluations = 50_000 if options.quick else 1_000_000
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        long = pool.submit(long_run, evaluations).result()
    seconds, peak = long.values()
    print(f"\n{evaluations:,} evaluations with log and files: {seconds:.1f} s, {peak:.0f} MiB")
    numbers |= long
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
