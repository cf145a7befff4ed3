"""Evaluator: quantities of every design of a run from its cache, its log or the models, in that order."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moopim.errors import LogError
from moopim.evaluator.executors import Workers, executor
from moopim.evaluator.log import EvaluationLog, Logged, LoggedBatch
from moopim.operators.duplicates import row_keys
from moopim.problem import DesignProblem
from moopim.typing import BoolArray, FloatArray, IntArray

# Seconds after which finished chunks are logged: more often would slow quick models down.
_FLUSH_AFTER = 0.1


# Distinct designs that there is room for at first; the room doubles when it is full.
_ROOM = 1024


class _Generation(NamedTuple):
    """Evaluations of a generation in order: places of the designs and where an earlier evaluation answered."""

    number: int
    places: IntArray
    cached: BoolArray
    seconds: float


class BudgetSpent(Exception):  # noqa: N818 (no error: it leaves a generation that asks for more than is left)
    """Raised after the last evaluation of a budget if an optimiser asks for more in one generation."""


class Evaluator:
    """Evaluation of designs for all optimisers.

    A design that the run evaluated before is answered from memory. Logged designs are answered from the log, as long as
    the run asks for the same designs in the same order; afterwards the models are called and the log is appended to.

    Args:
        problem: The problem; stays as it is.
        log: Log of committed generations; without one they are only kept in memory.
        jobs: Number of processes that evaluate.

    Raises:
        ConfigError: If ``jobs`` is less than 1.

    Attributes:
        problem: The problem to optimise: a copy of the given one that is evaluated through this object.
        budget: Number of evaluations that may be asked for; beyond it `BudgetSpent` is raised.
        n_evaluations: Number of evaluations asked for.
        n_cached: Number of those that an earlier evaluation of the run answered.
        n_distinct: Number of distinct designs evaluated.
    """

    def __init__(self, problem: DesignProblem, log: EvaluationLog | None = None, jobs: int = 1) -> None:
        self.problem = problem.with_backend(self._answer)
        self.budget: float = math.inf
        self.n_evaluations = 0
        self.n_cached = 0
        self.n_distinct = 0
        self._workers = None if jobs == 1 else Workers(jobs, problem)
        self._execute = executor(problem, self._workers)
        self._log = log
        # Distinct designs and their quantities in the order in which they came, with room for more, and their places.
        self._genes = np.empty((_ROOM, problem.n_var), dtype=problem.genome.storage_dtype)
        self._table = np.empty((_ROOM, len(problem.quantities)))
        self._places: dict[bytes, int] = {}
        self._committed: list[_Generation] = []
        self._pending: list[tuple[IntArray, BoolArray]] = []
        self._seconds = 0.0
        logged = log.read() if log is not None else Logged([], [])
        batches = logged.batches
        self._logged_genes = np.concatenate([b.genes for b in batches]) if batches else self._genes[:0]
        self._logged_table = np.concatenate([b.table for b in batches]) if batches else self._table[:0]
        # Results without a place in the order of evaluations, taken where the run asks for them again.
        self._loose = {
            key: row for chunk in logged.chunks for key, row in zip(row_keys(chunk.genes), chunk.table, strict=True)
        }
        self._generation = 1
        # Genes, quantities and seconds of chunks that are not logged yet.
        self._finished: list[tuple[NDArray[np.unsignedinteger], FloatArray, float]] = []
        self._flushed = time.perf_counter()

    @property
    def n_logged(self) -> int:
        """Number of evaluations in the log when it was opened."""
        return len(self._logged_genes)

    @property
    def batches(self) -> list[LoggedBatch]:
        """One batch per committed generation."""
        return [self._batch(generation) for generation in self._committed]

    def _batch(self, generation: _Generation, skip: int = 0) -> LoggedBatch:
        """Evaluations of a generation, without the first ones."""
        places = generation.places[skip:]
        # Where all are new, they lie side by side, and no copy is needed.
        together = len(places) and (np.diff(places) == 1).all()
        rows = slice(places[0], places[-1] + 1) if together else places
        genes, table = self._genes[rows], self._table[rows]
        return LoggedBatch(generation.number, genes, table, generation.cached[skip:], generation.seconds)

    def _answer(self, X: IntArray) -> FloatArray:
        """Quantities ``(pop, n_quantities)`` of designs in canonical form, `X` ``(pop, n_genes)``.

        Raises BudgetSpent if there are more designs than the budget has left; those within it are evaluated.
        """
        left = self.budget - self.n_evaluations
        if len(X) > left:
            if left > 0:
                self._answer(X[: int(left)])
            raise BudgetSpent
        genes = X.astype(self._genes.dtype)
        keys = row_keys(genes)
        new: dict[bytes, int] = {}
        for i, key in enumerate(keys):
            if key not in self._places:
                new.setdefault(key, i)
        fresh = np.array(list(new.values()), dtype=np.int64)
        self._compute(genes, X, keys, self._replay(genes, keys, fresh) if self.n_evaluations < self.n_logged else fresh)
        cached = np.ones(len(X), dtype=np.bool_)
        cached[fresh] = False
        places = np.array([self._places[key] for key in keys], dtype=np.int64)
        self._pending.append((places, cached))
        self.n_evaluations += len(X)
        self.n_cached += len(X) - len(new)
        return np.asarray(self._table[places])

    def _replay(self, genes: NDArray[np.unsignedinteger], keys: list[bytes], fresh: IntArray) -> IntArray:
        """Take the fresh designs of a batch, given as rows of it, from the log; gives the rows that it does not reach.

        Raises LogError if the log holds other designs.
        """
        start = self.n_evaluations
        replayed = self._logged_genes[start : start + len(genes)]
        if not np.array_equal(replayed, genes[: len(replayed)]):
            raise LogError(
                f"the run asks for other designs than its log holds (evaluation {start + 1} and following); "
                "it was logged with other settings, or versions of libraries that draw or compute differently"
            )
        logged = fresh[fresh < len(replayed)]
        self._remember([keys[i] for i in logged.tolist()], genes[logged], self._logged_table[start + logged])
        return fresh[len(logged) :]

    def _remember(self, keys: Sequence[bytes], genes: NDArray[np.unsignedinteger], table: FloatArray) -> None:
        """Keep new distinct designs and their quantities."""
        start, stop = self.n_distinct, self.n_distinct + len(keys)
        while stop > len(self._table):
            self._genes, self._table = (
                np.concatenate([kept, np.empty_like(kept)]) for kept in (self._genes, self._table)
            )
        self._genes[start:stop], self._table[start:stop] = genes, table
        self._places.update(zip(keys, range(start, stop), strict=True))
        self.n_distinct = stop

    def _compute(self, genes: NDArray[np.unsignedinteger], X: IntArray, keys: list[bytes], todo: IntArray) -> None:
        """Call the models for rows of a batch; finished chunks are logged long before the generation ends."""
        # Cut before anything is left out, so that a model sees the same chunks as in a run that was not interrupted.
        waiting = []
        for chunk in self.problem.chunks(todo) if len(todo) else []:
            found = [keys[i] for i in chunk.tolist()] if self._loose else []
            if found and all(key in self._loose for key in found):
                self._remember(found, genes[chunk], np.array([self._loose[key] for key in found]))
            else:
                waiting.append(chunk)
        begun = time.perf_counter()
        for number, table in self._execute([X[chunk] for chunk in waiting]) if waiting else ():
            rows, now = waiting[number], time.perf_counter()
            self._remember([keys[i] for i in rows.tolist()], genes[rows], table)
            self._seconds += now - begun
            self._finished.append((genes[rows], table, now - begun))
            if now - self._flushed > _FLUSH_AFTER:
                self.flush()
            begun = now

    def flush(self) -> None:
        """Log finished chunks of a generation that is not committed; called when a run is interrupted.

        Raises:
            LogError: If the log cannot be written.
        """
        if self._log is not None and self._finished:
            genes, table, seconds = zip(*self._finished, strict=True)
            cached = np.zeros(sum(map(len, genes)), dtype=np.bool_)
            parts = np.concatenate(genes), np.concatenate(table), cached
            self._log.append_chunk(LoggedBatch(self._generation, *parts, sum(seconds)))
        self._finished, self._flushed = [], time.perf_counter()

    def knows(self, X: ArrayLike, F: FloatArray | None = None) -> BoolArray:
        """Whether the run has evaluated designs.

        Args:
            X: Numbers that the genome's repair turns into designs, shape ``(designs, n_genes)``.
            F: Objectives (to be minimised) that they must have had, shape ``(designs, n_obj)``; any if not given.

        Returns:
            One truth value per design, shape ``(designs,)``.
        """
        keys = row_keys(self.problem.genome.repair(X).astype(self._genes.dtype))
        places = np.array([self._places.get(key, -1) for key in keys], dtype=np.int64)
        known = np.asarray(places >= 0)
        if F is not None and known.any():
            table = self._table[places[known]]
            known[known] = (self.problem.objective_values(table) == F[known]).all(axis=1)
        return known

    def close(self) -> None:
        """End the worker processes, and forget which designs are known; the batches stay."""
        self._places.clear()
        if self._workers is not None:
            self._workers.close()

    def commit(self, generation: int) -> None:
        """Close a generation: evaluations since the last one are logged in one transaction.

        Args:
            generation: Number of the generation, from 1.

        Raises:
            LogError: If the log cannot be written.
        """
        self._generation = generation + 1
        if not self._pending:
            self._finished = []
            return
        places, cached = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        done = _Generation(generation, places, cached, self._seconds)
        start = self.n_evaluations - len(places)
        if self._log is not None and self.n_evaluations > self.n_logged:
            skip = max(0, self.n_logged - start)
            self._log.append(start + skip, self._batch(done, skip))
        self._committed.append(done)
        self._pending, self._finished, self._seconds = [], [], 0.0
