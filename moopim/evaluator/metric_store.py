"""On-disk cache of expensive metrics, such as accuracies, for every later run that needs them."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from moopim.errors import LogError, shown
from moopim.evaluator.log import check_plain
from moopim.typing import FloatArray

_SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    facts TEXT NOT NULL,  -- facts that the value depends on beside the design, as JSON
    design TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (facts, design)
) STRICT, WITHOUT ROWID;
"""
_PATIENCE_S = 60.0  # until another process has written


class MetricStore:
    """On-disk cache of one metric in an SQLite file that any number of runs and processes may share.

    `facts` are what the values depend on beside the design, such as a checksum of weights; values of other facts are
    not seen.
    """

    def __init__(self, path: Path | str, facts: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._facts = json.dumps(facts, sort_keys=True)

    def answer(self, designs: Sequence[str], compute: Callable[[list[int]], FloatArray]) -> FloatArray:
        """Values of designs, shape ``(designs,)``: cached ones, or computed now and cached.

        `designs` are unique keys of the designs; `compute` gets the places of those that are missing, each distinct one
        once. Raises LogError if the file is of another kind or cannot be written.
        """
        known = self._read(set(designs))
        places = {design: place for place, design in reversed(list(enumerate(designs))) if design not in known}
        if places:
            missing = sorted(places.values())
            found = dict(zip((designs[place] for place in missing), compute(missing).tolist(), strict=True))
            self._write(found)
            known |= found
        return np.array([known[design] for design in designs], dtype=np.float64)

    def count(self) -> int:
        """Number of cached values."""
        if not self.path.exists():
            return 0
        with self._open() as connection:
            row = connection.execute("SELECT count(*) FROM metrics WHERE facts = ?", (self._facts,)).fetchone()
        return int(row[0])

    def _read(self, designs: set[str]) -> dict[str, float]:
        if not self.path.exists():
            return {}
        query = "SELECT value FROM metrics WHERE facts = ? AND design = ?"
        with self._open() as connection:
            rows = {design: connection.execute(query, (self._facts, design)).fetchone() for design in designs}
        known = {design: row[0] for design, row in rows.items() if row is not None}
        for design, value in known.items():
            if not isinstance(value, float):
                raise LogError(
                    f"metric store {str(self.path)!r} has {shown(value)} for {shown(design)}; expected a number"
                )
        return known

    def _write(self, found: Mapping[str, float]) -> None:
        rows = [(self._facts, design, value) for design, value in found.items()]
        with self._open() as connection:
            connection.executemany("INSERT OR IGNORE INTO metrics VALUES (?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction; no connection is kept, so that copies of the store work in any process."""
        try:
            connection = sqlite3.connect(self.path, timeout=_PATIENCE_S)
            try:
                with connection:
                    check_plain(connection, f"metric store {str(self.path)!r}")
                    connection.execute(_SCHEMA)
                    yield connection
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the second where SQLite quotes damaged bytes
            raise LogError(f"metric store {str(self.path)!r} cannot be used: {error}") from None
