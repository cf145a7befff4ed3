"""What runs leave behind: manifests, frames, logs, records of steps and stores of metrics."""

import json
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hostile.changes import Content, spoil_json
from moopim import Choice, Constraint, DesignProblem, Genome, Objective


class Recorded(DesignProblem):
    """A genome of numbers and words, an objective and a constraint; its evaluations are in the log."""

    genome = Genome(Choice("x", (1, 2, 4), repeat=3), Choice("kind", ("a", "b")))
    objectives = (Objective("f", "mJ"), Objective("g", sense="max"))
    constraints = (Constraint("c", upper=10.0),)

    def evaluate_designs(self, designs: Any) -> dict[str, Any]:
        x = designs.x.sum(axis=1)
        return {"f": x * 1.0, "g": x - 2.0 * (designs.kind == "b"), "c": x * 1.0}


def _run() -> Content:
    import moopim

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        moopim.run(Recorded(), "random", evaluations=12, output=out, progress=False)
        with sqlite3.connect(out / "evaluations.sqlite") as log:
            log.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            log.execute("PRAGMA journal_mode = DELETE")
        log.close()
        names = ("manifest.json", "evaluations.csv", "front.csv", "evaluations.sqlite")
        return {name: (out / name).read_bytes() for name in names}


def finished() -> Content:
    return {name: content for name, content in _run().items() if not name.endswith("sqlite")}


def interrupted() -> Content:
    files = _run()
    manifest = json.loads(files["manifest.json"]) | {"status": "running"}
    return {"manifest.json": json.dumps(manifest).encode(), "evaluations.sqlite": files["evaluations.sqlite"]}


def enumeration() -> Content:
    from moopim.experiment.enumeration_state import STATE, Enumeration

    problem = Recorded()
    numbers = np.array([0, 1, 5])
    X = problem.genome.unrank(numbers)
    state = Enumeration(problem, problem.genome.size, 4)
    state.add(0, numbers[:2], X[:2], problem.tabulate(X[:2]), 4)
    state.add(1, numbers[2:], X[2:], problem.tabulate(X[2:]), 3)
    changes = {"status": "running", "algorithm": "enumeration", "evaluations": problem.genome.size}
    with tempfile.TemporaryDirectory() as folder:
        state.write(Path(folder) / STATE)
        content = (Path(folder) / STATE).read_bytes()
    manifest = json.loads(_run()["manifest.json"]) | changes
    return {"manifest.json": json.dumps(manifest).encode(), STATE: content}


def spoil_state(random: Random, files: Content) -> Content:
    """A manifest that says something else, or other numbers and arrays with the checksum that they take."""
    from moopim.experiment.enumeration_state import STATE, _checksum

    if random.random() < 0.4:
        return spoil_json(random, {"manifest.json": files["manifest.json"]}) | {STATE: files[STATE]}
    line, _, body = files[STATE].partition(b"\n")
    header = json.loads(line)
    if random.random() < 0.5:
        body = random.choice((b"", bytes(len(body)), b"\xff" * len(body), body[:-8], body + body, body[::-1]))
    for name in random.sample(sorted(header), random.choice((0, 1, 2))):
        header[name] = random.choice((0, -1, 1, 3, 54, 10**12, 10**30, 1.5, "x", None, [], "9" * 3000))
    header["checksum"] = random.choice((_checksum(body), header["checksum"]))
    line = random.choice((json.dumps(header).encode(),) * 9 + (b"[" * 4000,))
    return files | {STATE: line + b"\n" + body}


def read_run(folder: Path) -> None:
    from moopim.experiment.result import load_run

    load_run(folder).summary()


def spoil_log(random: Random, files: Content) -> Content:
    """A manifest that says something else, or a database with other rows, tables and views."""
    if random.random() < 0.4:
        return spoil_json(random, files)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
    columns = ("start", "generation", "designs", "genes", "metrics", "cached", "seconds", "checksum")
    row = (
        "x AS start, 1 AS generation, 1 AS designs, x'00' AS genes, x'00' AS metrics, x'00' AS cached, 1.0 AS seconds, "
    )
    row += "x'00' AS checksum"
    values = (
        "-1",
        "0",
        "9223372036854775807",
        "x''",
        "zeroblob(100000)",
        "1e308",
        "'x'",
        "NULL",
        "randomblob(16)",
        "9e999",
    )
    words = ("9" * 5000, "[" * 5000, "x", "1", "")
    statements = [
        f"UPDATE batches SET {random.choice(columns)} = {random.choice(values)}",  # noqa: S608
        f"UPDATE facts SET value = '{random.choice(words)}' WHERE rowid = {random.randrange(6)}",  # noqa: S608
        "DELETE FROM facts", "DELETE FROM batches", "DROP TABLE facts", "DROP TABLE batches", "DROP TABLE chunks",
        f"DROP TABLE batches; CREATE VIEW batches AS {endless} {row} FROM c",
        f"DROP TABLE chunks; CREATE VIEW chunks AS {endless} {row} FROM c",
        f"DROP TABLE facts; CREATE VIEW facts AS {endless} 'x' || x AS name, '1' AS value FROM c",
        "DROP TABLE batches; CREATE TABLE batches (start)", "DROP TABLE facts; CREATE TABLE facts (name, value, more)",
        f"INSERT INTO batches SELECT start + 100000, {', '.join(columns[1:])} FROM batches",  # noqa: S608
        "INSERT INTO chunks SELECT * FROM batches", "PRAGMA user_version = 7", "PRAGMA application_id = 7",
        "CREATE TRIGGER t AFTER INSERT ON batches BEGIN DELETE FROM batches; END",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        path.write_bytes(files["evaluations.sqlite"])
        connection = sqlite3.connect(path)
        connection.set_progress_handler(lambda: 1, 10**6)  # of a view without end
        for _ in range(random.choice((1, 1, 2))):
            with suppress(sqlite3.Error):  # the second one may find a table gone
                connection.executescript(random.choice(statements))
        if random.random() < 0.4:
            _reseal(connection, random)
        connection.commit()
        connection.close()
        return files | {"evaluations.sqlite": path.read_bytes()}


def _reseal(connection: sqlite3.Connection, random: Random) -> None:
    """Gives a batch other content with the checksum that it takes."""
    from moopim.evaluator.log import _checksum

    generation = random.choice((1, 0, -1, 2**40))
    designs = random.choice((12, 0, 1, -1, 10**9, 2**40))
    genes = random.choice((bytes(48), bytes(range(48)), b"", bytes(47)))
    table = random.choice(
        (np.ones(36).tobytes(), np.full(36, np.nan).tobytes(), np.full(36, np.inf).tobytes(), b"", bytes(7))
    )
    cached = random.choice((bytes(12), b"\7" * 12, b""))
    seconds = random.choice((0.5, -1.0, 1e308))
    row = (generation, designs, genes, table, cached, seconds)
    try:
        connection.execute("DELETE FROM batches")
        connection.execute("INSERT INTO batches VALUES (0, ?, ?, ?, ?, ?, ?, ?)", (*row, _checksum(*row)))
    except sqlite3.Error:  # a table that is gone or a view
        return


def step() -> Content:
    from moopim.experiment.steps import run_step

    def make(folder: Path) -> dict[str, Any]:
        (folder / "product.txt").write_text("made")
        return {"accuracy": 0.5}

    with tempfile.TemporaryDirectory() as folder:
        run_step(Path(folder) / "a", "training", {"seed": 1, "sizes": [1, 2]}, make, products=("product.txt",))
        return {f"a/{name}": (Path(folder) / "a" / name).read_bytes() for name in ("step.json", "product.txt")}


def read_step(folder: Path) -> None:
    from moopim.experiment.steps import run_step, steps_frame, steps_text

    steps_text(folder)
    steps_frame(folder)
    run_step(folder / "a", "training", {"seed": 1, "sizes": [1, 2]}, lambda _: {}, products=("product.txt",))


def store() -> Content:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        answer(path)
        return {path.name: path.read_bytes()}


def answer(path: Path) -> None:
    from moopim.evaluator.metric_store import MetricStore

    store = MetricStore(path, {"seed": 1})
    store.answer(["a", "b"], lambda places: np.arange(len(places)) / 2)
    store.count()


def read_store(folder: Path) -> None:
    answer(folder / "store.sqlite")


def spoil_store(random: Random, files: Content) -> Content:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
    wrong = "('{\"seed\": 1}', 'a', 'words'), ('{\"seed\": 1}', 'b', x'00')"
    statements = (
        "DROP TABLE metrics", "DELETE FROM metrics", "DROP TABLE metrics; CREATE TABLE metrics (facts, design, value)",
        f"DROP TABLE metrics; CREATE VIEW metrics AS {endless} 'x' AS facts, x AS design, x AS value FROM c",
        f"DROP TABLE metrics; CREATE TABLE metrics (facts, design, value); INSERT INTO metrics VALUES {wrong}",  # noqa: S608
        "UPDATE metrics SET value = 9e999", "UPDATE metrics SET facts = zeroblob(10)",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        path.write_bytes(files["store.sqlite"])
        connection = sqlite3.connect(path)
        with suppress(sqlite3.Error):  # a type that the table refuses
            connection.executescript(random.choice(statements))
        connection.commit()
        connection.close()
        return {"store.sqlite": path.read_bytes()}
