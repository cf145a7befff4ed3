"""The evaluation log: every evaluated design of a run in one SQLite file, one transaction per generation.

The log is the checkpoint of a run: started again from its seed, a run asks for the same designs in the same order and
is answered from here. A batch of designs is one row of arrays, so that logging costs little.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moopim.errors import LogError

__all__ = ["Batch", "EvaluationLog"]

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS batches (
    start INTEGER PRIMARY KEY,  -- number of evaluations before this batch
    generation INTEGER NOT NULL,
    designs INTEGER NOT NULL,
    genes BLOB NOT NULL,        -- (designs, n_genes), little-endian unsigned integers
    metrics BLOB NOT NULL,      -- (designs, n_quantities), little-endian float64
    cached BLOB NOT NULL,       -- (designs,), one byte each: 1 where an earlier evaluation answered
    seconds REAL NOT NULL       -- time spent in the models
) STRICT;
"""


@dataclass(frozen=True)
class Batch:
    """The designs that one generation evaluated, in order.

    Attributes:
        generation: Number of the generation, from 1.
        genes: Designs, shape ``(designs, n_genes)``, unsigned integers.
        table: Quantities in natural sign, shape ``(designs, n_quantities)``.
        cached: Where an earlier evaluation of the same run answered, shape ``(designs,)``.
        seconds: Time spent in the models (s).
    """

    generation: int
    genes: NDArray[np.unsignedinteger[Any]]
    table: NDArray[np.float64]
    cached: NDArray[np.bool_]
    seconds: float


class EvaluationLog:
    """One log file, open for reading and appending; use it as a context manager.

    Args:
        path: The file; made if it is not there.
        fingerprint: Fingerprint of the problem that the log belongs to.
        n_genes: Number of genes of a design.
        n_quantities: Number of quantities of a design.
        dtype: Type in which genes are stored.

    Raises:
        LogError: If the file is not an evaluation log, or belongs to another problem.
    """

    def __init__(self, path: Path, fingerprint: str, n_genes: int, n_quantities: int, dtype: np.dtype[Any]) -> None:
        self.path = path
        self._dtype = dtype.newbyteorder("<")
        self._shape = (n_genes, n_quantities)
        facts = {"format": _FORMAT, "problem": fingerprint, "shape": list(self._shape), "dtype": self._dtype.str}
        try:
            self._connection = sqlite3.connect(path)
        except sqlite3.Error as error:
            raise LogError(f"evaluation log {str(path)!r} cannot be opened: {error}") from None
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            with self._connection:
                self._connection.executescript(_SCHEMA)
            self._adopt(facts)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise LogError(f"evaluation log {str(path)!r} cannot be used: {error}") from None
        except LogError:
            self._connection.close()
            raise

    def _adopt(self, facts: Mapping[str, Any]) -> None:
        """Writes the facts into a new log; compares them with those of an existing one."""
        known = dict(self._connection.execute("SELECT name, value FROM facts"))
        if not known:
            with self._connection:
                rows = [(name, json.dumps(value)) for name, value in facts.items()]
                self._connection.executemany("INSERT INTO facts VALUES (?, ?)", rows)
            return
        for name, value in facts.items():
            if known.get(name) != json.dumps(value):
                raise LogError(
                    f"evaluation log {str(self.path)!r} belongs to another problem or version: {name} is "
                    f"{known.get(name)}, expected {json.dumps(value)}"
                )

    def append(self, start: int, batch: Batch) -> None:
        """Commits a batch in one transaction.

        Args:
            start: Number of evaluations before the batch.
            batch: The batch.

        Raises:
            LogError: If the log holds that place already (another process writes to it), or cannot be written.
        """
        row = (
            start,
            batch.generation,
            len(batch.genes),
            batch.genes.astype(self._dtype).tobytes(),
            batch.table.astype("<f8").tobytes(),
            batch.cached.tobytes(),
            batch.seconds,
        )
        try:
            with self._connection:
                self._connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise LogError(f"evaluation log {str(self.path)!r} is being written by another process") from None
        except sqlite3.DatabaseError as error:
            raise LogError(f"evaluation log {str(self.path)!r} cannot be written: {error}") from None

    def read(self) -> list[Batch]:
        """Reads all batches in order.

        Raises:
            LogError: If the file is damaged.
        """
        try:
            rows = self._connection.execute("SELECT * FROM batches ORDER BY start").fetchall()
        except sqlite3.DatabaseError as error:
            raise LogError(f"evaluation log {str(self.path)!r} cannot be read: {error}") from None
        batches, expected = [], 0
        for start, *row in rows:
            if start != expected:
                raise LogError(f"evaluation log {str(self.path)!r} is damaged: evaluation {expected} is missing")
            batches.append(self._parse(*row))
            expected += len(batches[-1].genes)
        return batches

    def _parse(
        self, generation: int, designs: int, genes: bytes, metrics: bytes, cached: bytes, seconds: float
    ) -> Batch:
        n_genes, n_quantities = self._shape
        try:
            return Batch(
                generation=generation,
                genes=np.frombuffer(genes, dtype=self._dtype).reshape(designs, n_genes),
                table=np.frombuffer(metrics, dtype="<f8").reshape(designs, n_quantities),
                cached=np.frombuffer(cached, dtype=np.bool_).reshape(designs),
                seconds=seconds,
            )
        except ValueError as error:
            raise LogError(
                f"evaluation log {str(self.path)!r} is damaged in generation {generation}: {error}"
            ) from None

    def close(self) -> None:
        """Closes the file; everything committed is safe with or without it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
