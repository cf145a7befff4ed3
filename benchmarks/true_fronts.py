"""Enumerations of the spaces whose true fronts are bundled: are the fingerprints of their fronts those that are stored?

    python benchmarks/true_fronts.py [--quick] [--write] [--jobs N]

With --quick the slowest space is left out. With --write fronts that a change of a model has changed are replaced in the
checkout. The exit status is 1 if one has changed.
"""

import argparse
import sys
import time
from pathlib import Path

import moopim
from moopim.experiment.enumeration_state import front_fingerprint
from moopim.experiment.frames import read_designs
from moopim.experiment.plugins import build_problem
from moopim.experiment.true_fronts import true_front_instances

DATA = Path(__file__).resolve().parents[1] / "moopim" / "experiment" / "data"
SLOW = ("crossnas-hardware",)


def main() -> int:
    """Enumerate all spaces; 1 if a fingerprint is another one, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the slowest space")
    parser.add_argument("--write", action="store_true", help="replace the fronts in the checkout")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    arguments = parser.parse_args()
    changed = 0
    for name, instance in true_front_instances().items():
        if arguments.quick and name in SLOW:
            continue
        problem = build_problem(instance.problem, instance.parameters)
        begun = time.perf_counter()
        result = moopim.enumerate_designs(problem, jobs=arguments.jobs, hours=24)
        seconds = time.perf_counter() - begun
        fingerprint = front_fingerprint(read_designs(problem.genome, result.front).genes)
        same = fingerprint == instance.fingerprint
        changed += not same
        rate = problem.genome.size / seconds
        print(
            f"{name:18} {problem.genome.size:>10,} designs  {seconds:6.1f} s  {rate:>9,.0f}/s  "
            f"{len(result.front):>5} on the front  {fingerprint}  {'same' if same else 'CHANGED'}",
            flush=True,
        )
        if arguments.write and not same:
            (DATA / f"{name}.csv").write_text(result.front.to_csv(index=False))
            table = DATA / "true_fronts.toml"
            table.write_text(table.read_text().replace(instance.fingerprint, fingerprint))
    return int(changed > 0)


if __name__ == "__main__":
    sys.exit(main())
