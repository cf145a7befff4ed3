"""Hostile files through every loader: whatever a file holds, it is read or refused in one line, soon and in bounds.

    python benchmarks/fuzz.py [--quick] [--loader NAME] [--cases N] [--json FILE]

The cases are those of ``tests/hostile``, chosen by the seed and the number of the case. Each loader has a process
of its own, whose peak memory is measured; a case that takes longer than a minute ends it. The exit code is 1 if a
loader fails in a way that is not moopim's, takes 5 s or more for a case, or 1 GiB or more of memory.
"""

import argparse
import faulthandler
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CASES, QUICK = 10_000, 200
SLOWEST_S, MEMORY_MIB = 5.0, 1024.0
PATIENCE_S = 60
ADDRESSES = 16 * 2**30  # byte; keeps a case from taking the whole machine
SHOWN = 3  # failures of each loader


def measure(name: str, cases: int, seed: int) -> dict[str, Any]:
    """Runs the cases of one loader in this process.

    Args:
        name: Its name.
        cases: How many.
        seed: Seed of all cases.

    Returns:
        Numbers of cases, refused and accepted ones; failures; time of the slowest (s); peak memory (MiB).
    """
    sys.path.insert(0, str(ROOT / "tests"))
    import hostile

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    if name in ("weights", "foreign weights", "training", "supernet", "network", "layer"):
        import torch

        torch.set_num_threads(1)
    failures: list[str] = []
    accepted, slowest, where = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        if not hostile.read_valid(name, Path(folder) / "valid"):  # also loads slow modules
            failures.append("the valid files are refused")
        for case in range(cases):
            faulthandler.dump_traceback_later(PATIENCE_S, exit=True)
            seconds = 0.0
            try:
                outcome = hostile.attempt(name, Random(f"{seed} {name} {case}"), Path(folder) / "case")  # noqa: S311
                accepted, seconds = accepted + (outcome.refusal is None), outcome.seconds
                if outcome.fault:
                    failures.append(f"case {case}: {outcome.fault}")
            except Exception as error:  # noqa: BLE001 (any is a finding)
                failures.append(f"case {case}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            if seconds > slowest:
                slowest, where = seconds, case
            faulthandler.cancel_dump_traceback_later()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    refused = cases - accepted - sum(failure.startswith("case") for failure in failures)
    found = {"loader": name, "cases": cases, "refused": refused, "accepted": accepted, "failures": len(failures)}
    return found | {"slowest_s": slowest, "slowest_case": where, "memory_MiB": memory, "shown": failures[:SHOWN]}


def run(name: str, cases: int, seed: int) -> dict[str, Any]:
    """Measures one loader in a process of its own."""
    command = [sys.executable, __file__, "--loader", name, "--cases", str(cases), "--seed", str(seed), "--inside"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    lines = done.stderr.splitlines()[-25:]
    return {"loader": name, "cases": cases, "failures": 1, "shown": ["the process ended:", *lines]}


def passes(result: dict[str, Any]) -> bool:
    """Whether a loader is within all bars."""
    return (
        not result["failures"]
        and result.get("slowest_s", SLOWEST_S) < SLOWEST_S
        and result.get("memory_MiB", MEMORY_MIB) < MEMORY_MIB
    )


def main() -> None:
    """Measures the loaders and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} cases for each loader")
    parser.add_argument("--loader", action="append", help="only this one; may be given several times")
    parser.add_argument("--cases", type=int, help=f"cases for each loader; {CASES} by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the numbers into this file")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = arguments.cases or (QUICK if arguments.quick else CASES)
    if arguments.inside:
        print(json.dumps(measure(arguments.loader[0], cases, arguments.seed)))
        return
    sys.path.insert(0, str(ROOT / "tests"))
    from hostile import LOADERS

    for name in arguments.loader or ():
        if name not in LOADERS:
            parser.error(f"unknown loader {name!r}; expected {', '.join(LOADERS)}")
    print(f"{'loader':16} {'cases':>6} {'refused':>8} {'accepted':>8} {'not ours':>8} {'slowest s':>9} {'MiB':>5}")
    results = []
    for name in arguments.loader or LOADERS:
        found = run(name, cases, arguments.seed)
        results.append(found)
        numbers = (found.get("refused", 0), found.get("accepted", 0), found["failures"])
        line = f"{name:16} {cases:6} {numbers[0]:8} {numbers[1]:8} {numbers[2]:8}"
        print(f"{line} {found.get('slowest_s', 0):9.2f} {found.get('memory_MiB', 0):5.0f}", flush=True)
        for text in found["shown"]:
            print(f"    {text}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    sys.exit(not all(map(passes, results)))


if __name__ == "__main__":
    main()
