"""Runs that are killed at random moments and go on: are their results those of runs that nobody disturbed, to the bit?

    python benchmarks/kills.py [--quick] [--kills N] [--seed N] [--keep FOLDER]

Runs of every kind are started through the command line: each optimiser by name, a problem of a user's own in two
processes, a comparison, an enumeration, HuNT, and the five steps of CrossNAS. Whole runs, their worker processes
included, are killed with SIGKILL up to three times and taken up again; in the kind `worker`, one worker process is
killed at a time. In the end every CSV file, every JSON file and all weights are compared with those of the same run
undisturbed, save what says when, how long and by which command they were made.

The exit status is 1 if anything differs, or a run cannot be taken up again. Linux only: it looks for workers in /proc.
"""

import argparse
import csv
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moopim.algorithms.registry import algorithm_names
from moopim.messages import table_lines

MOOPIM = (sys.executable, "-m", "moopim")
MOST_KILLS = 3  # of one run
MOST_STARTS = 20
LONGEST_S = 600.0
# What differs between two runs that give the same.
VOLATILE = ("command", "created", "notes", "search_h", "seconds")

TOY = '''"""A problem that takes its time."""

import time

import numpy as np

from moopim import Choice, Constraint, DesignProblem, Genome, Integer, Objective


class Toy(DesignProblem):
    chunk_rows = 8  # so that every batch is work for several processes
    genome = Genome(Integer("x", 0, 9, repeat=6), Choice("mode", (1, 2, 4)))
    objectives = (Objective("cost", "mJ"), Objective("gain", sense="max"))
    constraints = (Constraint("size", "mm2", upper=45.0),)

    def evaluate_designs(self, designs):
        time.sleep(0.004 * len(designs))
        x = designs.x
        return {
            "cost": (x**2).sum(axis=1) / designs.mode,
            "gain": np.sin(x).sum(axis=1) * designs.mode,
            "size": x.sum(axis=1) + designs.mode,
        }
'''

PRESET = """data = "digits"
recipes = { supernet = "digits-supernet", float = "digits-float", quantisation = "digits-qat" }
supernet_epochs = 4
float_epochs = 2
quantisation_epochs = 2
final_epochs = 1
max_blocks = 2
channels = [8, 16]
augmentation = false
calibration = 128
reference = "median"
cycles = 1
circuit_cycles = 1
"""


class Kind(NamedTuple):
    """A kind of run.

    Attributes:
        name: Its name.
        start: Words of the command that starts it; it writes into the folder ``out``.
        again: Words of the command that goes on with it.
        weight: Its share of the kills.
        workers: Whether single workers are killed.
    """

    name: str
    start: tuple[str, ...]
    again: tuple[str, ...]
    weight: int
    workers: bool = False


class Undisturbed(NamedTuple):
    """A run that nobody disturbed.

    Attributes:
        begun_s: Seconds that it had computed when its folder was there.
        work_s: Seconds that it took from then on.
        products: What it made, by file.
    """

    begun_s: float
    work_s: float
    products: dict[str, Any]


class FailedError(Exception):
    """A run that cannot be taken up again."""


def kinds() -> list[Kind]:
    """All kinds of runs."""

    def search(problem: str, algorithm: str, evaluations: int, *more: str) -> tuple[str, ...]:
        words = ("run", problem, "--algorithm", algorithm, "--evaluations", str(evaluations), "--seed", "3")
        return (*words, "--output", "out", "--quiet", *more)

    resume = ("resume", "out", "--quiet")
    toy, jobs = "../toy.py:Toy", ("--jobs", "2")
    compare = ("compare", toy, "--algorithms", "amosa,nsga2", "--seeds", "2", "--evaluations", "300", *jobs)
    compare += ("--output", "out", "--quiet")
    crossnas = ("crossnas", "--preset", "../tiny.toml", "--w-acc", "0.8", "--output", "out", "--quiet")
    return [
        *(Kind(name, search(toy, name, 400), resume, 4) for name in algorithm_names()),
        Kind("own problem, 2 jobs", search(toy, "nsga2", 600, *jobs), resume, 10),
        Kind("worker", search(toy, "amosa", 800, *jobs), resume, 12, workers=True),
        Kind("enumerate, 2 jobs", ("enumerate", "mnk", "--n", "20", *jobs, "--output", "out", "--quiet"), resume, 6),
        Kind("compare, 2 jobs", compare, compare, 12),
        Kind("hunt", search("hunt", "amosa", 30000, "--workload", "vgg11"), resume, 8),
        Kind("crossnas", crossnas, crossnas, 18),
    ]


def shares(chosen: list[Kind], kills: int) -> list[int]:
    """Kills of each kind, in proportion to the weights."""
    ends = np.rint(np.cumsum([kind.weight for kind in chosen]) * kills / sum(kind.weight for kind in chosen))
    return np.diff(ends, prepend=0).astype(int).tolist()


def begin(words: tuple[str, ...], folder: Path) -> "subprocess.Popen[bytes]":
    """Starts a command in a group of processes of its own."""
    with (folder / "stderr.txt").open("ab") as errors:
        return subprocess.Popen(  # noqa: S603 (our own words)
            [*MOOPIM, *words],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def finish(process: "subprocess.Popen[bytes]", seconds: float = LONGEST_S) -> bool:
    """Waits for a process; whether it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def workers(pid: int) -> list[int]:
    """Worker processes below a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(status(folder)[1])
            if parent == pid and b"LokyProcess" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return sorted(found)


def cpu_s(pid: int) -> float:
    """Seconds that a process has computed; infinite once it has ended."""
    try:
        user, system = status(Path(f"/proc/{pid}"))[11:13]
    except OSError:
        return math.inf
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def status(folder: Path) -> list[str]:
    """Fields of the status of a process behind its name: its state, its parent, and so on."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def undisturbed(kind: Kind, folder: Path) -> Undisturbed:
    """Makes a run and leaves it alone."""
    folder.mkdir()
    process = begin(kind.start, folder)
    start, computed = 0.0, None
    while not finish(process, 0.005):
        if computed is None and (folder / "out").exists():
            start, computed = time.perf_counter(), cpu_s(process.pid)
    if process.returncode or computed is None:
        raise FailedError(f"exit status {process.returncode}: {last_line(folder)}")
    return Undisturbed(computed, time.perf_counter() - start, products(folder))


def disturbed(kind: Kind, folder: Path, like: Undisturbed, kills: int, rng: np.random.Generator) -> int:
    """Makes a run, kills it and goes on, until it is finished.

    Returns:
        How often it was killed.
    """
    folder.mkdir()
    done = 0
    for _ in range(MOST_STARTS):
        begun = any((folder / "out").glob("**/*.json")) or kind.start == kind.again
        process = begin(kind.again if begun else kind.start, folder)
        # The start takes as long as the machine is busy, the work mostly sleeps.
        computed, wait = like.begun_s * rng.uniform(0.9, 1.0), like.work_s * rng.uniform(0.0, 0.8)
        while done < kills and not finish(process, 0.01) and cpu_s(process.pid) < computed:
            pass
        if done < kills and not finish(process, wait):
            if kind.workers:
                while done < kills and not finish(process, rng.uniform(0.1, 0.6)):
                    done += kill_worker(process.pid, rng)
            else:
                kill_group(process)
                done += 1
                continue
        if not finish(process):
            kill_group(process)
            raise FailedError(f"no end within {LONGEST_S:.0f} s")
        if process.returncode == 0:
            return done
        if not kind.workers:
            raise FailedError(f"exit status {process.returncode}: {last_line(folder)}")
    raise FailedError(f"not finished after {MOST_STARTS} starts: {last_line(folder)}")


def kill_worker(pid: int, rng: np.random.Generator) -> bool:
    """Kills a worker process below a process; whether there was one."""
    found = workers(pid)
    if not found:
        return False
    try:
        os.kill(found[rng.integers(len(found))], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def last_line(folder: Path) -> str:
    """The last line on standard error."""
    lines = (folder / "stderr.txt").read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "(nothing on standard error)")


def products(folder: Path) -> dict[str, Any]:
    """Everything that a run has made and that has to be the same, by file."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "out").rglob("*")):
        name = str(path.relative_to(folder / "out"))
        if path.suffix == ".csv":
            found[name] = rows(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            found[name] = lasting(json.loads(path.read_text(encoding="utf-8").replace(str(folder), ".")))
        elif path.suffix == ".safetensors":
            found[name] = path.read_bytes()
    return found


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a table without what says when it was made."""
    table = csv.DictReader(io.StringIO(text))
    return [
        {name: word for name, word in row.items() if name not in VOLATILE}
        for row in table
        if row.get("column") not in VOLATILE
    ]


def lasting(value: Any) -> Any:
    """Content of a JSON file without dates, durations and checksums of files that contain them."""
    if isinstance(value, dict):
        names = [name for name in value if name not in VOLATILE and not name.endswith((".csv", ".json"))]
        return {name: lasting(value[name]) for name in names}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Files that are not the same."""
    return sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))


def run_kind(kind: Kind, base: Path, kills: int, rng: np.random.Generator) -> tuple[int, int, list[str]]:
    """Kills runs of a kind until there have been enough kills.

    Returns:
        Kills, runs, and what went wrong.
    """
    place = kind.name.replace(" ", "-").replace(",", "")
    done, runs, wrong = 0, 0, []
    try:
        like = undisturbed(kind, base / f"{place}-0")
        while done < kills and runs < 2 * kills + 5:
            runs += 1
            folder = base / f"{place}-{runs}"
            done += disturbed(kind, folder, like, min(MOST_KILLS, kills - done), rng)
            wrong += [f"{folder.name}/out/{name}" for name in differences(like.products, products(folder))]
    except FailedError as error:
        wrong.append(f"{place}-{runs}: {error}")
    return done, runs, wrong


def main() -> None:
    """Prints a table of the kinds: kills, runs and differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="kills in all")
    parser.add_argument("--quick", action="store_true", help="a few kills of a few kinds, about a minute")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    parser.add_argument("--keep", type=Path, help="folder to leave the runs in")
    options = parser.parse_args()
    chosen, kills = kinds(), options.kills
    if options.quick:
        chosen = [kind for kind in chosen if kind.name in ("amosa", "worker", "compare, 2 jobs")]
        kills = min(kills, 8)
    base = Path(tempfile.mkdtemp()) if options.keep is None else options.keep.resolve()
    base.mkdir(exist_ok=True)
    (base / "toy.py").write_text(TOY, encoding="utf-8")
    (base / "tiny.toml").write_text(PRESET, encoding="utf-8")
    table, total, failed = [("kind", "kills", "runs", "differences")], 0, []
    for place, (kind, share) in enumerate(zip(chosen, shares(chosen, kills), strict=True)):
        if share:
            done, runs, wrong = run_kind(kind, base, share, np.random.default_rng((options.seed, place)))
            table.append((kind.name, str(done), str(runs), str(len(wrong))))
            total, failed = total + done, failed + wrong
            print(f"{kind.name}: {done} kills of {runs} runs, {len(wrong)} differences", file=sys.stderr, flush=True)
    table.append(("total", str(total), "", str(len(failed))))
    print("\n".join(table_lines(table)))
    for item in failed:
        print(f"differs: {item}")
    if options.keep is None and not failed:
        shutil.rmtree(base)
    elif failed:
        print(f"the runs are in {base}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
