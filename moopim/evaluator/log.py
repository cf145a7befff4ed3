"""Evaluation log: every evaluated design of a run in one SQLite file, with a checksum per batch.

The log is the checkpoint of a run: started again from its seed, a run asks for the same designs in the same order and
is answered from here. A generation is one row of arrays, committed in one transaction; until then its finished chunks
stand in a table of their own, so that an interruption costs only the chunks that were being evaluated.
"""

import hashlib
import json
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from moopim.errors import LogError, MoopimError
from moopim.messages import resume_command
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, FloatArray

_FORMAT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS batches (
    start INTEGER PRIMARY KEY,  -- number of evaluations before this batch
    generation INTEGER NOT NULL,
    designs INTEGER NOT NULL,
    genes BLOB NOT NULL,        -- (designs, n_genes), little-endian unsigned integers
    metrics BLOB NOT NULL,      -- (designs, n_quantities), little-endian float64
    cached BLOB NOT NULL,       -- (designs,), one byte each: 1 where an earlier evaluation answered
    seconds REAL NOT NULL,      -- time spent in the models
    checksum BLOB NOT NULL      -- BLAKE2b, 16 bytes, of the columns from generation to seconds
) STRICT;
CREATE TABLE IF NOT EXISTS chunks ( -- of the generation that is not committed yet
    start INTEGER PRIMARY KEY,      -- running number, without a meaning
    generation INTEGER NOT NULL,
    designs INTEGER NOT NULL,
    genes BLOB NOT NULL,
    metrics BLOB NOT NULL,
    cached BLOB NOT NULL,
    seconds REAL NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
"""
# Parts of a schema that compute, perhaps without end.
_COMPUTING = """
SELECT count(*) FROM sqlite_schema
WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' OR sql LIKE '% AS (%' OR sql LIKE '% AS(%'
"""
_SUFFIXES = ("", "-wal", "-shm")
# The second where SQLite quotes the bytes of a damaged file.
_ERRORS = (sqlite3.Error, UnicodeDecodeError)


def check_plain(connection: sqlite3.Connection, label: str) -> None:
    """Raise LogError unless a database has plain tables only: no views, triggers, virtual tables, computed columns."""
    if connection.execute(_COMPUTING).fetchone()[0]:
        raise LogError(f"{label} has views, triggers or computed columns; expected plain tables")


@dataclass(frozen=True)
class LoggedBatch:
    """Designs that were evaluated together, in order: a generation, or a chunk of one.

    Attributes:
        generation: Number of the generation, from 1.
        genes: Designs, shape ``(designs, n_genes)``, unsigned integers.
        table: Quantities in natural sign, shape ``(designs, n_quantities)``.
        cached: Where an earlier evaluation of the same run answered, shape ``(designs,)``.
        seconds: Time spent in the models (s).
    """

    generation: int
    genes: NDArray[np.unsignedinteger[Any]]
    table: FloatArray
    cached: BoolArray
    seconds: float


@dataclass(frozen=True)
class Logged:
    """Content of a log.

    Attributes:
        batches: Committed generations, in order.
        chunks: Results without a place in that order: finished chunks of the generation that was interrupted, and
            generations behind a damaged one.
    """

    batches: list[LoggedBatch]
    chunks: list[LoggedBatch]


class EvaluationLog:
    """Evaluation log of a run: one SQLite file, open for reading and appending; a context manager.

    Args:
        path: The file; made if it is not there.
        problem: The problem whose designs it holds.
        fingerprint: Fingerprint of the problem at the start of the run.
        read_only: Whether the file is only read; it must exist then.
        repair: Whether damaged batches are dropped. The file as it was is kept beside the log, as ``*.damaged``.
        former: Another fingerprint that the log may have; it is replaced by that of the problem, whose author confirms
            that the results still hold.

    Raises:
        LogError: If the file is not an evaluation log, belongs to another problem, or is damaged and not to be
            repaired.
    """

    def __init__(
        self,
        path: Path,
        problem: DesignProblem,
        fingerprint: str,
        *,
        read_only: bool = False,
        repair: bool = False,
        former: str | None = None,
    ) -> None:
        self.path = path
        self._problem = problem
        self._former = None if former is None else json.dumps(former)
        self._dtype = problem.genome.storage_dtype.newbyteorder("<")
        self._shape = (problem.genome.n_genes, len(problem.quantities))
        facts = {"format": _FORMAT, "problem": fingerprint, "shape": list(self._shape), "dtype": self._dtype.str}
        self._facts = {name: json.dumps(value) for name, value in facts.items()}
        self._facts["checksum"] = _facts_checksum(self._facts)
        self._damage: list[str] = []
        try:
            self._connection = _connect(path, read_only=read_only)
        except sqlite3.Error as error:
            raise LogError(f"evaluation log {str(path)!r} cannot be opened: {error}") from None
        try:
            self._adopt(read_only=read_only)
            self._content = self._read()
        except BaseException as error:
            self._connection.close()
            if isinstance(error, _ERRORS):
                raise LogError(f"evaluation log {str(path)!r} cannot be used: {error}") from None
            raise
        if self._damage and repair:
            self._repair()
        elif self._damage:
            self._connection.close()
            raise LogError(
                f"evaluation log {str(path)!r} is damaged: {'; '.join(self._damage)}; "
                f"{resume_command(path.parent, '--drop-damaged')} drops what is damaged and evaluates it again"
            )

    def _adopt(self, *, read_only: bool) -> None:
        """Write the facts into a new log; compare them with those of an existing one."""
        try:
            check_plain(self._connection, f"evaluation log {str(self.path)!r}")
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                with self._connection:
                    self._connection.executescript(_SCHEMA)
            known = dict(self._connection.execute("SELECT name, value FROM facts"))
        except _ERRORS as error:
            if not _is_damage(error):
                raise
            self._damage.append(str(error))
            return
        if not known:
            if not read_only:
                with self._connection:
                    self._connection.executemany("INSERT INTO facts VALUES (?, ?)", self._facts.items())
            return
        self._compare(known)

    def _compare(self, known: dict[str, str]) -> None:
        """Compare the facts of the log with those of the run; accept the former fingerprint of its problem."""
        if known.get("format") == "1":
            raise LogError(
                f"evaluation log {str(self.path)!r} is of format 1, of an earlier moopim, without checksums; expected "
                f"format {_FORMAT}: go on with it in that version, or start the run anew"
            )
        if known.get("checksum") != _facts_checksum(known):
            self._damage.append("table 'facts' does not match its checksum")
            return
        if self._former is not None and known.get("problem") == self._former:
            known = known | self._facts
            with self._connection:
                self._connection.executemany("UPDATE facts SET value = ?2 WHERE name = ?1", known.items())
        for name, value in self._facts.items():
            if known.get(name) != value and name != "checksum":
                raise LogError(
                    f"evaluation log {str(self.path)!r} belongs to another problem or version: {name} is "
                    f"{known.get(name)}, expected {value}"
                )

    def read(self) -> Logged:
        """Content of the log when it was opened.

        Returns:
            Committed generations in order, and results without a place in that order.
        """
        return self._content

    def append(self, start: int, batch: LoggedBatch) -> None:
        """Commit a generation in one transaction; its chunks are dropped in the same.

        Args:
            start: Number of evaluations before the batch.
            batch: The batch.

        Raises:
            LogError: If the log already holds this place (another process writes to it), or cannot be written.
        """
        self._insert("batches", start, batch, also=("DELETE FROM chunks WHERE generation <= ?", batch.generation))

    def append_chunk(self, chunk: LoggedBatch) -> None:
        """Commit a finished chunk of the running generation.

        Args:
            chunk: The chunk.

        Raises:
            LogError: If the log cannot be written.
        """
        self._insert("chunks", None, chunk)

    def _insert(self, table: str, start: int | None, batch: LoggedBatch, also: tuple[str, int] | None = None) -> None:
        row = self._row(start, batch)
        try:
            with self._connection:
                self._connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
                if also:
                    self._connection.execute(also[0], also[1:])
        except sqlite3.IntegrityError:
            raise LogError(f"evaluation log {str(self.path)!r} is being written by another process") from None
        except sqlite3.DatabaseError as error:
            raise LogError(f"evaluation log {str(self.path)!r} cannot be written: {error}") from None

    def _row(self, start: int | None, batch: LoggedBatch) -> tuple[Any, ...]:
        genes, table = batch.genes.astype(self._dtype).tobytes(), batch.table.astype("<f8").tobytes()
        content = (batch.generation, len(batch.genes), genes, table, batch.cached.tobytes(), batch.seconds)
        return (start, *content, _checksum(*content))

    def _read(self) -> Logged:
        """Read and check all batches; note those that are damaged."""
        placed: list[LoggedBatch] = []
        loose: list[LoggedBatch] = []
        expected = 0
        self._connection.execute("BEGIN")  # one state of the file, even while a run is writing
        for start, batch in self._sound("batches"):
            if start == expected and not loose:
                placed.append(batch)
                expected += len(batch.genes)
            else:
                loose.append(batch)
        if loose and not self._damage:
            self._damage.append(f"the evaluations from {expected + 1:,} on are missing")
        committed = placed[-1].generation if placed else 0
        loose += [chunk for _, chunk in self._sound("chunks") if chunk.generation > committed]
        self._connection.rollback()
        return Logged(placed, loose)

    def _sound(self, table: str) -> Iterator[tuple[int, LoggedBatch]]:
        """Sound rows of a table by their places; the others are noted as damage."""
        last = 0
        try:
            for start, *content in self._connection.execute(f"SELECT * FROM {table} ORDER BY start"):  # noqa: S608
                try:
                    batch = self._parse(*content)
                except (ArithmeticError, TypeError, ValueError, struct.error) as error:
                    self._damage.append(f"generation {_generation(content[0], last)} {error}")
                else:
                    last = batch.generation
                    yield start, batch
        except _ERRORS as error:
            if not _is_damage(error):
                raise
            self._damage.append(f"what follows generation {last} cannot be read ({error})")

    def _parse(
        self, generation: int, designs: int, genes: bytes, table: bytes, cached: bytes, seconds: float, checksum: bytes
    ) -> LoggedBatch:
        if checksum != _checksum(generation, designs, genes, table, cached, seconds):
            raise ValueError("does not match its checksum")
        if designs < 1:  # -1 would fit any number of values
            raise ValueError(f"holds {designs} designs")
        n_genes, n_quantities = self._shape
        batch = LoggedBatch(
            generation=generation,
            genes=np.frombuffer(genes, dtype=self._dtype).reshape(designs, n_genes),
            table=np.frombuffer(table, dtype="<f8").reshape(designs, n_quantities),
            cached=np.frombuffer(cached, dtype=np.bool_).reshape(designs),
            seconds=seconds,
        )
        # The same checks as for fresh evaluations: a checksum does not tell who wrote the row.
        try:
            self._problem.check_table(self._problem.genome.check(batch.genes), batch.table, "it has")
        except MoopimError as error:
            raise ValueError(f"holds unusable values: {error}") from None
        return batch

    def _repair(self) -> None:
        """Replace a damaged log by one of its sound batches; the damaged one is kept beside it.

        It takes that place when it is complete, so that an interruption loses nothing.
        """
        self._connection.close()
        files = [self.path.with_name(self.path.name + suffix) for suffix in _SUFFIXES]
        sound = self.path.with_name(f"{self.path.name}.sound")
        for suffix in _SUFFIXES:
            sound.with_name(sound.name + suffix).unlink(missing_ok=True)
        self._damage = []
        self._connection = _connect(sound, read_only=False)
        self._adopt(read_only=False)
        start = 0
        for batch in self._content.batches:
            self.append(start, batch)
            start += len(batch.genes)
        for chunk in self._content.chunks:
            self.append_chunk(chunk)
        self._connection.close()  # which leaves a single file
        for suffix, old in zip(_SUFFIXES, files, strict=True):
            if old.exists():
                shutil.copyfile(old, self.path.with_name(f"{self.path.name}.damaged{suffix}"))
        for old in files[1:]:
            old.unlink(missing_ok=True)
        sound.replace(self.path)
        self._connection = _connect(self.path, read_only=False)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        return sqlite3.connect(path)
    connection = sqlite3.connect(f"{_uri(path)}?mode=ro", uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema")
    except sqlite3.OperationalError:
        # WAL needs to write beside the file; in a folder that cannot be written, nobody else writes either.
        connection.close()
        return sqlite3.connect(f"{_uri(path)}?immutable=1", uri=True)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        pass  # damaged: found where it is read
    return connection


def _uri(path: Path) -> str:
    """URI of a file; `Path.as_uri` with any bytes in the name."""
    return path.absolute().as_uri()


def _is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether the content of the file is at fault, rather than a lock, the disk or permissions."""
    # Text that is not UTF-8 has no code; a table that is missing is an SQLITE_ERROR.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _checksum(generation: int, designs: int, genes: bytes, table: bytes, cached: bytes, seconds: float) -> bytes:
    """BLAKE2b of a batch, 16 bytes."""
    numbers = struct.pack("<qqqqqd", generation, designs, len(genes), len(table), len(cached), seconds)
    return hashlib.blake2b(b"".join((numbers, genes, table, cached)), digest_size=16).digest()


def _facts_checksum(facts: Mapping[str, str]) -> str:
    """BLAKE2b of the facts, 32 hexadecimal digits."""
    text = json.dumps(sorted((name, value) for name, value in facts.items() if name != "checksum"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _generation(number: object, last: int) -> str:
    """Name of a damaged generation, whose number may be damaged itself."""
    return str(number) if isinstance(number, int) and last <= number <= last + 1_000 else f"behind {last}"
