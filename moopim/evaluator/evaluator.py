"""Evaluator: quantities of every design of a run from its cache, its log or the models, in that order."""

import math
import time

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
        batches: One batch per committed generation.
        n_evaluations: Number of evaluations asked for.
        n_cached: Number of those that an earlier evaluation of the run answered.
    """

    def __init__(self, problem: DesignProblem, log: EvaluationLog | None = None, jobs: int = 1) -> None:
        self.problem = problem.with_backend(self._answer)
        self.budget: float = math.inf
        self.batches: list[LoggedBatch] = []
        self.n_evaluations = 0
        self.n_cached = 0
        self._workers = None if jobs == 1 else Workers(jobs, problem)
        self._execute = executor(problem, self._workers)
        self._log = log
        self._dtype = problem.genome.storage_dtype
        self._known: dict[bytes, FloatArray] = {}
        self._pending: list[tuple[NDArray[np.unsignedinteger], FloatArray, BoolArray]] = []
        self._seconds = 0.0
        logged = log.read() if log is not None else Logged([], [])
        batches = logged.batches
        self._logged_genes = np.concatenate([b.genes for b in batches]) if batches else np.empty((0, problem.n_var))
        self._logged_table = np.concatenate([b.table for b in batches]) if batches else np.empty((0, 0))
        # Results without a place in the order of evaluations, taken where the run asks for them again.
        self._loose = {
            key: row for chunk in logged.chunks for key, row in zip(row_keys(chunk.genes), chunk.table, strict=True)
        }
        self._generation = 1
        self._finished: list[LoggedBatch] = []
        self._flushed = time.perf_counter()

    @property
    def n_distinct(self) -> int:
        """Number of distinct designs evaluated."""
        return len(self._known)

    @property
    def n_logged(self) -> int:
        """Number of evaluations in the log when it was opened."""
        return len(self._logged_genes)

    def _answer(self, X: IntArray) -> FloatArray:
        """Quantities ``(pop, n_quantities)`` of designs in canonical form, `X` ``(pop, n_genes)``.

        Raises BudgetSpent if there are more designs than the budget has left; those within it are evaluated.
        """
        left = self.budget - self.n_evaluations
        if len(X) > left:
            if left > 0:
                self._answer(X[: int(left)])
            raise BudgetSpent
        genes = X.astype(self._dtype)
        keys = row_keys(genes)
        fresh = np.zeros(len(X), dtype=np.bool_)
        new: set[bytes] = set()
        for i, key in enumerate(keys):
            if key not in self._known and key not in new:
                new.add(key)
                fresh[i] = True
        self._learn(genes, X, keys, fresh)
        table = np.array([self._known[key] for key in keys]).reshape(len(X), len(self.problem.quantities))
        self._pending.append((genes, table, ~fresh))
        self.n_evaluations += len(X)
        self.n_cached += int(len(X) - fresh.sum())
        return table

    def _learn(self, genes: NDArray[np.unsignedinteger], X: IntArray, keys: list[bytes], fresh: BoolArray) -> None:
        """Take the fresh designs of a batch from the log as far as it reaches, the others from the models."""
        start = self.n_evaluations
        replayed = self._logged_genes[start : start + len(X)]
        if not np.array_equal(replayed, genes[: len(replayed)]):
            raise LogError(
                f"the run asks for other designs than its log holds (evaluation {start + 1} and following); "
                "it was logged with other settings, or versions of libraries that draw or compute differently"
            )
        known = np.arange(len(X)) < len(replayed)
        for i in np.flatnonzero(fresh & known):
            self._known[keys[i]] = self._logged_table[start + i]
        self._compute(genes, X, keys, np.flatnonzero(fresh & ~known))

    def _compute(self, genes: NDArray[np.unsignedinteger], X: IntArray, keys: list[bytes], todo: IntArray) -> None:
        """Call the models for rows of a batch; finished chunks are logged long before the generation ends."""
        # Cut before anything is left out, so that a model sees the same chunks as in a run that was not interrupted.
        waiting = []
        for chunk in self.problem.chunks(todo) if len(todo) else []:
            if self._loose and all(keys[i] in self._loose for i in chunk):
                self._known.update({keys[i]: self._loose[keys[i]] for i in chunk})
            else:
                waiting.append(chunk)
        begun = time.perf_counter()
        for number, table in self._execute([X[chunk] for chunk in waiting]) if waiting else ():
            rows, now = waiting[number], time.perf_counter()
            self._known.update(zip([keys[i] for i in rows.tolist()], table, strict=True))
            self._seconds += now - begun
            self._finished.append(
                LoggedBatch(self._generation, genes[rows], table, np.zeros(len(rows), dtype=np.bool_), now - begun)
            )
            if now - self._flushed > _FLUSH_AFTER:
                self.flush()
            begun = now

    def flush(self) -> None:
        """Log finished chunks of a generation that is not committed; called when a run is interrupted.

        Raises:
            LogError: If the log cannot be written.
        """
        if self._log is not None:
            for chunk in self._finished:
                self._log.append_chunk(chunk)
        self._finished, self._flushed = [], time.perf_counter()

    def knows(self, X: ArrayLike, F: FloatArray | None = None) -> BoolArray:
        """Whether the run has evaluated designs.

        Args:
            X: Numbers that the genome's repair turns into designs, shape ``(designs, n_genes)``.
            F: Objectives (to be minimised) that they must have had, shape ``(designs, n_obj)``; any if not given.

        Returns:
            One truth value per design, shape ``(designs,)``.
        """
        keys = row_keys(self.problem.genome.repair(X).astype(self._dtype))
        known = np.array([key in self._known for key in keys], dtype=np.bool_)
        if F is not None and known.any():
            table = np.array([self._known[key] for key in keys if key in self._known])
            known[known] = (self.problem.objective_values(table) == F[known]).all(axis=1)
        return known

    def close(self) -> None:
        """End the worker processes, if there are any."""
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
        genes, table, cached = (np.concatenate(parts) for parts in zip(*self._pending, strict=True))
        batch = LoggedBatch(generation, genes, table, cached, self._seconds)
        start = self.n_evaluations - len(genes)
        if self._log is not None and self.n_evaluations > self.n_logged:
            skip = max(0, self.n_logged - start)
            self._log.append(
                start + skip, LoggedBatch(generation, genes[skip:], table[skip:], cached[skip:], self._seconds)
            )
        self.batches.append(batch)
        self._pending, self._finished, self._seconds = [], [], 0.0
